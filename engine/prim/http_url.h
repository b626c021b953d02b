/* Where a URL leads; for prim/http*.c only. */
#ifndef PRIM_HTTP_URL_H
#define PRIM_HTTP_URL_H

#include "prim/http.h"

struct http_url {
    char *scheme, *host, *port;
    bool loopback;
};

/* ERR_USAGE for what is malformed, not http or https, or holds a password. */
bool http_url_init(struct http_url *url, const char *text, struct err *err);
/* Safe twice. */
void http_url_fini(struct http_url *url);
/* Same scheme, host and port? */
bool http_url_same(const struct http_url *one, const struct http_url *other);

#endif
