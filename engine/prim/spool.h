/* A writer to a descriptor whose reader may be slow: a terminal, a pipe. Nothing here waits for it.

   What the descriptor does not take without waiting, a thread of its own writes, begun when it is
   first needed; until then it lies in memory up to 1 MiB, beyond that in a file without a name in
   $TMPDIR. The descriptor's flags are not touched: O_NONBLOCK would hold for all programs that
   share the terminal. */
#ifndef PRIM_SPOOL_H
#define PRIM_SPOOL_H

#include <stddef.h>

#include "base/err.h"
#include "loop/loop.h"

enum { SPOOL_FRAME_MAX = 1 << 20 };

struct spool;

/* err is what became of the bytes: good only if all were written. */
typedef void spool_closed(void *arg, const struct err *err);

/* fd may be closed at once. NULL and err when fd is none. */
struct spool *spool_open(struct loop *loop, int fd, struct err *err);
/* Bytes come out in the order of the calls, those of one call without a frame between them. After
   the first failure (ERR_IO: the reader has gone, no room in $TMPDIR, no thread to be had) they are
   dropped; spool_close tells. */
void spool_write(struct spool *spool, const void *data, size_t len);
/* Shows the frame once all bytes are out, unless another one takes its place before: at most one
   waits. len is at most SPOOL_FRAME_MAX. */
void spool_frame(struct spool *spool, const void *data, size_t len);
/* Bytes of spool_write that the descriptor has not taken. */
size_t spool_pending(struct spool *spool);
/* Has something failed, so that bytes are dropped from now on? */
bool spool_failed(struct spool *spool);
/* Writes what is left, the waiting frame too; closed comes from the loop, then spool is gone. */
void spool_close(struct spool *spool, spool_closed *closed, void *arg);
/* After spool_close: drops what is left and closes soon, with ERR_CANCELLED if anything was. Safe
   twice. */
void spool_cancel(struct spool *spool);

#endif
