/* The HTTP/2 server of a session, and gRPC on it: bytes in, calls, bytes out. The one home of
   nghttp2. */
#ifndef PRIM_SESSION_H2_H
#define PRIM_SESSION_H2_H

#include "prim/session_call.h"

struct session_h2;

struct session_h2 *session_h2_new(struct session_core *core, struct err *err);
/* Closes every call. NULL is good. */
void session_h2_free(struct session_h2 *h2);
/* Bytes of the daemon; false and err (remote, limit) when the session cannot go on. */
bool session_h2_take(struct session_h2 *h2, const char *data, size_t len, struct err *err);
/* Adds what is to be sent to out, up to about max bytes; false and err as above. */
bool session_h2_give(struct session_h2 *h2, struct buf *out, size_t max, struct err *err);
/* Has the conversation come to its end? Then err tells why, as far as it is known. */
bool session_h2_over(const struct session_h2 *h2, struct err *err);

#endif
