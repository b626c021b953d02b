/* A connection that begins with an HTTP request and goes on as a raw stream. */
#ifndef PRIM_HTTP_UPGRADE_H
#define PRIM_HTTP_UPGRADE_H

#include "prim/http_stream.h"

struct http_upgrade;

struct http_upgrade_spec {
    struct http_stream_spec stream;
    const char *method, *path; /* checked: no blanks, no line breaks */
    const struct http_field *fields; /* "Connection: Upgrade" and "Upgrade: tcp" are added */
    size_t field_count;
    const void *body;
    size_t body_len;
    uint64_t timeout_ms; /* from the start to the answer's head; 0 = none */
};

struct http_upgrade_result {
    struct err err; /* any status but 101 and 2xx is one; code is then the status */
    struct http_stream *stream; /* both are the callee's now; NULL with an err */
    struct http_head *head;
};
typedef void http_upgrade_done(void *arg, const struct http_upgrade_result *result);

struct http_upgrade *http_upgrade_start(struct loop *loop, const struct http_upgrade_spec *spec,
                                        http_upgrade_done *done, void *arg, struct err *err);
void http_upgrade_cancel(struct http_upgrade *upgrade);

#endif
