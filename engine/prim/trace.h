/* BuildKit's progress: the protobuf message moby.buildkit.v1.StatusResponse. Pure, and safe on any
   bytes; a message is bytes of a daemon, which is not trusted. */
#ifndef PRIM_TRACE_H
#define PRIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/protobuf.h"

enum {
    TRACE_MAX = 16 << 20,      /* bytes of a message */
    TRACE_ITEMS_MAX = 200000,  /* vertexes, statuses, logs, warnings and what they list, together */
};

/* Seconds since 1970; absent when not set. */
struct trace_time {
    bool set;
    int64_t seconds;
    int32_t nanos;
};

/* The texts of a repeated field, read one by one with trace_next. */
struct trace_list {
    struct protobuf_text rest;
    unsigned field;
};

struct trace_vertex {
    struct protobuf_text digest, name, error;
    struct trace_list inputs;
    bool cached;
    struct trace_time started, completed;
};

struct trace_status {
    struct protobuf_text id, vertex, name;
    int64_t current, total;
    struct trace_time timestamp, started, completed;
};

struct trace_log {
    struct protobuf_text vertex, data;
    struct trace_time timestamp;
    int64_t stream; /* 1 stdout, 2 stderr */
};

struct trace_warning {
    struct protobuf_text vertex, brief, url;
    struct trace_list detail;
    int64_t level;
};

/* Called for each item in the message's order, what came before an error included. */
struct trace_sink {
    void *arg;
    void (*vertex)(void *arg, const struct trace_vertex *vertex);
    void (*status)(void *arg, const struct trace_status *status);
    void (*log)(void *arg, const struct trace_log *log);
    void (*warning)(void *arg, const struct trace_warning *warning);
};

/* Unknown fields are passed over. false and err (remote: no such message; limit) otherwise. */
bool trace_decode(const void *data, size_t len, const struct trace_sink *sink, struct err *err);

/* The next text of a list that a sink was given; false at its end. */
bool trace_next(struct trace_list *list, struct protobuf_text *text);

#endif
