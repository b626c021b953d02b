/* Finds secrets in text and puts *** in their place.

   Secrets that overlap are hidden as one, so that no byte of either shows. A line break (with the
   indentation behind it) that follows at least 60 characters of base64 is looked through: so a
   secret is found in base64 that was cut into lines of 64 or 76. Control sequences (CSI) within a
   secret, up to 256 bytes in one place, are looked through too: what is printed without its colours
   must not show it. */
#ifndef BASE_MASK_H
#define BASE_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct mask;

struct mask *mask_new(void);
void mask_free(struct mask *mask);
/* From now on the value is masked, in streams too: as it is, each of its lines that says something,
   each of these escaped for URLs, JSON and shells, and the whole in base64 and in hexadecimal
   digits. false when it is too short (under 4 bytes) to be masked without making every text
   unreadable. */
bool mask_add(struct mask *mask, const char *value, size_t len);
/* No value was given: every text is safe to show. */
bool mask_is_empty(const struct mask *mask);
/* Adds text to out with *** for each secret. false at out's ceiling. */
bool mask_apply(const struct mask *mask, const char *text, size_t len, struct buf *out);

/* A text that comes in pieces: what comes out, taken together, is mask_apply of the whole. */
struct mask_stream;

/* mask must outlive the stream. */
struct mask_stream *mask_stream_new(const struct mask *mask);
void mask_stream_free(struct mask_stream *stream);
/* Adds to out all that is safe to show; keeps back only an end that may be the beginning of a
   secret. false at out's ceiling, and when 1 GiB would have to be kept back. */
bool mask_feed(struct mask_stream *stream, const char *data, size_t len, struct buf *out);
/* The text is over: adds what was kept back. The stream may then be fed another text. */
bool mask_flush(struct mask_stream *stream, struct buf *out);

#endif
