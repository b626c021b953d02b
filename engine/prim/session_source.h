/* The thread of one FileSync call: packets of fsutil's protocol made of a directory, or of one
   text. */
#ifndef PRIM_SESSION_SOURCE_H
#define PRIM_SESSION_SOURCE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Types of fsutil.types.Packet. */
enum { PACKET_STAT, PACKET_REQ, PACKET_DATA, PACKET_FIN, PACKET_ERR };

struct source_spec {
    const char *dir;  /* or, when it is NULL, the file "Dockerfile" with this text */
    const char *text;
    size_t text_len;
    const char *const *include, *const *exclude, *const *follow;
    size_t include_count, exclude_count, follow_count;
    const atomic_bool *stop;
    /* Takes framed packets: empties batch, perhaps by swapping. Waits for room; false: stop. */
    bool (*give)(void *arg, struct buf *batch);
    /* The number of the next entry that the daemon asks for; false: none comes any more. */
    bool (*next)(void *arg, uint32_t *number);
    /* Would next give one at once? */
    bool (*waiting)(void *arg);
    void *arg;
};

struct source_count {
    unsigned long long entries, files, bytes;
};

/* Sends every entry, then the content of what is asked for, then the farewell. */
bool source_run(const struct source_spec *spec, struct source_count *count, struct err *err);

#endif
