/* Path patterns with the meaning of Go's filepath.Match, plus "**". */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>

#include "base/err.h"

/* Checks the pattern's form: a lone '[', "[]", a trailing backslash are refused. */
bool glob_check(const char *pattern, struct err *err);

/* '*' and '?' stop at '/', "[a-z]" and "[^a]" are classes, '\' quotes, "**" crosses '/'; names with
   a leading dot are nothing special. pattern has passed glob_check. */
bool glob_match(const char *pattern, const char *path);

/* Does the pattern hold any of * ? [ \ ? */
bool glob_is_pattern(const char *pattern);

#endif
