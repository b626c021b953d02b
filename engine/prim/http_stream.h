/* A raw connection through libcurl (TCP, TLS, proxies, unix sockets), and one that began as
   HTTP. */
#ifndef PRIM_HTTP_STREAM_H
#define PRIM_HTTP_STREAM_H

#include <sys/types.h>

#include "prim/http.h"

struct http_stream;

struct http_stream_spec {
    struct http_peer peer;
    const char *host; /* a name or an address without brackets; unused with a unix_path */
    unsigned port;
    bool tls;
};

struct http_stream_result {
    struct err err;
};
typedef void http_stream_done(void *arg, const struct http_stream_result *result);

/* done: connected, and the stream lives until http_stream_close; or not, and it is gone. */
struct http_stream *http_stream_start(struct loop *loop, const struct http_stream_spec *spec,
                                      http_stream_done *done, void *arg, struct err *err);
/* Before done only. */
void http_stream_cancel(struct http_stream *stream);
/* At once; no call comes any more. After done only; NULL is good. */
void http_stream_close(struct http_stream *stream);

/* From the loop, once for each event that http_stream_want asked for. */
typedef void http_stream_ready(void *arg, int events);
void http_stream_listen(struct http_stream *stream, http_stream_ready *ready, void *arg);
/* Adds WATCH_READ or WATCH_WRITE to what is waited for; ask after STREAM_AGAIN. */
void http_stream_want(struct http_stream *stream, int events);

enum { STREAM_DONE = 0, STREAM_AGAIN = -1, STREAM_BROKEN = -2 /* with err */ };
/* Bytes received, 0 at the end, or one of the above. */
ssize_t http_stream_recv(struct http_stream *stream, char *to, size_t max, struct err *err);
/* Bytes that were taken, or one of the above. */
ssize_t http_stream_send(struct http_stream *stream, const char *data, size_t len,
                         struct err *err);
/* Gives bytes back, to be received first. */
void http_stream_unread(struct http_stream *stream, const char *data, size_t len);
/* The other side sees the end of our data: one of the three. ERR_USAGE where libcurl's TLS is not
   OpenSSL. */
int http_stream_shutdown(struct http_stream *stream, struct err *err);

#endif
