#include "prim/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/spool_backlog.h"

enum {
    PIECE = 64 << 10, /* read and written at a time */
    READY = 4096,     /* so much a pipe takes without waiting when poll says it is ready */
};

struct spool {
    struct bell *bell;
    int fd;
    bool own;    /* fd is open for this spool alone, with O_NONBLOCK */
    bool patient; /* only the thread may write, since a write may wait */
    size_t step; /* bytes given to write(2) at a time */
    pthread_t thread; /* of what the descriptor does not take at once */
    bool threaded;    /* it has been needed */
    int stop_fd;      /* readable once the thread is to stop at once; -1 without one */
    spool_closed *closed;
    void *closed_arg;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t more;
    struct backlog backlog;
    size_t taken; /* bytes the thread has in its hands */
    struct buf frame;
    bool closing, ended;
    bool broken; /* the descriptor takes nothing any more */
    struct err err; /* once set, new bytes are dropped */
};

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

static void drop_all(struct spool *spool)
{
    backlog_clear(&spool->backlog);
    buf_fini(&spool->frame);
}

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

/* Writes what comes next; the mutex, held by the caller, is given up meanwhile. */
static void write_next(struct spool *spool, char *piece)
{
    struct buf frame = {0};
    size_t len = backlog_take(&spool->backlog, piece, PIECE), back = 0;
    const off_t at = spool->backlog.file_from;
    spool->taken = len;
    if (len == 0)
        back = backlog_in_file(&spool->backlog);
    if (back > PIECE)
        back = PIECE;
    if (len == 0 && back == 0) {
        frame = spool->frame;
        buf_init(&spool->frame, SPOOL_FRAME_MAX);
    }
    pthread_mutex_unlock(&spool->mutex);
    bool good = backlog_read(&spool->backlog, piece, back, at) &&
                write_all(spool, piece, len + back) &&
                write_all(spool, frame.data, frame.len);
    int number = errno;
    buf_fini(&frame);
    pthread_mutex_lock(&spool->mutex);
    spool->taken = 0;
    backlog_drop_file(&spool->backlog, back);
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
        if (backlog_len(&spool->backlog) + spool->frame.len > 0)
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
    if (spool->stop_fd >= 0)
        close(spool->stop_fd);
    if (spool->fd >= 0)
        close(spool->fd);
    bell_free(spool->bell);
    buf_fini(&spool->frame);
    backlog_fini(&spool->backlog);
    pthread_mutex_destroy(&spool->mutex);
    pthread_cond_destroy(&spool->more);
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
    if (spool->threaded)
        pthread_join(spool->thread, NULL);
    spool_closed *closed = spool->closed;
    void *closed_arg = spool->closed_arg;
    struct err err = spool->err;
    spool_free(spool);
    closed(closed_arg, &err);
}

/* Is all that the thread has or would write first what is in memory? */
static bool is_next(const struct spool *spool)
{
    return spool->taken + backlog_in_file(&spool->backlog) + spool->frame.len == 0;
}

/* What the descriptor takes without waiting. */
static void write_now(struct spool *spool)
{
    while (!spool->patient && is_next(spool) && spool->backlog.ring_len > 0) {
        struct iovec parts[2];
        backlog_look(&spool->backlog, parts);
        const ssize_t n = spool->own ? writev(spool->fd, parts, 2)
                                     : pwritev2(spool->fd, parts, 2, -1, RWF_NOWAIT);
        if (n > 0) {
            backlog_drop_ring(&spool->backlog, (size_t)n);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && spool->own) {
            give_up(spool, errno);
            drop_all(spool);
        } else if (errno != EINTR) {
            spool->patient = true; /* not every descriptor can be asked so */
        }
    }
}

static void begin_thread(struct spool *spool)
{
    spool->stop_fd = eventfd(0, EFD_CLOEXEC);
    int number = spool->stop_fd < 0 ? errno : 0;
    if (number == 0)
        number = pthread_create(&spool->thread, NULL, serve, spool);
    spool->threaded = number == 0;
    if (spool->threaded)
        return;
    give_up(spool, number);
    drop_all(spool);
}

/* The mutex, held by the caller, is given up: who is woken can have it. */
static void hand_over(struct spool *spool)
{
    write_now(spool);
    const bool left = backlog_len(&spool->backlog) + spool->frame.len > 0;
    if (left && !spool->threaded)
        begin_thread(spool);
    pthread_mutex_unlock(&spool->mutex);
    if (left)
        pthread_cond_signal(&spool->more);
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
        spool->own = spool->fd >= 0;
        if (spool->own)
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
    spool->fd = spool->stop_fd = -1;
    pthread_mutex_init(&spool->mutex, NULL);
    pthread_cond_init(&spool->more, NULL);
    backlog_init(&spool->backlog);
    buf_init(&spool->frame, SPOOL_FRAME_MAX);
    spool->bell = bell_new(loop, on_bell, spool);
    if (open_target(spool, fd))
        return spool;
    err_system(err, errno, "cannot write to descriptor %d", fd);
    spool_free(spool);
    return NULL;
}

void spool_write(struct spool *spool, const void *data, size_t len)
{
    if (len == 0)
        return;
    pthread_mutex_lock(&spool->mutex);
    if (is_good(spool) && !backlog_add(&spool->backlog, data, len))
        fail(spool, errno, "no room in $TMPDIR for output that has to wait");
    hand_over(spool);
}

void spool_frame(struct spool *spool, const void *data, size_t len)
{
    pthread_mutex_lock(&spool->mutex);
    if (is_good(spool)) {
        buf_clear(&spool->frame);
        buf_add(&spool->frame, data, len);
    }
    hand_over(spool);
}

bool spool_failed(struct spool *spool)
{
    pthread_mutex_lock(&spool->mutex);
    const bool failed = !is_good(spool);
    pthread_mutex_unlock(&spool->mutex);
    return failed;
}

size_t spool_pending(struct spool *spool)
{
    pthread_mutex_lock(&spool->mutex);
    size_t pending = backlog_len(&spool->backlog) + spool->taken;
    pthread_mutex_unlock(&spool->mutex);
    return pending;
}

void spool_close(struct spool *spool, spool_closed *closed, void *arg)
{
    pthread_mutex_lock(&spool->mutex);
    spool->closed = closed;
    spool->closed_arg = arg;
    spool->closing = true;
    spool->ended = !spool->threaded;
    pthread_mutex_unlock(&spool->mutex);
    if (spool->threaded)
        pthread_cond_signal(&spool->more);
    else
        bell_ring(spool->bell);
}

void spool_cancel(struct spool *spool)
{
    uint64_t one = 1;
    if (spool->threaded)
        (void)!write(spool->stop_fd, &one, sizeof one);
}
