#include "prim/tar_context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ignore.h"
#include "base/mem.h"
#include "prim/tar_dockerfile.h"
#include "prim/tar_tree.h"

enum { PIPE_SIZE = 1 << 20 };

struct tar_context {
    struct work *work;
    tar_context_done *done;
    void *arg;
    char *dir;
    struct dockerfile dockerfile;
    char *text;
    size_t text_len;
    struct ignore *ignore;
    int read_fd, write_fd, alarm; /* alarm wakes a thread that waits for the reader */
    struct tar_context_result result;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void release(struct tar_context *context)
{
    close_fd(&context->read_fd);
    close_fd(&context->write_fd);
    close_fd(&context->alarm);
    ignore_free(context->ignore);
    dockerfile_fini(&context->dockerfile);
    mem_free(context->text);
    mem_free(context->dir);
    mem_free(context);
}

/* --- on the thread ---------------------------------------------------------------------------- */

static bool to_pipe(void *arg, const void *data, size_t len, struct err *err)
{
    struct tar_context *context = arg;
    for (const char *p = data; len > 0;) {
        ssize_t n = write(context->write_fd, p, len);
        if (n >= 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        if (errno == EPIPE)
            return err_set(err, ERR_IO, "the reader of the build context %s has gone",
                           context->dir);
        if (errno != EAGAIN && errno != EINTR)
            return err_system(err, errno, "cannot send the build context %s", context->dir);
        struct pollfd wait[] = {{.fd = context->write_fd, .events = POLLOUT},
                                {.fd = context->alarm, .events = POLLIN}};
        poll(wait, 2, -1);
        if (wait[1].revents)
            return err_set(err, ERR_CANCELLED, "sending %s was cancelled", context->dir);
    }
    return true;
}

static enum descent_verdict judge(void *arg, const char *path, bool is_dir, const void *above,
                                  void *state)
{
    struct tar_context *context = arg;
    bool excluded = context->ignore && ignore_excludes(context->ignore, path, above, state);
    if (context->text && strcmp(path, context->dockerfile.path) == 0)
        return DESCENT_SKIP; /* written already */
    if (!excluded || dockerfile_needs(&context->dockerfile, path))
        return DESCENT_KEEP;
    if (is_dir && (ignore_may_include(context->ignore, path, state) ||
                   dockerfile_is_below(&context->dockerfile, path)))
        return DESCENT_ENTER;
    return DESCENT_SKIP;
}

/* Ahead of all: BuildKit looks at the first 1024 bytes and wants a plain header there. */
static bool write_head(struct tar_context *context, struct tar_out *out, struct err *err)
{
    struct stat dir = {.st_mode = S_IFDIR | 0755};
    struct stat file = {.st_mode = S_IFREG | 0644, .st_size = (off_t)context->text_len};
    struct tar_entry top = {.path = ".", .st = &dir};
    struct tar_entry dockerfile = {.path = context->dockerfile.path, .st = &file};
    if (!tar_out_entry(out, &top, err))
        return false;
    return !context->text || (tar_out_entry(out, &dockerfile, err) &&
                              tar_out_data(out, context->text, context->text_len, err));
}

static void run(void *arg, const atomic_bool *stop)
{
    struct tar_context *context = arg;
    struct tar_context_result *result = &context->result;
    struct tree_count count = {0};
    const struct tar_out_spec out_spec = {.compression = TAR_NONE, .sink = to_pipe,
                                          .arg = context};
    struct tar_out *out = tar_out_new(&out_spec, &result->err);
    if (!out)
        return;
    const struct tree_spec tree = {
        .root = context->dir, .out = out, .stop = stop,
        .judge = judge, .arg = context,
        .state_size = context->ignore ? ignore_state_size(context->ignore) : 0,
        .special = true, .capable = true,
    };
    bool good = write_head(context, out, &result->err) &&
                tree_write(&tree, &count, &result->err) && tar_out_finish(out, &result->err);
    if (!good)
        tar_out_break(out);
    tar_out_free(out);
    close_fd(&context->write_fd);
    result->files = count.files + (context->text != NULL);
    result->bytes = count.bytes + context->text_len;
    result->excluded = count.skipped;
}

static void on_done(void *arg, bool cancelled)
{
    struct tar_context *context = arg;
    if (cancelled)
        err_set(&context->result.err, ERR_CANCELLED, "sending %s was cancelled", context->dir);
    context->done(context->arg, &context->result);
    release(context);
}

/* --- starting --------------------------------------------------------------------------------- */

static bool open_ends(struct tar_context *context, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_system(err, errno, "cannot make a pipe");
    context->read_fd = ends[0];
    context->write_fd = ends[1];
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a wish: users have a quota */
    context->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return context->alarm >= 0 || err_system(err, errno, "cannot make an event descriptor");
}

struct tar_context *tar_context_start(struct loop *loop, const struct tar_context_spec *spec,
                                      tar_context_done *done, void *arg, struct err *err)
{
    struct tar_context *context = mem_alloc(sizeof *context);
    *context = (struct tar_context){.done = done, .arg = arg, .dir = mem_text(spec->dir),
                                    .read_fd = -1, .write_fd = -1, .alarm = -1};
    if (spec->text) {
        context->text = mem_textn(spec->text, spec->text_len);
        context->text_len = spec->text_len;
    }
    bool good = dockerfile_find(&context->dockerfile, spec, err);
    if (good && spec->ignore)
        good = (context->ignore = ignore_new(spec->ignore, spec->ignore_len, "the ignore patterns",
                                             err));
    else if (good)
        good = dockerfile_ignore(&context->dockerfile, spec, &context->ignore, err);
    if (!good || !open_ends(context, err)) {
        release(context);
        return NULL;
    }
    context->work = work_start(loop, &(struct work_spec){.run = run, .done = on_done,
                                                         .arg = context, .own_thread = true});
    return context;
}

void tar_context_cancel(struct tar_context *context)
{
    const uint64_t one = 1;
    work_cancel(context->work);
    if (write(context->alarm, &one, sizeof one) < 0)
        return; /* full: it was rung before */
}

int tar_context_fd_take(struct tar_context *context)
{
    int fd = context->read_fd;
    context->read_fd = -1;
    return fd;
}
