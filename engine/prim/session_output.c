#include "prim/session_call.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* moby.filesync.v1.FileSend/DiffCopy: what a build exports, written to a file by a thread. The file
   is there whole or not at all. */

enum {
    QUEUE_HIGH = 1 << 20,   /* bytes that wait for the disk; the daemon waits from there on */
    QUEUE_MAX = 32 << 20,
    MESSAGE_MAX = 8 << 20,  /* BuildKit cuts at 3 MiB */
};

struct output {
    struct session_core *core;
    struct session_call *call; /* NULL once it is closed; of the loop */
    struct work *work;
    struct bell *bell;
    char *part; /* the file while it grows */
    unsigned long long bytes; /* the thread's, until it has ended */
    struct err err;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t change;
    struct buf queue;
    bool half, gone; /* the daemon has sent all; the call was closed */
};

/* --- on the thread ---------------------------------------------------------------------------- */

/* The bytes that came, in data; false at their end. */
static bool wait_for(struct output *output, struct buf *data, bool *whole)
{
    buf_clear(data);
    pthread_mutex_lock(&output->lock);
    while (output->queue.len == 0 && !output->half && !output->gone)
        pthread_cond_wait(&output->change, &output->lock);
    const struct buf full = output->queue;
    output->queue = *data;
    *data = full;
    *whole = output->half;
    const bool more = data->len > 0 && (output->half || !output->gone);
    pthread_mutex_unlock(&output->lock);
    bell_ring(output->bell);
    return more;
}

static bool write_all(struct output *output, int fd)
{
    struct buf data;
    bool whole = false, good = true;
    buf_init(&data, QUEUE_MAX);
    while (good && wait_for(output, &data, &whole)) {
        good = fd_write(fd, data.data, data.len) ||
               err_system(&output->err, errno, "cannot write %s", output->part);
        output->bytes += data.len;
    }
    buf_fini(&data);
    return good && (whole || err_set(&output->err, ERR_CANCELLED, "the build's output was cut"));
}

static void run(void *arg, const atomic_bool *stop)
{
    struct output *output = arg;
    const char *path = output->core->spec.output;
    (void)stop;
    if (!file_replaceable(path, &output->err))
        return;
    const int fd = open(output->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        err_system(&output->err, errno, "cannot make %s", output->part);
        return;
    }
    bool good = write_all(output, fd);
    if (close(fd) != 0 && good)
        good = err_system(&output->err, errno, "cannot write %s", output->part);
    if (good && rename(output->part, path) != 0)
        good = err_system(&output->err, errno, "cannot make %s", path);
    if (!good)
        unlink(output->part);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void output_free(struct output *output)
{
    bell_free(output->bell);
    buf_fini(&output->queue);
    mem_free(output->part);
    pthread_cond_destroy(&output->change);
    pthread_mutex_destroy(&output->lock);
    mem_free(output);
}

static void on_bell(void *arg)
{
    struct output *output = arg;
    if (!output->call || !output->call->busy)
        return;
    pthread_mutex_lock(&output->lock);
    const bool room = output->queue.len < QUEUE_HIGH;
    pthread_mutex_unlock(&output->lock);
    if (room)
        call_set_busy(output->call, false);
}

static void on_ended(void *arg, bool cancelled)
{
    struct output *output = arg;
    struct session_core *core = output->core;
    const struct err *err = &output->err;
    output->work = NULL;
    if (cancelled)
        err_set(&output->err, ERR_IO, "no thread to be had for writing the build's output");
    if (err->kind == ERR_NONE)
        core->stats.output += output->bytes;
    else if (err->kind != ERR_CANCELLED)
        session_note(core, err);
    if (output->call)
        call_finish(output->call, err->kind == ERR_NONE ? GRPC_OK : GRPC_UNKNOWN,
                    err->kind == ERR_NONE ? NULL : err->message);
    else
        output_free(output);
    session_work_over(core);
}

static void signal_thread(struct output *output, bool half, bool gone)
{
    pthread_mutex_lock(&output->lock);
    output->half |= half;
    output->gone |= gone;
    pthread_cond_signal(&output->change);
    pthread_mutex_unlock(&output->lock);
}

static void close_output(struct session_call *call)
{
    struct output *output = call->state;
    output->call = NULL;
    if (output->work)
        signal_thread(output, false, true);
    else
        output_free(output);
}

static bool open_output(struct session_call *call)
{
    struct session_core *core = call->core;
    if (!core->spec.output || core->exporting) {
        call_finish(call, GRPC_INVALID, "no output was asked for, or only one");
        return false;
    }
    core->exporting = true;
    struct output *output = call->state = mem_alloc(sizeof *output);
    *output = (struct output){.core = core, .call = call};
    struct buf part;
    buf_init(&part, 8 << 10);
    buf_format(&part, "%s.part-%ld", core->spec.output, (long)getpid());
    output->part = buf_take(&part);
    buf_init(&output->queue, QUEUE_MAX);
    pthread_mutex_init(&output->lock, NULL);
    pthread_cond_init(&output->change, NULL);
    output->bell = bell_new(core->loop, on_bell, output);
    core->works++;
    output->work = work_start(core->loop, &(struct work_spec){.run = run, .done = on_ended,
                                                              .arg = output, .own_thread = true});
    call_wake(call);
    return true;
}

static void take_bytes(struct session_call *call, struct protobuf_text message)
{
    struct output *output = call->state;
    struct protobuf_field field;
    bool good = true, high = false;
    while (good && message.len > 0 && !protobuf_read(&message, &field)) {
        if (field.number != 1 || field.wire != PROTOBUF_BYTES)
            continue;
        pthread_mutex_lock(&output->lock);
        good = buf_add(&output->queue, field.text.at, field.text.len);
        high = output->queue.len >= QUEUE_HIGH;
        pthread_cond_signal(&output->change);
        pthread_mutex_unlock(&output->lock);
    }
    if (!good)
        call_finish(call, GRPC_RESOURCE_EXHAUSTED, "the disk is too slow");
    else if (high)
        call_set_busy(call, true);
}

static void no_more_bytes(struct session_call *call)
{
    signal_thread(call->state, true, false);
}

const struct session_method session_output = {
    .path = "/moby.filesync.v1.FileSend/DiffCopy",
    .message_max = MESSAGE_MAX,
    .open = open_output,
    .message = take_bytes,
    .half = no_more_bytes,
    .closed = close_output,
};
