/* A URL's parts in the one spelling that is signed (hash_sigv4.c). */
#ifndef PRIM_HASH_URL_H
#define PRIM_HASH_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { URL_MAX = 256 << 10 };

struct part {
    const char *at;
    size_t len;
};

struct url {
    struct part before_query, path, query; /* borrowed */
    struct buf host;                       /* lower case, with the port unless it is the default */
};

/* Takes an http or https URL apart; url_fini is due even after failure. */
bool url_read(const char *text, struct url *url, struct err *err);
void url_fini(struct url *url);

/* Adds the path without "." and "//", ".." taking the segment before it; a last slash stays. */
bool url_clean_path(struct part path, struct buf *out);
/* Adds all bytes but letters, digits and -._~ (and '/' if slash) as %XX. */
bool url_encode(struct part text, bool slash, struct buf *out);

struct pair {
    char *key, *value; /* encoded */
    bool hidden;
};
struct pairs {
    struct pair *at;
    size_t count;
};
/* Takes key and value over. */
void pairs_add_take(struct pairs *pairs, char *key, char *value, bool hidden);
/* Splits at '&' and the first '=', drops what is empty; %2f, %2F and '/' become one spelling. */
bool pairs_read(struct pairs *pairs, struct part query);
/* By key, then by value: comparing "key=value" whole would put a-b before a. */
void pairs_sort(struct pairs *pairs);
void pairs_fini(struct pairs *pairs);

#endif
