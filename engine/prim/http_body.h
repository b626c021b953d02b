/* What a request sends; for prim/http*.c only. */
#ifndef PRIM_HTTP_BODY_H
#define PRIM_HTTP_BODY_H

#include <curl/curl.h>

#include "prim/http.h"

struct http_body {
    struct loop *loop;
    char *text; /* else from fd */
    size_t text_len;
    int fd; /* -1 once at its end */
    struct watch *watch; /* NULL for a regular file */
    int64_t length, sent; /* length -1: unknown */
    bool waiting; /* libcurl was told to pause until the fd can be read */
    /* Asked to unpause libcurl; from the loop. */
    loop_call *ready;
    void *arg;
};

/* Takes spec's body_fd in any case. */
bool http_body_init(struct http_body *body, struct loop *loop, const struct http_spec *spec,
                    struct err *err);
void http_body_fini(struct http_body *body);
/* Bytes at to, 0 at the end, CURL_READFUNC_PAUSE (ready will be called), or CURL_READFUNC_ABORT and
   err. */
size_t http_body_read(struct http_body *body, char *to, size_t max, struct err *err);
/* Back to the start; false when that cannot be. */
bool http_body_rewind(struct http_body *body);
/* Nothing more will be sent. */
void http_body_drop(struct http_body *body);

#endif
