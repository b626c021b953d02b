/* AWS Signature Version 4. Pure: no clock, no state, no waiting. */
#ifndef PRIM_HASH_SIGV4_H
#define PRIM_HASH_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "prim/hash.h"

struct sigv4_header {
    const char *name; /* of any case; several of one name are joined in this order */
    const char *value;
    size_t len;
    bool hidden; /* its value is *** in result.shown */
};

struct sigv4_spec {
    const char *method;
    const char *url; /* http(s)://…, the path as it is sent */
    const struct sigv4_header *headers; /* without host (unless it differs from the URL's),
                                           x-amz-date, x-amz-security-token, authorization */
    size_t header_count;
    const char *const *also; /* NULL-ended names, signed although by rule they are not; or NULL */
    const void *body;
    size_t body_len;
    const char *payload; /* in place of the body's hash; NULL = header x-amz-content-sha256, else
                            the hash (presigned for S3: UNSIGNED-PAYLOAD) */
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* may be NULL */
    const char *region;
    const char *service;
    int64_t time;         /* Unix seconds */
    bool s3;              /* path as sent; the payload's hash is a header */
    bool raw_path;        /* keep "." ".." and "//" of the path */
    bool presign;         /* into the query */
    unsigned expires;     /* seconds, for presign */
};

/* All of it is good until sigv4_fini, also after failure. */
struct sigv4_result {
    struct buf shown;          /* the canonical request, session token and hidden values as *** */
    struct buf string_to_sign;
    struct buf authorization;  /* the header's value; empty for presign */
    struct buf url;            /* presigned, session token included; empty otherwise */
    struct buf host;           /* the header's value, from the URL */
    char payload[128];         /* what stands for the body in the canonical request */
    char date[17];             /* x-amz-date */
    char signature[HASH_HEX_SIZE];
};

/* false and err (usage: url, header or field of no sense). */
bool sigv4_sign(const struct sigv4_spec *spec, struct sigv4_result *result, struct err *err);
void sigv4_fini(struct sigv4_result *result);

#endif
