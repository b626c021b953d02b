/* Paths as text; nothing here looks at a disk. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Joins two paths and cleans the result; an absolute second one stands alone. Caller frees. */
char *path_join(const char *base, const char *path);
/* Without "." and "..", doubled and trailing slashes; "" becomes ".". ".." above the root of an
   absolute path vanishes, of a relative one stays. Caller frees. */
char *path_clean(const char *path);
/* The part behind the last '/'. Borrowed from path. */
const char *path_base(const char *path);
/* Everything before the last '/', "." if there is none, "/" for the root. Caller frees. */
char *path_dir(const char *path);
/* Is a relative path that, taken by its text, stays below where it starts? No "..", no root. */
bool path_is_inner(const char *path);

#endif
