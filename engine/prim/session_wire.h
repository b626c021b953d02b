/* How a session's bytes reach the daemon: the only file that knows. Today the connection of a
   request POST /session (API 1.31 to 1.55); its successor is a stream of gRPC on the socket
   itself. */
#ifndef PRIM_SESSION_WIRE_H
#define PRIM_SESSION_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "prim/http_stream.h"

struct session_wire;

struct session_wire_spec {
    struct http_stream_spec place;
    const char *api, *id, *shared_key;
    const char *const *methods; /* what is served; ended by NULL */
    uint64_t timeout_ms;
};

/* done: connected, and the wire lives until session_wire_close; or not (err), and it is gone. */
typedef void session_wire_done(void *arg, const struct err *err);
typedef void session_wire_ready(void *arg, int events);
struct session_wire *session_wire_start(struct loop *loop, const struct session_wire_spec *spec,
                                        session_wire_done *done, void *arg, struct err *err);
/* Before done only: done comes with ERR_CANCELLED. */
void session_wire_cancel(struct session_wire *wire);
/* After done only, at once; NULL is good. */
void session_wire_close(struct session_wire *wire);

/* From the loop, for the events asked for with want, each once. */
void session_wire_listen(struct session_wire *wire, session_wire_ready *ready, void *arg);
void session_wire_want(struct session_wire *wire, int events);
enum { WIRE_AGAIN = -1, WIRE_BROKEN = -2 /* with err */ };
/* Bytes that came or went, 0 at the end, or one of the above. */
ssize_t session_wire_recv(struct session_wire *wire, char *to, size_t max, struct err *err);
ssize_t session_wire_send(struct session_wire *wire, const char *data, size_t len,
                          struct err *err);

#endif
