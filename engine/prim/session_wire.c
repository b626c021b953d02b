#include "prim/session_wire.h"

#include <stdio.h>

#include "base/mem.h"
#include "prim/http_upgrade.h"

enum { FIELDS_MAX = 32 };

struct session_wire {
    struct http_upgrade *upgrade; /* NULL once it is over */
    struct http_stream *stream;
    session_wire_done *done;
    void *arg;
};

_Static_assert((int)WIRE_AGAIN == (int)STREAM_AGAIN && (int)WIRE_BROKEN == (int)STREAM_BROKEN,
               "the wire's codes are the stream's");

static void on_upgraded(void *arg, const struct http_upgrade_result *result)
{
    struct session_wire *wire = arg;
    session_wire_done *done = wire->done;
    void *done_arg = wire->arg;
    struct err err = result->err;
    wire->upgrade = NULL;
    wire->stream = result->stream;
    http_head_free(result->head);
    if (err.kind != ERR_NONE)
        mem_free(wire);
    done(done_arg, &err);
}

struct session_wire *session_wire_start(struct loop *loop, const struct session_wire_spec *spec,
                                        session_wire_done *done, void *arg, struct err *err)
{
    struct session_wire *wire = mem_alloc(sizeof *wire);
    struct http_field fields[FIELDS_MAX] = {
        {"Connection", "Upgrade"},
        {"Upgrade", "h2c"},
        {"X-Docker-Expose-Session-Uuid", spec->id},
        {"X-Docker-Expose-Session-Name", "orch"},
        {"X-Docker-Expose-Session-Sharedkey", spec->shared_key},
    };
    size_t count = 5;
    for (size_t i = 0; spec->methods[i] && count < FIELDS_MAX; i++)
        fields[count++] =
            (struct http_field){"X-Docker-Expose-Session-Grpc-Method", spec->methods[i]};
    char path[64];
    snprintf(path, sizeof path, "/v%s/session", spec->api);
    const struct http_upgrade_spec upgrade = {
        .stream = spec->place,
        .method = "POST",
        .path = path,
        .fields = fields,
        .field_count = count,
        .timeout_ms = spec->timeout_ms,
    };
    *wire = (struct session_wire){.done = done, .arg = arg};
    wire->upgrade = http_upgrade_start(loop, &upgrade, on_upgraded, wire, err);
    if (wire->upgrade)
        return wire;
    mem_free(wire);
    return NULL;
}

void session_wire_cancel(struct session_wire *wire)
{
    if (wire->upgrade)
        http_upgrade_cancel(wire->upgrade);
}

void session_wire_close(struct session_wire *wire)
{
    if (wire)
        http_stream_close(wire->stream);
    mem_free(wire);
}

void session_wire_listen(struct session_wire *wire, session_wire_ready *ready, void *arg)
{
    http_stream_listen(wire->stream, ready, arg);
}

void session_wire_want(struct session_wire *wire, int events)
{
    http_stream_want(wire->stream, events);
}

ssize_t session_wire_recv(struct session_wire *wire, char *to, size_t max, struct err *err)
{
    return http_stream_recv(wire->stream, to, max, err);
}

ssize_t session_wire_send(struct session_wire *wire, const char *data, size_t len,
                          struct err *err)
{
    return http_stream_send(wire->stream, data, len, err);
}
