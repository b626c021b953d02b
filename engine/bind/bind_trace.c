#include "bind/bind.h"

#include <string.h>

#include "base/base64.h"
#include "prim/trace.h"

/* The lists of the result, by stack index; the bytes decoded from stand below them. */
enum { RESULT = 3, VERTEXES, STATUSES, LOGS, WARNINGS };

/* Nothing below owns memory, so that Lua may raise in the midst of trace_decode. */

static void set_text(lua_State *L, const char *key, struct protobuf_text text)
{
    lua_pushlstring(L, text.len ? text.at : "", text.len);
    lua_setfield(L, -2, key);
}

static void set_text_if_any(lua_State *L, const char *key, struct protobuf_text text)
{
    if (text.len > 0)
        set_text(L, key, text);
}

static void set_integer(lua_State *L, const char *key, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_time(lua_State *L, const char *key, struct trace_time time)
{
    if (!time.set)
        return;
    lua_pushnumber(L, (lua_Number)time.seconds + time.nanos / 1e9);
    lua_setfield(L, -2, key);
}

static void set_list(lua_State *L, const char *key, struct trace_list list)
{
    struct protobuf_text text;
    lua_newtable(L);
    for (lua_Integer i = 1; trace_next(&list, &text); i++) {
        lua_pushlstring(L, text.len ? text.at : "", text.len);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, key);
}

static void append(lua_State *L, int list)
{
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

static void on_vertex(void *arg, const struct trace_vertex *vertex)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 7);
    set_text(L, "digest", vertex->digest);
    set_text(L, "name", vertex->name);
    set_list(L, "inputs", vertex->inputs);
    lua_pushboolean(L, vertex->cached);
    lua_setfield(L, -2, "cached");
    set_time(L, "started", vertex->started);
    set_time(L, "completed", vertex->completed);
    set_text_if_any(L, "error", vertex->error);
    append(L, VERTEXES);
}

static void on_status(void *arg, const struct trace_status *status)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 8);
    set_text(L, "id", status->id);
    set_text(L, "vertex", status->vertex);
    set_text(L, "name", status->name);
    set_integer(L, "current", status->current);
    set_integer(L, "total", status->total);
    set_time(L, "timestamp", status->timestamp);
    set_time(L, "started", status->started);
    set_time(L, "completed", status->completed);
    append(L, STATUSES);
}

static void on_log(void *arg, const struct trace_log *log)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 4);
    set_text(L, "vertex", log->vertex);
    set_time(L, "timestamp", log->timestamp);
    set_integer(L, "stream", log->stream);
    set_text(L, "data", log->data);
    append(L, LOGS);
}

static void on_warning(void *arg, const struct trace_warning *warning)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 5);
    set_text(L, "vertex", warning->vertex);
    set_integer(L, "level", warning->level);
    set_text(L, "short", warning->brief);
    set_list(L, "detail", warning->detail);
    set_text_if_any(L, "url", warning->url);
    append(L, WARNINGS);
}

static int fail(lua_State *L, struct err *err)
{
    if (err->kind == ERR_USAGE)
        err->kind = ERR_REMOTE; /* the daemon wrote the base64, not the caller */
    memcpy(err->op, "trace", sizeof "trace");
    return bind_fail(L, err);
}

/* trace.decode(base64_text) -> { vertexes, statuses, logs, warnings } | nil, err */
static int l_decode(lua_State *L)
{
    static const char *const names[] = {"vertexes", "statuses", "logs", "warnings"};
    size_t len;
    struct err err = {0};
    const char *text = luaL_checklstring(L, 1, &len);
    if (len > base64_encoded_len(TRACE_MAX)) {
        err_set(&err, ERR_LIMIT, "BuildKit's progress message has more than %d bytes", TRACE_MAX);
        return fail(L, &err);
    }
    lua_settop(L, 1);
    void *data = lua_newuserdatauv(L, base64_decoded_max(len), 0);
    if (!base64_decode(text, len, 0, data, &len, &err))
        return fail(L, &err);
    lua_createtable(L, 0, 4);
    for (int i = 0; i < 4; i++) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, RESULT, names[i]);
    }
    struct trace_sink sink = {L, on_vertex, on_status, on_log, on_warning};
    if (!trace_decode(data, len, &sink, &err))
        return fail(L, &err);
    lua_pushvalue(L, RESULT);
    return 1;
}

static const luaL_Reg functions[] = {{"decode", l_decode}, {NULL, NULL}};

int luaopen_orch_trace(lua_State *L);
int luaopen_orch_trace(lua_State *L)
{
    bind_module(L, functions);
    return 1;
}
