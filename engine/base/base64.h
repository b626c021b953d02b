/* Base64 of RFC 4648, both alphabets. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    BASE64_URL = 1,   /* '-' and '_' in place of '+' and '/'; decodes without padding as well */
    BASE64_SPACE = 2, /* decoding passes over blanks, tabs and line ends */
};

size_t base64_encoded_len(size_t len);
/* Writes base64_encoded_len(len) characters, padding included; no closing NUL. */
void base64_encode(const void *data, size_t len, unsigned flags, char *out);

/* No more than this comes out of len characters. */
size_t base64_decoded_max(size_t len);
/* Strict: one alphabet, right padding, no stray bits in the last character. On failure err (kind
   usage) tells where, never what; out then holds nothing of use. */
bool base64_decode(const char *text, size_t len, unsigned flags, void *out, size_t *out_len,
                   struct err *err);

#endif
