/* Terminals: their size, and text that they show but do not obey. */
#ifndef BASE_TERM_H
#define BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* false when fd is no terminal; a size that it does not know is 0. */
bool term_size(int fd, unsigned *columns, unsigned *rows);

/* Is it a control character, one that turns text around, or one that is not seen? */
bool term_is_deceptive(uint32_t rune);

/* Is it its own printable form? */
bool term_is_plain(const char *text, size_t len);

/* The length of the control sequence (CSI, at most 128 bytes) at the start of text, else 0; *part:
   the text ends within what may become one. */
size_t term_sequence(const char *text, size_t len, bool *part);

/* Adds text with all that a terminal would obey made visible or taken out: well-formed control
   sequences (CSI) go, other control characters, those of C1, and bytes that are no UTF-8 become
   \xNN; what turns text around or is unseen becomes \u{N}, joiners and variation selectors
   excepted; tabs stay. With colours, sequences that set colour or weight (SGR) stay, those that
   would hide text or blink do not, and the text ends with a reset if it had any. false at out's
   ceiling. */
bool term_printable(const char *text, size_t len, bool colours, struct buf *out);

/* Adds the start of a printable text that fits into so many columns, the last of which is … if
   something is left out; sequences of term_printable take none; tabs become spaces. *used (may be
   NULL) is how many columns it takes. false at out's ceiling. */
bool term_fit(const char *text, size_t len, unsigned columns, struct buf *out, unsigned *used);

#endif
