/* Where libcurl's multi meets the loop; for prim/http*.c only. */
#ifndef PRIM_HTTP_POOL_H
#define PRIM_HTTP_POOL_H

#include <curl/curl.h>

#include "prim/http.h"

/* Called from the loop when the transfer of an easy handle is over; it is still in the pool. */
struct http_leg {
    void (*ended)(void *arg, CURLcode code);
    void *arg;
};

struct loop *http_pool_loop(const struct http_pool *pool);
/* leg must stay until http_pool_drop; ended is never called inside. */
void http_pool_add(struct http_pool *pool, CURL *easy, struct http_leg *leg);
/* Not from inside a callback of libcurl. */
void http_pool_drop(struct http_pool *pool, CURL *easy);

#endif
