/* UTF-8 as of RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Length of the character at text, or 0 when it is none: then *bad (may be NULL) is how many bytes
   one U+FFFD stands for (the maximal subpart, Unicode 3.9). len > 0. */
size_t utf8_char(const char *text, size_t len, size_t *bad);
bool utf8_valid(const char *text, size_t len);
/* Adds the text to out with U+FFFD for stray bytes; false at out's ceiling. */
bool utf8_clean(const char *text, size_t len, struct buf *out);

#endif
