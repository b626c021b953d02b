/* UTF-8 as Go reads it. */
#ifndef BASE_RUNE_H
#define BASE_RUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNE_ERROR = 0xFFFD };

/* The character at text and its length in bytes; RUNE_ERROR and 1 for a byte that begins none.
   text begins with a whole character or ends with a NUL, which is returned as 0 and 1. */
uint32_t rune_next(const char *text, size_t *len);
/* Writes up to 4 bytes to out, returns how many. */
size_t rune_put(uint32_t rune, char *out);
/* unicode.IsSpace */
bool rune_is_space(uint32_t rune);

#endif
