/* The head of an answer, line by line; for prim/http*.c only. */
#ifndef PRIM_HTTP_HEAD_H
#define PRIM_HTTP_HEAD_H

#include "prim/http.h"

/* From a status line; NULL when it is none. Lines may end with CR LF. */
struct http_head *http_head_new(const char *line, size_t len);
/* A field line or the continuation of one; ERR_LIMIT for too many lines. */
bool http_head_add(struct http_head *head, const char *line, size_t len, struct err *err);

#endif
