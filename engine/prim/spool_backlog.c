#include "prim/spool_backlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

enum {
    RING_SIZE = 1 << 20,
    HOLE_STEP = 16 << 20, /* the file's room is given back in steps of this */
};

void backlog_init(struct backlog *backlog)
{
    *backlog = (struct backlog){.ring = mem_alloc(RING_SIZE), .file = -1};
}

void backlog_fini(struct backlog *backlog)
{
    if (backlog->file >= 0)
        close(backlog->file);
    mem_free(backlog->ring);
}

size_t backlog_in_file(const struct backlog *backlog)
{
    return (size_t)(backlog->file_end - backlog->file_from);
}

size_t backlog_len(const struct backlog *backlog)
{
    return backlog->ring_len + backlog_in_file(backlog);
}

/* --- in --------------------------------------------------------------------------------------- */

static int open_nameless(void)
{
    const char *dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char *path = path_join(dir, "orch-spool-XXXXXX"); /* not every file system knows O_TMPFILE */
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    mem_free(path);
    return fd;
}

static bool add_to_file(struct backlog *backlog, const char *data, size_t len)
{
    if (backlog->file < 0 && (backlog->file = open_nameless()) < 0)
        return false;
    off_t end = backlog->file_end; /* all or nothing */
    while (len > 0) {
        ssize_t n = pwrite(backlog->file, data, len, end);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            data += n, len -= (size_t)n, end += n;
    }
    backlog->file_end = end;
    return true;
}

static void add_to_ring(struct backlog *backlog, const char *data, size_t len)
{
    size_t at = (backlog->ring_from + backlog->ring_len) % RING_SIZE;
    size_t flat = RING_SIZE - at < len ? RING_SIZE - at : len;
    memcpy(backlog->ring + at, data, flat);
    memcpy(backlog->ring, data + flat, len - flat);
    backlog->ring_len += len;
}

bool backlog_add(struct backlog *backlog, const void *data, size_t len)
{
    if (backlog_in_file(backlog) > 0 || len > RING_SIZE - backlog->ring_len)
        return add_to_file(backlog, data, len);
    add_to_ring(backlog, data, len);
    return true;
}

/* --- out -------------------------------------------------------------------------------------- */

void backlog_look(const struct backlog *backlog, struct iovec parts[2])
{
    const size_t end = RING_SIZE - backlog->ring_from;
    const size_t flat = end < backlog->ring_len ? end : backlog->ring_len;
    parts[0] = (struct iovec){backlog->ring + backlog->ring_from, flat};
    parts[1] = (struct iovec){backlog->ring, backlog->ring_len - flat};
}

void backlog_drop_ring(struct backlog *backlog, size_t len)
{
    backlog->ring_from = (backlog->ring_from + len) % RING_SIZE;
    backlog->ring_len -= len;
}

size_t backlog_take(struct backlog *backlog, char *piece, size_t max)
{
    struct iovec parts[2];
    backlog_look(backlog, parts);
    const size_t first = parts[0].iov_len < max ? parts[0].iov_len : max;
    const size_t second = parts[1].iov_len < max - first ? parts[1].iov_len : max - first;
    memcpy(piece, parts[0].iov_base, first);
    memcpy(piece + first, parts[1].iov_base, second);
    backlog_drop_ring(backlog, first + second);
    return first + second;
}

bool backlog_read(const struct backlog *backlog, char *piece, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pread(backlog->file, piece, len, at);
        if (n == 0)
            errno = EIO;
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            piece += n, at += n, len -= (size_t)n;
    }
    return true;
}

/* A file that was read to its end begins anew; of one that never is, what was read goes in
   steps. */
void backlog_drop_file(struct backlog *backlog, size_t len)
{
    backlog->file_from += (off_t)len;
    if (backlog_in_file(backlog) == 0 && backlog->file_end > 0) {
        backlog->file_from = backlog->file_end = backlog->hole_end = 0;
        (void)!ftruncate(backlog->file, 0);
    } else if (backlog->file_from - backlog->hole_end >= HOLE_STEP) {
        fallocate(backlog->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, backlog->hole_end,
                  backlog->file_from - backlog->hole_end);
        backlog->hole_end = backlog->file_from;
    }
}

void backlog_clear(struct backlog *backlog)
{
    backlog_drop_ring(backlog, backlog->ring_len);
    backlog_drop_file(backlog, backlog_in_file(backlog));
}
