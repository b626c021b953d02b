/* Texts and numbers as JSON (RFC 8259) writes them. Each is added to out; false at its ceiling. */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* In quotation marks. Stray bytes become U+FFFD. Escaped is also what JSON allows, but a terminal
   would obey or a reader be deceived by (term_is_deceptive). */
bool quote_text(struct buf *out, const char *text, size_t len);
bool quote_integer(struct buf *out, int64_t number);
/* A finite one: with as many digits as bring it back, and what tells it from an integer. */
bool quote_real(struct buf *out, double number);

#endif
