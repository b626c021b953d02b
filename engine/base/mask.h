/* Finds secrets in text and puts *** in their place. */
#ifndef BASE_MASK_H
#define BASE_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct mask;

struct mask *mask_new(void);
void mask_free(struct mask *mask);
/* From now on the value is masked: as it is, each of its lines that says something, and in URL- and
   JSON-escaped form. false when it is too short (under 4 bytes) to be masked without making every text
   unreadable. */
bool mask_add(struct mask *mask, const char *value, size_t len);
/* Adds text to out with *** for each occurrence, the longest first where several begin. false at out's
   ceiling. */
bool mask_apply(const struct mask *mask, const char *text, size_t len, struct buf *out);

#endif
