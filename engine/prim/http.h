/* HTTP requests over libcurl's multi, which a pool joins to the loop. HTTP/1.1 only. */
#ifndef PRIM_HTTP_H
#define PRIM_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

/* The connections of one loop, kept alive between requests; an idle one holds nothing on the
   loop. */
struct http_pool;
struct http_pool *http_pool_new(struct loop *loop, struct err *err);
/* Everything started on it must have ended. NULL is good. */
void http_pool_free(struct http_pool *pool);

/* How a server is reached; all borrowed. */
struct http_peer {
    const char *unix_path; /* NULL = by TCP */
    const char *ca_file;   /* trusted in place of the system's authorities */
    const char *cert_file, *key_file; /* who we are; PEM */
    uint64_t connect_timeout_ms;      /* name, TCP and TLS together; 0 = 300,000 */
};

struct http_field {
    const char *name, *value;
};

/* An answer's head; names in lower case, repeated ones joined with ", ". */
struct http_head {
    int status;
    char *url; /* the last one, after redirects */
    size_t count, lines;
    struct http_field *fields;
};
void http_head_free(struct http_head *head);
/* The field's value or NULL. */
const char *http_head_get(const struct http_head *head, const char *name);

struct http_spec {
    struct http_peer peer;
    const char *method; /* NULL = GET, or POST with a body */
    const char *url;
    const struct http_field *fields;
    size_t field_count;
    const char *user, *password; /* Basic; NULL = none */
    const void *body;            /* copied; NULL = none */
    size_t body_len;
    int body_fd;         /* -1 = none; taken, even when nothing is started */
    int64_t body_length; /* bytes to send from body_fd; -1 = to its end, in chunks */
    const char *file;    /* a 2xx answer's body goes there, mode 0600; NULL = to output */
    uint64_t body_max;   /* longer is ERR_LIMIT; 0 = any length */
    uint64_t timeout_ms; /* for everything; 0 = none */
    uint64_t idle_timeout_ms; /* without a byte either way while the server's turn; 0 = none */
    unsigned redirects;       /* how many to follow, for GET and HEAD without a body */
    /* Once, when the final head is there; head is the callee's to free. */
    void (*head)(void *arg, struct http_head *head);
    /* Each piece of the body; borrowed. */
    void (*output)(void *arg, const char *data, size_t len);
};

struct http_result {
    struct err err; /* ERR_NONE: the answer came whole, whatever its status */
};
typedef void http_done(void *arg, const struct http_result *result);

struct http;
/* NULL and err (usage for a bad URL, missing for a file) when nothing was started. */
struct http *http_start(struct http_pool *pool, const struct http_spec *spec, http_done *done,
                        void *arg, struct err *err);
void http_cancel(struct http *http);
/* false: no more output calls until true; the server must wait. */
void http_flow(struct http *http, bool on);

#endif
