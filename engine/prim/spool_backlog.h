/* Bytes that wait to be written: the oldest in memory, those that found no room there in a file
   without a name in $TMPDIR. For spool.c only; the caller keeps threads apart. */
#ifndef PRIM_SPOOL_BACKLOG_H
#define PRIM_SPOOL_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* In this order; once the file holds any, new ones go there until it is empty. */
struct backlog {
    char *ring;
    size_t ring_from, ring_len;
    int file; /* -1 until it is needed */
    off_t file_from, file_end, hole_end;
};

void backlog_init(struct backlog *backlog);
void backlog_fini(struct backlog *backlog);

size_t backlog_in_file(const struct backlog *backlog);
size_t backlog_len(const struct backlog *backlog);
/* All of them or, with errno, none: no room for the file. */
bool backlog_add(struct backlog *backlog, const void *data, size_t len);

/* Where those in memory are. */
void backlog_look(const struct backlog *backlog, struct iovec parts[2]);
/* The oldest of those in memory, at most max bytes; how many. */
size_t backlog_take(struct backlog *backlog, char *piece, size_t max);
/* The oldest of those in the file, once memory is empty; false with errno. They stay there, and as
   they are, until they are dropped: others may add meanwhile. */
bool backlog_read(const struct backlog *backlog, char *piece, size_t len, off_t at);
void backlog_drop_ring(struct backlog *backlog, size_t len);
void backlog_drop_file(struct backlog *backlog, size_t len);
void backlog_clear(struct backlog *backlog);

#endif
