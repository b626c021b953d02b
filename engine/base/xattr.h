/* Extended attributes of files. */
#ifndef BASE_XATTR_H
#define BASE_XATTR_H

#include <stdbool.h>
#include <stddef.h>

/* Gets one; borrowed until it returns. False ends the listing. */
typedef bool xattr_one(void *arg, const char *key, const void *value, size_t len);

/* Hands over all that can be read of name in the directory dir ("." is dir itself); a symbolic
   link's are its own. None where the file system has none, or nobody may read them. False when each
   said so. */
bool xattr_each(int dir, const char *name, xattr_one *each, void *arg);

#endif
