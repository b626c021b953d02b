/* What a server answers to an upgrade, whole and in pieces; the connection is this file's. */
#include "prim/http_upgrade.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

struct http_stream {
    const char *at, *end;
    size_t piece;
    bool paused, closed;
    struct buf unread;
    http_stream_done *connected;
    http_stream_ready *ready;
    void *connected_arg, *ready_arg;
};

/* What came of one answer. */
struct outcome {
    const char *data;
    size_t size, piece;
    struct http_stream *stream;
    bool over;
    struct err err;
    struct buf head, rest;
};

/* --- the connection --------------------------------------------------------------------------- */

struct http_stream *http_stream_start(struct loop *loop, const struct http_stream_spec *spec,
                                      http_stream_done *done, void *arg, struct err *err)
{
    (void)loop, (void)err;
    /* any pointer that is borrowed */
    struct outcome *outcome = (struct outcome *)spec->peer.ca_file;
    struct http_stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct http_stream){.at = outcome->data, .end = outcome->data + outcome->size,
                                   .piece = outcome->piece, .connected = done,
                                       .connected_arg = arg};
    buf_init(&stream->unread, outcome->size);
    return outcome->stream = stream;
}

void http_stream_cancel(struct http_stream *stream)
{
    (void)stream;
}

void http_stream_close(struct http_stream *stream)
{
    if (stream)
        stream->closed = true;
}

void http_stream_listen(struct http_stream *stream, http_stream_ready *ready, void *arg)
{
    stream->ready = ready;
    stream->ready_arg = arg;
}

void http_stream_want(struct http_stream *stream, int events)
{
    (void)stream, (void)events;
}

ssize_t http_stream_recv(struct http_stream *stream, char *to, size_t max, struct err *err)
{
    (void)err;
    stream->paused = !stream->paused;
    if (stream->paused)
        return STREAM_AGAIN;
    size_t len = (size_t)(stream->end - stream->at);
    len = len < stream->piece ? len : stream->piece;
    len = len < max ? len : max;
    memcpy(to, stream->at, len);
    stream->at += len;
    return (ssize_t)len;
}

ssize_t http_stream_send(struct http_stream *stream, const char *data, size_t len,
                         struct err *err)
{
    (void)stream, (void)data, (void)err;
    return (ssize_t)len;
}

void http_stream_unread(struct http_stream *stream, const char *data, size_t len)
{
    fuzz_check(buf_add(&stream->unread, data, len), "no more is given back than came");
}

/* --- the request ------------------------------------------------------------------------------ */

static void on_done(void *arg, const struct http_upgrade_result *result)
{
    struct outcome *outcome = arg;
    fuzz_check(!outcome->over, "done comes once");
    outcome->over = true;
    outcome->err = result->err;
    if (result->err.kind != ERR_NONE) {
        fuzz_check(outcome->stream->closed, "a connection that failed is closed");
        return;
    }
    struct http_stream *stream = result->stream;
    buf_format(&outcome->head, "%d", result->head->status);
    for (size_t i = 0; i < result->head->count; i++) {
        const struct http_field *field = &result->head->fields[i];
        fuzz_check(http_head_get(result->head, field->name) == field->value, "a name stands once");
        buf_format(&outcome->head, "\n%s: %s", field->name, field->value);
    }
    buf_add(&outcome->rest, stream->unread.data, stream->unread.len);
    buf_add(&outcome->rest, stream->at, (size_t)(stream->end - stream->at));
    http_head_free(result->head);
}

static void answer(struct outcome *outcome)
{
    const struct http_upgrade_spec spec = {
        .stream = {.host = "localhost", .port = 80, .peer.ca_file = (const char *)outcome},
        .method = "POST", .path = "/grpc",
    };
    buf_init(&outcome->head, 4 * outcome->size + 64);
    buf_init(&outcome->rest, outcome->size);
    fuzz_check(http_upgrade_start(NULL, &spec, on_done, outcome, &outcome->err), "it starts");
    struct http_stream *stream = outcome->stream;
    stream->connected(stream->connected_arg, &(struct http_stream_result){0});
    while (!outcome->over)
        stream->ready(stream->ready_arg, WATCH_READ);
    buf_fini(&stream->unread);
    mem_free(stream);
}

static bool same(const struct buf *one, const struct buf *other)
{
    return one->len == other->len && (!one->len || memcmp(one->data, other->data, one->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    const size_t pieces[] = {4096, fuzz_byte(&input) % 32 + 1, 1};
    struct outcome outcomes[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        outcomes[i] = (struct outcome){.data = input.at, .size = input.left, .piece = pieces[i]};
        answer(&outcomes[i]);
        fuzz_check(outcomes[i].err.kind == outcomes[0].err.kind &&
                       outcomes[i].err.code == outcomes[0].err.code &&
                       same(&outcomes[i].head, &outcomes[0].head) &&
                       same(&outcomes[i].rest, &outcomes[0].rest),
                   "pieces are understood as the whole is");
    }
    for (int i = 0; i < 3; i++) {
        buf_fini(&outcomes[i].head);
        buf_fini(&outcomes[i].rest);
    }
    return 0;
}
