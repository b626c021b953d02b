#include "prim/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

enum {
    RING_SIZE = 1 << 20,
    PIECE = 64 << 10,     /* read and written at a time */
    READY = 4096,         /* so much a pipe takes without waiting when poll says it is ready */
    HOLE_STEP = 16 << 20, /* the file's room is given back in steps of this */
};

/* The oldest bytes are in the ring, those that found no room there in the file, in this order; once
   the file holds any, new ones go there until it is empty. */
struct spool {
    struct bell *bell;
    pthread_t thread;
    int fd;
    int stop_fd; /* readable once the thread is to stop at once */
    size_t step; /* bytes given to write(2) at a time */
    spool_closed *closed;
    void *closed_arg;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t more;
    char *ring;
    size_t ring_from, ring_len;
    int file; /* -1 until it is needed */
    off_t file_from, file_end, hole_end;
    size_t taken; /* bytes the thread has in its hands */
    struct buf frame;
    bool closing, ended;
    bool broken; /* the descriptor takes nothing any more */
    struct err err; /* once set, new bytes are dropped */
};

/* --- the thread ------------------------------------------------------------------------------- */

/* False at an error, with errno, and when the thread is to stop, with ECANCELED. */
static bool write_all(struct spool *spool, const char *data, size_t len)
{
    while (len > 0) {
        struct pollfd fds[] = {{.fd = spool->fd, .events = POLLOUT},
                               {.fd = spool->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return false;
        if (fds[1].revents) {
            errno = ECANCELED;
            return false;
        }
        if (!fds[0].revents)
            continue;
        ssize_t n = write(spool->fd, data, len < spool->step ? len : spool->step);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (n > 0)
            data += n, len -= (size_t)n;
    }
    return true;
}

/* What is behind file_from in the file stays as it is, so that the mutex is not needed. */
static bool read_back(struct spool *spool, char *piece, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pread(spool->file, piece, len, at);
        if (n == 0)
            errno = EIO;
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            piece += n, at += n, len -= (size_t)n;
    }
    return true;
}

static size_t take_from_ring(struct spool *spool, char *piece)
{
    size_t len = spool->ring_len < PIECE ? spool->ring_len : PIECE;
    size_t flat = RING_SIZE - spool->ring_from < len ? RING_SIZE - spool->ring_from : len;
    memcpy(piece, spool->ring + spool->ring_from, flat);
    memcpy(piece + flat, spool->ring, len - flat);
    spool->ring_from = (spool->ring_from + len) % RING_SIZE;
    spool->ring_len -= len;
    return len;
}

static size_t in_file(const struct spool *spool)
{
    return (size_t)(spool->file_end - spool->file_from);
}

/* A file that was read to its end begins anew; of one that never is, what was read goes in
   steps. */
static void forget(struct spool *spool, size_t len)
{
    spool->file_from += (off_t)len;
    if (in_file(spool) == 0 && spool->file_end > 0) {
        spool->file_from = spool->file_end = spool->hole_end = 0;
        (void)!ftruncate(spool->file, 0);
    } else if (spool->file_from - spool->hole_end >= HOLE_STEP) {
        fallocate(spool->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, spool->hole_end,
                  spool->file_from - spool->hole_end);
        spool->hole_end = spool->file_from;
    }
}

static void drop_all(struct spool *spool)
{
    spool->ring_len = 0;
    forget(spool, in_file(spool));
    buf_fini(&spool->frame);
}

static bool is_good(const struct spool *spool)
{
    return spool->err.kind == ERR_NONE;
}

static void fail(struct spool *spool, int number, const char *what)
{
    err_system(&spool->err, number, "%s", what);
    spool->err.kind = ERR_IO;
}

static void give_up(struct spool *spool, int number)
{
    spool->broken = true;
    if (!is_good(spool))
        return;
    if (number == ECANCELED)
        err_set(&spool->err, ERR_CANCELLED, "output was dropped before it was written");
    else
        fail(spool, number, "cannot write output");
}

/* Writes what comes next; the mutex, held by the caller, is given up meanwhile. */
static void write_next(struct spool *spool, char *piece)
{
    struct buf frame = {0};
    size_t len = take_from_ring(spool, piece), back = 0;
    off_t at = spool->file_from;
    spool->taken = len;
    if (len == 0)
        back = in_file(spool) < PIECE ? in_file(spool) : PIECE;
    if (len == 0 && back == 0) {
        frame = spool->frame;
        buf_init(&spool->frame, SPOOL_FRAME_MAX);
    }
    pthread_mutex_unlock(&spool->mutex);
    bool good = read_back(spool, piece, back, at) && write_all(spool, piece, len + back) &&
                write_all(spool, frame.data, frame.len);
    int number = errno;
    buf_fini(&frame);
    pthread_mutex_lock(&spool->mutex);
    spool->taken = 0;
    forget(spool, back);
    if (!good)
        give_up(spool, number);
}

static void *serve(void *arg)
{
    struct spool *spool = arg;
    char *piece = mem_grow(NULL, PIECE);
    pthread_mutex_lock(&spool->mutex);
    for (;;) {
        if (spool->broken)
            drop_all(spool);
        if (spool->ring_len + in_file(spool) + spool->frame.len > 0)
            write_next(spool, piece);
        else if (spool->closing)
            break;
        else
            pthread_cond_wait(&spool->more, &spool->mutex);
    }
    spool->ended = true;
    bell_ring(spool->bell);
    pthread_mutex_unlock(&spool->mutex);
    mem_free(piece);
    return NULL;
}

/* --- the loop's side -------------------------------------------------------------------------- */

static void spool_free(struct spool *spool)
{
    if (spool->file >= 0)
        close(spool->file);
    if (spool->stop_fd >= 0)
        close(spool->stop_fd);
    if (spool->fd >= 0)
        close(spool->fd);
    bell_free(spool->bell);
    buf_fini(&spool->frame);
    pthread_mutex_destroy(&spool->mutex);
    pthread_cond_destroy(&spool->more);
    mem_free(spool->ring);
    mem_free(spool);
}

static void on_bell(void *arg)
{
    struct spool *spool = arg;
    pthread_mutex_lock(&spool->mutex);
    bool ended = spool->ended;
    pthread_mutex_unlock(&spool->mutex);
    if (!ended)
        return;
    pthread_join(spool->thread, NULL);
    spool_closed *closed = spool->closed;
    void *closed_arg = spool->closed_arg;
    struct err err = spool->err;
    spool_free(spool);
    closed(closed_arg, &err);
}

/* Pipes and terminals are opened again, for an own O_NONBLOCK; where that is not allowed, writes
   are so short that they do not wait after poll, unless another program fills the pipe in
   between. */
static bool open_target(struct spool *spool, int fd)
{
    struct stat stat;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &stat) != 0)
        return false;
    if ((flags & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return false;
    }
    spool->step = PIECE;
    if (S_ISFIFO(stat.st_mode) || isatty(fd)) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        spool->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (spool->fd >= 0)
            return true;
    }
    if (!S_ISREG(stat.st_mode))
        spool->step = READY;
    spool->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return spool->fd >= 0;
}

