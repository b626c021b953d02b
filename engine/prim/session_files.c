#include "prim/session_call.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "prim/session_source.h"

/* moby.filesync.v1.FileSync/DiffCopy: the loop's side of a session_source, which has a thread. */

enum {
    READY_HIGH = 512 << 10, /* bytes that wait for the daemon; the thread waits from there on */
    READY_MAX = 4 << 20,
    ASKED_MAX = 10 * 1000 * 1000, /* files asked for and not sent yet */
    SOURCES_MAX = 16,             /* threads of one session */
};

/* A list of borrowed or decoded texts of the metadata. */
struct texts {
    char **list;
    size_t count;
};

struct files {
    struct session_core *core;
    struct session_call *call; /* NULL once it is closed; of the loop */
    struct work *work;
    struct bell *bell;
    struct texts include, exclude, follow;
    const struct session_gift *dir; /* NULL = the Dockerfile's text */
    struct source_count count;      /* the thread's, until it has ended */
    struct err err;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t change;
    struct buf ready;  /* for the daemon */
    bool hungry;       /* the loop has nothing to send: ring when there is */
    bool fin, gone;
    uint32_t *asked;
    size_t asked_at, asked_count, asked_room;
};

/* --- on the thread ---------------------------------------------------------------------------- */

static bool give(void *arg, struct buf *batch)
{
    struct files *files = arg;
    pthread_mutex_lock(&files->lock);
    while (files->ready.len >= READY_HIGH && !files->gone)
        pthread_cond_wait(&files->change, &files->lock);
    const bool good = !files->gone && buf_add(&files->ready, batch->data, batch->len);
    const bool ring = good && files->hungry;
    files->hungry = files->hungry && !ring;
    pthread_mutex_unlock(&files->lock);
    buf_clear(batch);
    if (ring)
        bell_ring(files->bell);
    return good;
}

static bool next(void *arg, uint32_t *number)
{
    struct files *files = arg;
    pthread_mutex_lock(&files->lock);
    while (files->asked_at == files->asked_count && !files->fin && !files->gone)
        pthread_cond_wait(&files->change, &files->lock);
    const bool more = !files->gone && files->asked_at < files->asked_count;
    if (more)
        *number = files->asked[files->asked_at++];
    if (files->asked_at == files->asked_count)
        files->asked_at = files->asked_count = 0;
    pthread_mutex_unlock(&files->lock);
    return more;
}

static bool waiting(void *arg)
{
    struct files *files = arg;
    pthread_mutex_lock(&files->lock);
    const bool there = files->asked_at < files->asked_count && !files->gone;
    pthread_mutex_unlock(&files->lock);
    return there;
}

static void run(void *arg, const atomic_bool *stop)
{
    struct files *files = arg;
    const struct session_spec *spec = &files->core->spec;
    const struct source_spec source = {
        .dir = files->dir ? files->dir->value : NULL,
        .text = spec->dockerfile_text, .text_len = spec->dockerfile_len,
        .include = (const char *const *)files->include.list,
        .include_count = files->include.count,
        .exclude = (const char *const *)files->exclude.list,
        .exclude_count = files->exclude.count,
        .follow = (const char *const *)files->follow.list, .follow_count = files->follow.count,
        .stop = stop, .give = give, .next = next, .waiting = waiting, .arg = files,
    };
    source_run(&source, &files->count, &files->err);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void texts_fini(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        mem_free(texts->list[i]);
    mem_free(texts->list);
}

static void files_free(struct files *files)
{
    texts_fini(&files->include);
    texts_fini(&files->exclude);
    texts_fini(&files->follow);
    bell_free(files->bell);
    buf_fini(&files->ready);
    mem_free(files->asked);
    pthread_cond_destroy(&files->change);
    pthread_mutex_destroy(&files->lock);
    mem_free(files);
}

static void more(struct session_call *call)
{
    struct files *files = call->state;
    pthread_mutex_lock(&files->lock);
    if (files->ready.len > 0) {
        const struct buf sent = call->out;
        call->out = files->ready;
        files->ready = sent;
        pthread_cond_signal(&files->change);
    } else if (!files->work) { /* it has ended, and all of it is sent */
        const bool good = files->err.kind == ERR_NONE;
        call_finish(call, good ? GRPC_OK : GRPC_UNKNOWN, good ? NULL : files->err.message);
    } else {
        files->hungry = true;
    }
    pthread_mutex_unlock(&files->lock);
}

static void on_bell(void *arg)
{
    struct files *files = arg;
    if (files->call)
        call_wake(files->call);
}

static void on_ended(void *arg, bool cancelled)
{
    struct files *files = arg;
    struct session_core *core = files->core;
    files->work = NULL;
    if (cancelled)
        err_set(&files->err, ERR_IO, "no thread to be had for sending files");
    core->stats.entries += files->count.entries;
    core->stats.files += files->count.files;
    core->stats.bytes += files->count.bytes;
    if (files->err.kind == ERR_REMOTE)
        session_fail(core, &files->err);
    else if (files->err.kind != ERR_NONE && files->err.kind != ERR_CANCELLED)
        session_note(core, &files->err);
    if (files->call)
        call_wake(files->call);
    else
        files_free(files);
    session_work_over(core);
}

static void close_files(struct session_call *call)
{
    struct files *files = call->state;
    files->call = NULL;
    if (!files->work) {
        files_free(files);
        return;
    }
    work_cancel(files->work);
    pthread_mutex_lock(&files->lock);
    files->gone = true;
    pthread_cond_signal(&files->change);
    pthread_mutex_unlock(&files->lock);
}

/* --- metadata --------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Go's url.QueryUnescape, but what is malformed stays. */
static void decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from == '%' && hex(from[1]) >= 0 && hex(from[2]) >= 0) {
            *to++ = (char)(hex(from[1]) << 4 | hex(from[2]));
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    *to = '\0';
}

