/* http(s):// by libcurl, in place of libgit2's own: that one knows no TLS 1.3 (mbedTLS 2.28), no
   proxy for http, stumbles over a 401 whose body comes in a packet of its own, and keeps the
   Authorization header when a redirect leads to another port. */
#ifndef PRIM_REPO_HTTP_H
#define PRIM_REPO_HTTP_H

#include "base/err.h"
#include "prim/repo_url.h"

struct http_access {
    const struct url *url; /* the server that user and password are for; NULL password = none */
    const char *user, *password;
    /* of git's configuration; NULL = the environment's, the system's */
    const char *proxy, *ca_file;
    struct err err;              /* why the transport failed; kind ERR_NONE if it did not */
};

/* libgit2 uses it until http_unregister; access stays the caller's and must live as long. */
void http_register(struct http_access *access);
void http_unregister(void);

#endif
