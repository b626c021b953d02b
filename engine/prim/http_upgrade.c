#include "prim/http_upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/http_head.h"

enum {
    HEAD_MAX = 64 << 10, /* of the answer, or of the words of a refusal */
    REQUEST_MAX = 16 << 20,
};

struct http_upgrade {
    struct loop *loop;
    struct http_stream *stream;
    bool connected;
    http_upgrade_done *done;
    void *arg;
    struct buf request, answer;
    size_t sent, received;
    size_t body_at; /* where the body of a refusal begins in answer; 0 while in the head */
    struct http_head *head;
    struct timer *end_timer, *timeout_timer;
    struct http_upgrade_result result;
};

static void release(struct http_upgrade *upgrade)
{
    timer_cancel(upgrade->end_timer);
    timer_cancel(upgrade->timeout_timer);
    http_head_free(upgrade->head);
    if (upgrade->request.data)
        explicit_bzero(upgrade->request.data, upgrade->request.len);
    buf_fini(&upgrade->request);
    buf_fini(&upgrade->answer);
    mem_free(upgrade);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void finish(struct http_upgrade *upgrade)
{
    http_upgrade_done *done = upgrade->done;
    void *arg = upgrade->arg;
    struct http_upgrade_result result = upgrade->result;
    if (result.err.kind == ERR_NONE) {
        result.stream = upgrade->stream;
        result.head = upgrade->head;
        upgrade->head = NULL;
    } else {
        http_stream_close(upgrade->stream);
    }
    release(upgrade);
    done(arg, &result);
}

static void on_end(void *arg)
{
    struct http_upgrade *upgrade = arg;
    upgrade->end_timer = NULL;
    finish(upgrade);
}

static void stop(struct http_upgrade *upgrade, enum err_kind kind, const char *why)
{
    if (upgrade->result.err.kind == ERR_NONE)
        err_set(&upgrade->result.err, kind, "%s", why);
    if (!upgrade->connected)
        http_stream_cancel(upgrade->stream); /* its done comes and finishes */
    else if (!upgrade->end_timer)
        upgrade->end_timer = timer_start(upgrade->loop, 0, on_end, upgrade);
}

static void on_timeout(void *arg)
{
    struct http_upgrade *upgrade = arg;
    upgrade->timeout_timer = NULL;
    stop(upgrade, ERR_TIMEOUT, "the server did not answer in time (option 'timeout')");
}

/* --- the answer ------------------------------------------------------------------------------- */

static enum err_kind kind_of_status(int status)
{
    switch (status) {
    case 400:
        return ERR_USAGE;
    case 401:
    case 403:
        return ERR_AUTH;
    case 404:
        return ERR_MISSING;
    case 409:
        return ERR_CONFLICT;
    default:
        return ERR_REMOTE;
    }
}

static bool refuse(struct http_upgrade *upgrade)
{
    struct err *err = &upgrade->result.err;
    const size_t len = upgrade->answer.len - upgrade->body_at;
    const int status = upgrade->head->status;
    err_set(err, kind_of_status(status), "the server answered %d: %.*s", status,
            (int)(len < 1024 ? len : 1024),
            len ? upgrade->answer.data + upgrade->body_at : "(no words)");
    err->code = status;
    return true;
}

/* Has the refusal said all it wants to say? */
static bool refusal_over(struct http_upgrade *upgrade, bool at_end)
{
    const char *length = http_head_get(upgrade->head, "content-length");
    const size_t have = upgrade->answer.len - upgrade->body_at;
    const char *end = upgrade->answer.data + upgrade->answer.len;
    const bool whole = length ? have >= strtoull(length, NULL, 10)
                              : have >= 5 && memcmp(end - 5, "0\r\n\r\n", 5) == 0;
    if (at_end || whole || upgrade->answer.len >= HEAD_MAX)
        return refuse(upgrade);
    return false;
}

static bool fail(struct http_upgrade *upgrade, enum err_kind kind, const char *why)
{
    err_set(&upgrade->result.err, kind, "%s", why);
    return true;
}

/* The next line of the head, CR LF included; NULL when it is not whole yet. */
static const char *next_line(const struct http_upgrade *upgrade, size_t at, size_t *len)
{
    const char *line = upgrade->answer.data + at;
    const char *end = memchr(line, '\n', upgrade->answer.len - at);
    *len = end ? (size_t)(end - line) + 1 : 0;
    return end ? line : NULL;
}

/* true when over, one way or the other */
static bool parse(struct http_upgrade *upgrade, bool at_end)
{
    if (upgrade->body_at > 0)
        return refusal_over(upgrade, at_end);
    size_t at = 0, len;
    const char *line;
    while (at < upgrade->answer.len && (line = next_line(upgrade, at, &len))) {
        at += len;
        if (!upgrade->head) {
            if (!(upgrade->head = http_head_new(line, len)))
                return fail(upgrade, ERR_REMOTE, "the server's answer has no valid status line");
        } else if (len > 2 || (line[0] != '\r' && line[0] != '\n')) {
            if (!http_head_add(upgrade->head, line, len, &upgrade->result.err))
                return true;
        } else if (upgrade->head->status == 101 || upgrade->head->status / 100 == 2) {
            http_stream_unread(upgrade->stream, upgrade->answer.data + at,
                               upgrade->answer.len - at);
            return true;
        } else if (upgrade->head->status / 100 == 1) {
            http_head_free(upgrade->head);
            upgrade->head = NULL;
        } else {
            upgrade->body_at = at;
            return refusal_over(upgrade, at_end);
        }
    }
    if (at > 0)
        buf_drop(&upgrade->answer, at);
    if (at_end)
        return fail(upgrade, ERR_NET, "the server closed the connection before its answer's head "
                                      "was whole");
    return false;
}

/* --- sending and receiving -------------------------------------------------------------------- */

static bool send_some(struct http_upgrade *upgrade)
{
    while (upgrade->sent < upgrade->request.len) {
        const ssize_t n =
            http_stream_send(upgrade->stream, upgrade->request.data + upgrade->sent,
                             upgrade->request.len - upgrade->sent, &upgrade->result.err);
        if (n == STREAM_AGAIN)
            return false;
        if (n == STREAM_BROKEN)
            return true;
        upgrade->sent += (size_t)n;
    }
    return false;
}

static bool receive_some(struct http_upgrade *upgrade)
{
    char chunk[16 << 10];
    for (;;) {
        const ssize_t n =
            http_stream_recv(upgrade->stream, chunk, sizeof chunk, &upgrade->result.err);
        if (n == STREAM_AGAIN)
            return false;
        if (n == STREAM_BROKEN)
            return true;
        upgrade->received += (size_t)n;
        buf_add(&upgrade->answer, chunk, (size_t)n);
        if (parse(upgrade, n == 0))
            return true;
        if (upgrade->received > HEAD_MAX && upgrade->body_at == 0)
            return fail(upgrade, ERR_LIMIT, "the head of the server's answer is too long");
    }
}

static void go_on(struct http_upgrade *upgrade)
{
    if (send_some(upgrade) || receive_some(upgrade)) {
        finish(upgrade);
        return;
    }
    http_stream_want(upgrade->stream, upgrade->sent < upgrade->request.len
                                          ? WATCH_READ | WATCH_WRITE
                                          : WATCH_READ);
}

static void on_ready(void *arg, int events)
{
    (void)events;
    struct http_upgrade *upgrade = arg;
    if (!upgrade->end_timer)
        go_on(upgrade);
}

static void on_connected(void *arg, const struct http_stream_result *result)
{
    struct http_upgrade *upgrade = arg;
    if (result->err.kind != ERR_NONE) {
        upgrade->stream = NULL;
        if (upgrade->result.err.kind == ERR_NONE)
            upgrade->result.err = result->err;
        finish(upgrade);
        return;
    }
    upgrade->connected = true;
    http_stream_listen(upgrade->stream, on_ready, upgrade);
    go_on(upgrade);
}

/* --- starting --------------------------------------------------------------------------------- */

static bool has_field(const struct http_upgrade_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->field_count; i++)
        if (strcasecmp(spec->fields[i].name, name) == 0)
            return true;
    return false;
}