struct spool *spool_open(struct loop *loop, int fd, struct err *err)
{
    struct spool *spool = mem_alloc(sizeof *spool);
    spool->fd = spool->file = spool->stop_fd = -1;
    pthread_mutex_init(&spool->mutex, NULL);
    pthread_cond_init(&spool->more, NULL);
    spool->ring = mem_alloc(RING_SIZE);
    buf_init(&spool->frame, SPOOL_FRAME_MAX);
    spool->bell = bell_new(loop, on_bell, spool);
    spool->stop_fd = eventfd(0, EFD_CLOEXEC);
    int number = spool->stop_fd < 0 || !open_target(spool, fd) ? errno : 0;
    if (number == 0)
        number = pthread_create(&spool->thread, NULL, serve, spool);
    if (number == 0)
        return spool;
    err_system(err, number, "cannot write to descriptor %d", fd);
    spool_free(spool);
    return NULL;
}

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

static bool add_to_file(struct spool *spool, const char *data, size_t len)
{
    if (spool->file < 0 && (spool->file = open_nameless()) < 0)
        return false;
    off_t end = spool->file_end; /* all or nothing */
    while (len > 0) {
        ssize_t n = pwrite(spool->file, data, len, end);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            data += n, len -= (size_t)n, end += n;
    }
    spool->file_end = end;
    return true;
}

static void add_to_ring(struct spool *spool, const char *data, size_t len)
{
    size_t at = (spool->ring_from + spool->ring_len) % RING_SIZE;
    size_t flat = RING_SIZE - at < len ? RING_SIZE - at : len;
    memcpy(spool->ring + at, data, flat);
    memcpy(spool->ring, data + flat, len - flat);
    spool->ring_len += len;
}

void spool_write(struct spool *spool, const void *data, size_t len)
{
    if (len == 0)
        return;
    pthread_mutex_lock(&spool->mutex);
    if (is_good(spool)) {
        if (in_file(spool) == 0 && len <= RING_SIZE - spool->ring_len)
            add_to_ring(spool, data, len);
        else if (!add_to_file(spool, data, len))
            fail(spool, errno, "no room in $TMPDIR for output that has to wait");
        pthread_cond_signal(&spool->more);
    }
    pthread_mutex_unlock(&spool->mutex);
}

void spool_frame(struct spool *spool, const void *data, size_t len)
{
    pthread_mutex_lock(&spool->mutex);
    if (is_good(spool)) {
        buf_clear(&spool->frame);
        buf_add(&spool->frame, data, len);
        pthread_cond_signal(&spool->more);
    }
    pthread_mutex_unlock(&spool->mutex);
}

size_t spool_pending(struct spool *spool)
{
    pthread_mutex_lock(&spool->mutex);
    size_t pending = spool->ring_len + in_file(spool) + spool->taken;
    pthread_mutex_unlock(&spool->mutex);
    return pending;
}

void spool_close(struct spool *spool, spool_closed *closed, void *arg)
{
    pthread_mutex_lock(&spool->mutex);
    spool->closed = closed;
    spool->closed_arg = arg;
    spool->closing = true;
    pthread_cond_signal(&spool->more);
    pthread_mutex_unlock(&spool->mutex);
}

void spool_cancel(struct spool *spool)
{
    uint64_t one = 1;
    (void)!write(spool->stop_fd, &one, sizeof one);
}
