/* The patterns of a masker, found by the first four bytes of a text that has one. */
#ifndef BASE_MASK_SET_H
#define BASE_MASK_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mask_form.h"

enum {
    MASK_WINDOW = 4,
    MASK_FILTER_BITS = 16,
    MASK_BUCKET_SHIFT = 4,
    MASK_BUCKETS = 1 << (MASK_FILTER_BITS - MASK_BUCKET_SHIFT),
};

struct mask_pattern {
    struct mask_pattern *next;
    enum mask_form form;
    size_t len;
    char text[];
};

struct mask_entry {
    struct mask_entry *next;
    char window[MASK_WINDOW];
    const struct mask_pattern *pattern;
};

/* All zero is an empty one. */
struct mask_set {
    struct mask_pattern *patterns;
    struct mask_entry *buckets[MASK_BUCKETS]; /* by mask_window_hash >> MASK_BUCKET_SHIFT */
    bool filter[1 << MASK_FILTER_BITS];       /* by mask_window_hash */
    uint64_t pairs[(1 << 16) / 64];           /* by the first two bytes, exactly */
    uint64_t triples[(1 << 16) / 64];         /* by a hash of the first three */
    bool firsts[256];
};

static inline uint32_t mask_window_hash(const char *window)
{
    uint32_t word;
    memcpy(&word, window, MASK_WINDOW);
    return word * 0x9E3779B1u >> (32 - MASK_FILTER_BITS);
}

static inline unsigned mask_pair(const char *text)
{
    return (unsigned)(unsigned char)text[0] << 8 | (unsigned char)text[1];
}

static inline unsigned mask_triple(const char *text)
{
    uint32_t word = (uint32_t)mask_pair(text) << 8 | (unsigned char)text[2];
    return word * 0x9E3779B1u >> 16;
}

/* As mask_add. */
bool mask_set_add(struct mask_set *set, const char *value, size_t len);
/* Is there a window that begins with these bytes, fewer than MASK_WINDOW? */
bool mask_set_begins(const struct mask_set *set, const char *text, size_t len);
void mask_set_fini(struct mask_set *set);

#endif