/* Room for all of it at once: growing would leave credentials in freed memory. */
static bool make_room(struct buf *out, const struct http_upgrade_spec *spec)
{
    size_t len = 512 + strlen(spec->method) + strlen(spec->path) + spec->body_len;
    for (size_t i = 0; i < spec->field_count; i++)
        len += strlen(spec->fields[i].name) + strlen(spec->fields[i].value) + 4;
    return buf_room(out, len + (spec->stream.host ? strlen(spec->stream.host) : 0)) != NULL;
}

static bool write_request(struct buf *out, const struct http_upgrade_spec *spec)
{
    bool good = make_room(out, spec) &&
                buf_format(out, "%s %s HTTP/1.1\r\n", spec->method, spec->path);
    const char *host = spec->stream.host;
    if (!has_field(spec, "host") && !spec->stream.peer.unix_path)
        good = good &&
               buf_format(out, strchr(host, ':') ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", host,
                          spec->stream.port);
    else if (!has_field(spec, "host"))
        good = good && buf_text(out, "Host: localhost\r\n");
    if (!has_field(spec, "user-agent"))
        good = good && buf_text(out, "User-Agent: orch/" ORCH_VERSION "\r\n");
    if (!has_field(spec, "connection"))
        good = good && buf_text(out, "Connection: Upgrade\r\n");
    if (!has_field(spec, "upgrade"))
        good = good && buf_text(out, "Upgrade: tcp\r\n");
    for (size_t i = 0; i < spec->field_count; i++)
        good = good && buf_text(out, spec->fields[i].name) && buf_text(out, ": ") &&
               buf_text(out, spec->fields[i].value) && buf_text(out, "\r\n");
    if (spec->body || strcmp(spec->method, "GET") != 0)
        good = good && buf_format(out, "Content-Length: %zu\r\n", spec->body_len);
    return good && buf_text(out, "\r\n") && buf_add(out, spec->body, spec->body_len);
}

struct http_upgrade *http_upgrade_start(struct loop *loop, const struct http_upgrade_spec *spec,
                                        http_upgrade_done *done, void *arg, struct err *err)
{
    struct http_upgrade *upgrade = mem_alloc(sizeof *upgrade);
    *upgrade = (struct http_upgrade){.loop = loop, .done = done, .arg = arg};
    buf_init(&upgrade->request, REQUEST_MAX);
    buf_init(&upgrade->answer, 2 * HEAD_MAX);
    if (!write_request(&upgrade->request, spec)) {
        err_set(err, ERR_LIMIT, "the request is longer than %d bytes", REQUEST_MAX);
        release(upgrade);
        return NULL;
    }
    upgrade->stream = http_stream_start(loop, &spec->stream, on_connected, upgrade, err);
    if (!upgrade->stream) {
        release(upgrade);
        return NULL;
    }
    if (spec->timeout_ms)
        upgrade->timeout_timer = timer_start(loop, spec->timeout_ms, on_timeout, upgrade);
    return upgrade;
}

void http_upgrade_cancel(struct http_upgrade *upgrade)
{
    stop(upgrade, ERR_CANCELLED, "the request was cancelled");
}
