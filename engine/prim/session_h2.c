#include "prim/session_h2.h"

#include <stdio.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/mem.h"
#include "prim/session_grpc.h"

enum {
    CALLS_MAX = 64,              /* at the same time */
    META_MAX = 4 << 20,          /* bytes of one call's metadata: patterns of a .dockerignore */
    META_ALL_MAX = 16 << 20,     /* of all calls */
    META_FIELDS_MAX = 40000,
    CONTINUATIONS_MAX = 1024,    /* frames of one call's metadata */
    STREAM_WINDOW = 1 << 20,     /* bytes that the daemon may send ahead, per call */
    WINDOW = 8 << 20,            /* in all */
};

struct session_h2 {
    struct session_core *core;
    nghttp2_session *session;
    struct session_call *calls;
    size_t meta_len;
    unsigned continuations;
    struct err err; /* what a callback found */
    char words[256]; /* nghttp2's own of the last error */
};

static int fail(struct session_h2 *h2, enum err_kind kind, const char *words)
{
    if (h2->err.kind == ERR_NONE)
        err_set(&h2->err, kind, "the build session was ended: %s", words);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct session_call *call_of(struct session_h2 *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2->session, id);
}

static void free_call(struct session_h2 *h2, struct session_call *call)
{
    if (call->method && call->method->closed && call->state)
        call->method->closed(call);
    if (call->prev)
        call->prev->next = call->next;
    else
        h2->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
    h2->meta_len -= call->meta_len;
    grpc_free_meta(call);
    if (call->out.data)
        explicit_bzero(call->out.data, call->out.cap); /* a secret may have passed */
    buf_fini(&call->out);
    buf_fini(&call->in);
    mem_free(call->path);
    mem_free(call->words);
    mem_free(call);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct session_h2 *h2 = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct session_call *call = mem_alloc(sizeof *call);
    *call = (struct session_call){.core = h2->core, .h2 = h2, .id = frame->hd.stream_id,
                                  .next = h2->calls};
    buf_init(&call->out, CALL_OUT_MAX);
    if (h2->calls)
        h2->calls->prev = call;
    h2->calls = call;
    h2->continuations = 0;
    return nghttp2_session_set_stream_user_data(session, call->id, call);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct session_h2 *h2 = arg;
    struct session_call *call = call_of(h2, frame->hd.stream_id);
    (void)session;
    (void)flags;
    if (!call || call->method)
        return 0; /* trailers */
    const size_t len = name_len + value_len + 64;
    if (call->meta_len + len > META_MAX || h2->meta_len + len > META_ALL_MAX ||
        call->meta_count >= META_FIELDS_MAX)
        return fail(h2, ERR_LIMIT, "the daemon sent endless metadata with a call");
    call->meta_len += len;
    h2->meta_len += len;
    if (name_len == 5 && memcmp(name, ":path", 5) == 0 && !call->path)
        call->path = mem_textn((const char *)value, value_len);
    else if (name_len > 0 && name[0] != ':')
        grpc_add_meta(call, (const char *)name, name_len, (const char *)value, value_len);
    return 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *arg)
{
    struct session_h2 *h2 = arg;
    (void)session;
    if (head->type == NGHTTP2_CONTINUATION && ++h2->continuations > CONTINUATIONS_MAX)
        return fail(h2, ERR_LIMIT, "the daemon sent endless metadata with a call");
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct session_h2 *h2 = arg;
    (void)session;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct session_call *call = call_of(h2, frame->hd.stream_id);
    if (!call)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !call->method) {
        h2->core->stats.calls++;
        grpc_open(call);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        grpc_half(call);
    return 0;
}

static void tell_taken(struct session_call *call)
{
    if (call->unread > 0 && !call->busy)
        nghttp2_session_consume(call->h2->session, call->id, call->unread);
    if (!call->busy)
        call->unread = 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
    struct session_h2 *h2 = arg;
    struct session_call *call = call_of(h2, id);
    (void)flags;
    if (!call || call->finished) {
        nghttp2_session_consume(session, id, len);
        return 0;
    }
    call->unread += len;
    if (!grpc_take(call, (const char *)data, len, &h2->err))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    tell_taken(call);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct session_h2 *h2 = arg;
    struct session_call *call = call_of(h2, id);
    (void)session;
    (void)code;
    if (call) {
        nghttp2_session_consume_connection(h2->session, call->unread);
        free_call(h2, call);
    }
    return 0;
}

static int on_words(nghttp2_session *session, int code, const char *words, size_t len, void *arg)
{
    struct session_h2 *h2 = arg;
    (void)session;
    (void)code;
    snprintf(h2->words, sizeof h2->words, "%.*s", (int)len, words);
    return 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

enum { STATUS_FIELDS = 2 };

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value)};
}

