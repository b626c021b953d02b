#include "prim/http_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/http_easy.h"
#include "prim/http_pool.h"

enum { AHEAD_MAX = 1 << 20 };

struct http_stream {
    struct http_pool *pool; /* its own: a request in the same multi may take an idle connection with
                               unread bytes for a dead one and close it */
    CURL *easy;
    struct http_leg leg;
    struct http_url url;
    struct http_peer peer; /* unix_path only */
    http_stream_done *done;
    http_stream_ready *ready;
    void *done_arg, *ready_arg;
    struct timer *end_timer;
    struct watch *watch;
    curl_socket_t fd;
    int wanted;
    struct buf ahead;
    struct http_stream_result result;
    char detail[CURL_ERROR_SIZE];
};

void http_stream_close(struct http_stream *stream)
{
    if (!stream)
        return;
    timer_cancel(stream->end_timer);
    watch_free(stream->watch);
    if (stream->easy) {
        http_pool_drop(stream->pool, stream->easy);
        curl_easy_cleanup(stream->easy);
    }
    http_pool_free(stream->pool);
    http_url_fini(&stream->url);
    buf_fini(&stream->ahead);
    mem_free((char *)stream->peer.unix_path);
    mem_free(stream);
}

static void on_event(void *arg, int events)
{
    struct http_stream *stream = arg;
    stream->wanted &= ~events;
    watch_set(stream->watch, stream->wanted);
    stream->ready(stream->ready_arg, events);
}

/* Not in on_ended: the pool that calls it would be freed under its feet. */
static void on_end(void *arg)
{
    struct http_stream *stream = arg;
    stream->end_timer = NULL;
    http_stream_done *done = stream->done;
    void *done_arg = stream->done_arg;
    const struct http_stream_result result = stream->result;
    if (result.err.kind != ERR_NONE)
        http_stream_close(stream);
    done(done_arg, &result);
}

static void end_soon(struct http_stream *stream)
{
    if (!stream->end_timer)
        stream->end_timer = timer_start(http_pool_loop(stream->pool), 0, on_end, stream);
}

static void on_ended(void *arg, CURLcode code)
{
    struct http_stream *stream = arg;
    struct err *err = &stream->result.err;
    if (err->kind != ERR_NONE)
        return;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &stream->fd);
    if (code != CURLE_OK)
        http_easy_fault(stream->easy, code, &stream->url, &stream->peer, stream->detail, err);
    else if (!(stream->watch =
                   watch_new(http_pool_loop(stream->pool), stream->fd, on_event, stream)))
        err_set(err, ERR_IO, "cannot watch the connection");
    end_soon(stream);
}

