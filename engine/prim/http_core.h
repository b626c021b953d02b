/* One request's state, shared by prim/http.c and prim/http_answer.c only. */
#ifndef PRIM_HTTP_CORE_H
#define PRIM_HTTP_CORE_H

#include "prim/http_body.h"
#include "prim/http_file.h"
#include "prim/http_pool.h"
#include "prim/http_url.h"

enum { WHERE_MAX = 256 };

struct http {
    struct http_pool *pool;
    struct http_spec spec; /* calls and numbers; pointers were the caller's, peer is ours */
    http_done *done;
    void *arg;
    CURL *easy;
    struct http_leg leg;
    struct curl_slist *fields, *harmless;
    char *user, *password, *file_path, *to;
    struct http_url url;
    struct http_body body;
    struct http_head *head; /* until handed over */
    struct http_file *file;
    struct timer *end_timer, *timeout_timer, *idle_timer, *drop_timer;
    size_t head_bytes, skipped;
    uint64_t body_bytes, heard; /* heard: when the last byte went either way */
    unsigned hops;
    bool has_body, headed, following, abroad; /* abroad: led away from the caller's server */
    bool connected, stopped, held; /* held: libcurl waits for http_flow(true) */
    struct http_result result;
    char detail[CURL_ERROR_SIZE];
};

/* The server's name for people, in text. */
const char *http_where(const struct http *http, char *text, size_t size);
/* A byte went one way or the other. */
void http_hear(struct http *http);
/* Points the handle at http->url, with the credentials that may go there. */
void http_aim(struct http *http, const char *to);
/* Calls done and frees. */
void http_finish(struct http *http);

/* Sets what libcurl calls with the answer; they end in http_finish. */
void http_answer_listen(struct http *http);

#endif