/* status and words as fields; number is room for the first one's text. */
static size_t status_fields(const struct session_call *call, char number[12], nghttp2_nv *fields)
{
    snprintf(number, 12, "%d", call->status);
    fields[0] = field("grpc-status", number);
    if (!call->words)
        return 1;
    fields[1] = field("grpc-message", call->words);
    return 2;
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t max,
                        uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct session_call *call = source->ptr;
    (void)arg;
    if (call->out.len == 0 && !call->finished && call->method->more)
        call->method->more(call);
    size_t len = call->out.len - call->out_at;
    if (len == 0 && !call->finished) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    len = len < max ? len : max;
    if (len > 0)
        memcpy(to, call->out.data + call->out_at, len);
    call->out_at += len;
    if (call->out_at == call->out.len) {
        buf_clear(&call->out);
        call->out_at = 0;
        if (call->finished) {
            char number[12];
            nghttp2_nv fields[STATUS_FIELDS];
            *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, fields, status_fields(call, number, fields));
        }
    }
    return (ssize_t)len;
}

static void answer(struct session_call *call, bool with_data)
{
    char number[12];
    nghttp2_nv fields[2 + STATUS_FIELDS] = {field(":status", "200"),
                                            field("content-type", "application/grpc")};
    const nghttp2_data_provider out = {.source.ptr = call, .read_callback = read_out};
    size_t count = 2;
    if (!with_data)
        count += status_fields(call, number, fields + 2);
    nghttp2_submit_response(call->h2->session, call->id, fields, count, with_data ? &out : NULL);
    call->answered = true;
}

void call_wake(struct session_call *call)
{
    if (!call->answered)
        answer(call, call->out.len > 0 || !call->finished);
    else if (call->deferred)
        nghttp2_session_resume_data(call->h2->session, call->id);
    call->deferred = false;
    session_poke(call->core);
}

void call_set_busy(struct session_call *call, bool busy)
{
    call->busy = busy;
    if (busy)
        return;
    tell_taken(call);
    session_poke(call->core);
}

/* --- the whole -------------------------------------------------------------------------------- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_words);
    return callbacks;
}

struct session_h2 *session_h2_new(struct session_core *core, struct err *err)
{
    struct session_h2 *h2 = mem_alloc(sizeof *h2);
    h2->core = core;
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = NULL;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, CALLS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, META_MAX},
    };
    if (callbacks && nghttp2_option_new(&options) == 0) {
        nghttp2_option_set_no_auto_window_update(options, 1);
#ifdef HAVE_MAX_CONTINUATIONS
        nghttp2_option_set_max_continuations(options, CONTINUATIONS_MAX);
#endif
        if (nghttp2_session_server_new2(&h2->session, callbacks, h2, options) != 0)
            h2->session = NULL;
    }
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    if (h2->session &&
        nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) == 0 &&
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, WINDOW) == 0)
        return h2;
    session_h2_free(h2);
    err_set(err, ERR_IO, "cannot make an HTTP/2 server");
    return NULL;
}

void session_h2_free(struct session_h2 *h2)
{
    if (!h2)
        return;
    while (h2->calls)
        free_call(h2, h2->calls);
    nghttp2_session_del(h2->session);
    mem_free(h2);
}

static bool broken(struct session_h2 *h2, ssize_t code, struct err *err)
{
    if (h2->err.kind == ERR_NONE)
        err_set(&h2->err, ERR_REMOTE,
                "the build session was ended: the daemon does not keep to HTTP/2: %s",
                h2->words[0] ? h2->words : nghttp2_strerror((int)code));
    *err = h2->err;
    return false;
}

bool session_h2_take(struct session_h2 *h2, const char *data, size_t len, struct err *err)
{
    const ssize_t taken = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, len);
    return taken == (ssize_t)len || broken(h2, taken < 0 ? taken : NGHTTP2_ERR_PROTO, err);
}

bool session_h2_give(struct session_h2 *h2, struct buf *out, size_t max, struct err *err)
{
    while (out->len < max) {
        const uint8_t *data;
        const ssize_t len = nghttp2_session_mem_send(h2->session, &data);
        if (len < 0)
            return broken(h2, len, err);
        if (len == 0)
            break;
        buf_add(out, data, (size_t)len);
    }
    return h2->err.kind == ERR_NONE || broken(h2, 0, err);
}

bool session_h2_over(const struct session_h2 *h2, struct err *err)
{
    if (nghttp2_session_want_read(h2->session) || nghttp2_session_want_write(h2->session))
        return false;
    err_set(err, ERR_REMOTE, "the build session was ended: %s%s",
            h2->words[0] ? "the daemon does not keep to HTTP/2: "
                : "the daemon wants no more of it",
            h2->words);
    return true;
}
