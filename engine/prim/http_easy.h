/* What every easy handle has in common, and what its failures mean; for prim/http*.c only. */
#ifndef PRIM_HTTP_EASY_H
#define PRIM_HTTP_EASY_H

#include <curl/curl.h>

#include "prim/http.h"
#include "prim/http_url.h"

/* A handle for that peer, which may go afterwards; ERR_MISSING or ERR_IO for a file that cannot be
   read, ERR_USAGE for a socket path that is too long. */
CURL *http_easy_new(const struct http_peer *peer, struct err *err);
/* Points the handle at a URL; the proxies of the environment hold for it unless it is near. */
void http_easy_aim(CURL *easy, const struct http_url *url, const char *text, bool is_unix);
/* The server's name for people, in text: "host:port" or the path of its socket. */
const char *http_easy_where(const struct http_url *url, const struct http_peer *peer, char *text,
                            size_t size);
/* Fills err for a failed transfer. detail is libcurl's own sentence, may be "". */
void http_easy_fault(CURL *easy, CURLcode code, const struct http_url *url,
                     const struct http_peer *peer, const char *detail, struct err *err);

#endif