static bool open_easy(struct http_stream *stream, const struct http_stream_spec *spec,
                      struct err *err)
{
    char text[512];
    const char *host = spec->peer.unix_path ? "localhost" : spec->host;
    const bool bare = strchr(host, ':') && host[0] != '['; /* an IPv6 address */
    const int len = snprintf(text, sizeof text, "http%s://%s%s%s:%u/", spec->tls ? "s" : "",
                             bare ? "[" : "", host, bare ? "]" : "",
                             spec->peer.unix_path ? 80 : spec->port);
    if (len >= (int)sizeof text)
        return err_set(err, ERR_USAGE, "the host's name is too long");
    if (!http_url_init(&stream->url, text, err) ||
        !(stream->pool = http_pool_new(stream->leg.arg, err)) ||
        !(stream->easy = http_easy_new(&spec->peer, err)))
        return false;
    curl_easy_setopt(stream->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(stream->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(stream->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    curl_easy_setopt(stream->easy, CURLOPT_ERRORBUFFER, stream->detail);
    http_easy_aim(stream->easy, &stream->url, text, spec->peer.unix_path != NULL);
    return true;
}

struct http_stream *http_stream_start(struct loop *loop, const struct http_stream_spec *spec,
                                      http_stream_done *done, void *arg, struct err *err)
{
    struct http_stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct http_stream){.done = done, .done_arg = arg, .fd = CURL_SOCKET_BAD};
    buf_init(&stream->ahead, AHEAD_MAX);
    stream->peer.unix_path = mem_text(spec->peer.unix_path);
    stream->leg = (struct http_leg){.ended = on_ended, .arg = loop};
    if (!open_easy(stream, spec, err)) {
        http_stream_close(stream);
        return NULL;
    }
    stream->leg.arg = stream;
    http_pool_add(stream->pool, stream->easy, &stream->leg);
    return stream;
}

void http_stream_cancel(struct http_stream *stream)
{
    if (stream->result.err.kind == ERR_NONE)
        err_set(&stream->result.err, ERR_CANCELLED, "the connection was cancelled");
    end_soon(stream);
}

void http_stream_listen(struct http_stream *stream, http_stream_ready *ready, void *arg)
{
    stream->ready = ready;
    stream->ready_arg = arg;
}

void http_stream_want(struct http_stream *stream, int events)
{
    stream->wanted |= events;
    watch_set(stream->watch, stream->wanted);
}

static ssize_t result_of(struct http_stream *stream, CURLcode code, size_t len, struct err *err)
{
    if (code == CURLE_OK)
        return (ssize_t)len;
    if (code == CURLE_AGAIN)
        return STREAM_AGAIN;
    http_easy_fault(stream->easy, code, &stream->url, &stream->peer, stream->detail, err);
    return STREAM_BROKEN;
}

ssize_t http_stream_recv(struct http_stream *stream, char *to, size_t max, struct err *err)
{
    size_t len = stream->ahead.len;
    if (len > 0) {
        len = len < max ? len : max;
        memcpy(to, stream->ahead.data, len);
        buf_drop(&stream->ahead, len);
        return (ssize_t)len;
    }
    const CURLcode code = curl_easy_recv(stream->easy, to, max, &len);
    return result_of(stream, code, len, err);
}

ssize_t http_stream_send(struct http_stream *stream, const char *data, size_t len,
                         struct err *err)
{
    size_t sent = 0;
    const CURLcode code = curl_easy_send(stream->easy, data, len, &sent);
    return result_of(stream, code, sent, err);
}

void http_stream_unread(struct http_stream *stream, const char *data, size_t len)
{
    buf_add(&stream->ahead, data, len);
}

/* Libcurl tells its connection only to a handle that has used it. */
static SSL *tls_of(struct http_stream *stream)
{
    char chunk[1 << 10];
    size_t len = 0;
    struct curl_tlssessioninfo *session = NULL;
    curl_easy_getinfo(stream->easy, CURLINFO_TLS_SSL_PTR, &session);
    if (session && !session->internals &&
        curl_easy_recv(stream->easy, chunk, sizeof chunk, &len) == CURLE_OK)
        buf_add(&stream->ahead, chunk, len);
    curl_easy_getinfo(stream->easy, CURLINFO_TLS_SSL_PTR, &session);
    return session && session->backend == CURLSSLBACKEND_OPENSSL ? session->internals : NULL;
}

/* Libcurl has no call for it. */
static int shutdown_tls(struct http_stream *stream, struct err *err)
{
    SSL *tls = tls_of(stream);
    if (!tls) {
        err_set(err, ERR_USAGE,
            "this libcurl's TLS cannot close a connection in one direction only");
        return STREAM_BROKEN;
    }
    ERR_clear_error();
    const int sent = SSL_shutdown(tls);
    if (sent >= 0)
        return STREAM_DONE;
    if (SSL_get_error(tls, sent) == SSL_ERROR_WANT_WRITE)
        return STREAM_AGAIN;
    err_set(err, ERR_NET, "cannot end the TLS connection's sending side");
    return STREAM_BROKEN;
}

int http_stream_shutdown(struct http_stream *stream, struct err *err)
{
    if (strcmp(stream->url.scheme, "https") == 0)
        return shutdown_tls(stream, err);
    if (shutdown(stream->fd, SHUT_WR) == 0 || errno == ENOTCONN)
        return STREAM_DONE;
    err_system(err, errno, "cannot end the connection's sending side");
    return STREAM_BROKEN;
}