/* Every value of that name; "NAME-encoded: 1" tells that they are. */
static struct texts read_texts(const struct session_call *call, const char *name)
{
    struct texts texts = {0};
    struct buf encoded;
    buf_init(&encoded, 64);
    buf_format(&encoded, "%s-encoded", name);
    const char *flag = call_value(call, encoded.data, 0);
    buf_fini(&encoded);
    texts.list = mem_alloc((call->meta_count + 1) * sizeof *texts.list);
    for (size_t i = 0; i < call->meta_count; i++) {
        if (strcmp(call->meta[i].name, name) != 0)
            continue;
        char *text = texts.list[texts.count++] = mem_text(call->meta[i].value);
        if (flag && strcmp(flag, "1") == 0)
            decode(text);
    }
    return texts;
}

/* --- the method ------------------------------------------------------------------------------- */

static bool open_files(struct session_call *call)
{
    struct session_core *core = call->core;
    struct texts name = read_texts(call, "dir-name");
    const char *wanted = name.count > 0 ? name.list[0] : "";
    const bool text = core->spec.dockerfile_text && strcmp(wanted, "dockerfile") == 0;
    const struct session_gift *dir = session_find(&core->spec.dirs, wanted, strlen(wanted));
    texts_fini(&name);
    if (!dir && !text) {
        call_finish(call, GRPC_NOT_FOUND, "no such directory is served");
        return false;
    }
    if (core->works >= SOURCES_MAX) {
        call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many directories at a time");
        return false;
    }
    struct files *files = call->state = mem_alloc(sizeof *files);
    *files = (struct files){.core = core, .call = call, .dir = text ? NULL : dir};
    buf_init(&files->ready, READY_MAX);
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->change, NULL);
    files->include = read_texts(call, "include-patterns");
    files->exclude = read_texts(call, "exclude-patterns");
    files->follow = read_texts(call, "followpaths");
    files->bell = bell_new(core->loop, on_bell, files);
    core->works++;
    files->work = work_start(core->loop, &(struct work_spec){.run = run, .done = on_ended,
                                                             .arg = files, .own_thread = true});
    call_wake(call);
    return true;
}

static void bad_packet(struct session_call *call, const char *why)
{
    struct err err;
    err_set(&err, ERR_REMOTE, "the build session was ended: the daemon's packet is none: %s", why);
    session_fail(call->core, &err);
}

static void ask(struct session_call *call, uint64_t number)
{
    struct files *files = call->state;
    bool good = number < UINT32_MAX;
    pthread_mutex_lock(&files->lock);
    if (files->asked_count == files->asked_room && files->asked_room < ASKED_MAX) {
        files->asked_room = files->asked_room ? files->asked_room * 2 : 256;
        files->asked = mem_grow(files->asked, files->asked_room * sizeof *files->asked);
    }
    good = good && files->asked_count < files->asked_room;
    if (good)
        files->asked[files->asked_count++] = (uint32_t)number;
    pthread_cond_signal(&files->change);
    pthread_mutex_unlock(&files->lock);
    if (!good)
        bad_packet(call, "it asks for too many files");
}

static void end_asking(struct session_call *call)
{
    struct files *files = call->state;
    pthread_mutex_lock(&files->lock);
    files->fin = true;
    pthread_cond_signal(&files->change);
    pthread_mutex_unlock(&files->lock);
}

static void take_packet(struct session_call *call, struct protobuf_text message)
{
    struct protobuf_field field;
    uint64_t type = PACKET_STAT, number = 0;
    const char *why = NULL;
    while (!why && message.len > 0)
        if (!(why = protobuf_read(&message, &field)) && field.wire == PROTOBUF_VARINT) {
            if (field.number == 1)
                type = field.value;
            else if (field.number == 3)
                number = field.value;
        }
    if (why)
        bad_packet(call, why);
    else if (type == PACKET_REQ)
        ask(call, number);
    else if (type == PACKET_FIN)
        end_asking(call);
    else if (type == PACKET_ERR) /* the daemon's own answer tells more */
        call_finish(call, GRPC_UNKNOWN, "the daemon gave up");
    else
        bad_packet(call, "it is of no type that may come here");
}

const struct session_method session_files = {
    .path = "/moby.filesync.v1.FileSync/DiffCopy",
    .message_max = CALL_MESSAGE_MAX,
    .open = open_files,
    .message = take_packet,
    .half = end_asking,
    .more = more,
    .closed = close_files,
};
