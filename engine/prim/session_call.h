/* One call of the daemon, and what answers it; for prim/session*.c only. */
#ifndef PRIM_SESSION_CALL_H
#define PRIM_SESSION_CALL_H

#include "base/buf.h"
#include "base/protobuf.h"
#include "prim/session.h"

/* What all calls of a session share; the session owns it. */
struct session_core {
    struct loop *loop;
    struct session_spec spec; /* deep copy */
    struct session_stats stats;
    struct err err;           /* the first failure */
    unsigned works;           /* threads that the session's end waits for */
    bool exporting;           /* the output file is being written, or was */
};

/* What the session's end will tell; the first failure stays. */
void session_note(struct session_core *core, const struct err *err);
/* As session_note, and ends the session soon. */
void session_fail(struct session_core *core, const struct err *err);
/* There is output, or room for input: the connection is to be served. Safe anywhere on the loop. */
void session_poke(struct session_core *core);
/* A thread has ended; core may be gone after it. */
void session_work_over(struct session_core *core);
/* The gift of that name, or NULL. */
const struct session_gift *session_find(const struct session_gifts *gifts, const char *name,
                                        size_t len);

/* The codes of gRPC that are used. */
enum {
    GRPC_OK = 0,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID = 3,
    GRPC_NOT_FOUND = 5,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
};

enum { CALL_HEAD = 5 }; /* bytes before each message: not compressed, length */

struct session_call;

/* What a method does; all but path and message may be NULL. */
struct session_method {
    const char *path;
    size_t message_max; /* a longer one ends the session */
    bool (*open)(struct session_call *call); /* the metadata are there; false: it has finished */
    void (*message)(struct session_call *call, struct protobuf_text message);
    void (*half)(struct session_call *call); /* no further message comes */
    void (*more)(struct session_call *call); /* out is empty: may fill it, or finish */
    /* the call is freed next, whatever state points to */
    void (*closed)(struct session_call *call);
};

struct call_meta {
    char *name, *value;
};

struct session_call {
    struct session_core *core;
    const struct session_method *method;
    void *state; /* the method's */
    struct buf out; /* framed messages; a method may swap another buffer in when it is empty */
    size_t out_at;  /* bytes of out that are sent */
    bool busy;      /* the method has enough input for now: the daemon must wait */
    /* of prim/session_h2.c */
    struct session_h2 *h2;
    struct session_call *prev, *next;
    int id;
    char *path;
    struct call_meta *meta;
    size_t meta_count, meta_len;
    struct buf in;
    size_t unread; /* bytes that came and that the daemon was not told to be taken */
    bool answered, finished, deferred, over;
    int status;
    char *words;
};

/* The index-th value of that name (lower case), or NULL. */
const char *call_value(const struct session_call *call, const char *name, size_t index);
/* Frames and queues a message. */
void call_send(struct session_call *call, const void *message, size_t len);
/* What was put into out is to be sent. */
void call_wake(struct session_call *call);
/* Ends the call behind what is queued; words may be NULL. Once. */
void call_finish(struct session_call *call, int status, const char *words);
/* Sets busy; false lets the daemon go on. */
void call_set_busy(struct session_call *call, bool busy);
/* Adds a message's head to out. */
bool call_add_head(struct buf *out, size_t len);

enum {
    /* no method fills so much; a message for a daemon that does not read */
    CALL_OUT_MAX = 64 << 20,
    CALL_MESSAGE_MAX = 64 << 10, /* of the daemon's questions */
};

/* The methods that are served. */
extern const struct session_method session_health, session_credentials, session_secret,
    session_check_agent, session_forward_agent, session_files, session_output;

#endif
