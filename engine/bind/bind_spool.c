#include "bind/bind.h"

#include "base/mem.h"
#include "prim/spool.h"

#define SPOOL "orch.spool.spool"
#define CLOSE "orch.spool.close"

/* Shared by the userdata and the primitive: freed when both have let go. */
struct sink {
    struct spool *spool; /* NULL once it has ended */
    struct hold hold;
    struct wait *closer;
    struct err err;
    bool closing;
    bool orphan; /* the userdata is gone */
};

struct closing {
    struct wait wait;
    struct sink *sink;
};

static void on_closed(void *arg, const struct err *err)
{
    struct sink *sink = arg;
    sink->spool = NULL;
    sink->err = *err;
    if (sink->closer)
        task_wake(sink->closer);
    hold_release(&sink->hold);
    if (sink->orphan)
        mem_free(sink);
}

static void end_sink(void *thing)
{
    struct sink *sink = thing;
    if (sink->closing)
        return;
    sink->closing = true;
    spool_close(sink->spool, on_closed, sink);
}

static void close_cancel(void *op)
{
    struct sink *sink = ((struct closing *)op)->sink;
    if (sink->spool)
        spool_cancel(sink->spool);
}

static int spool_gc(lua_State *L)
{
    struct sink **slot = lua_touserdata(L, 1), *sink = *slot;
    *slot = NULL;
    if (!sink)
        return 0;
    sink->orphan = true;
    end_sink(sink);
    if (!sink->spool)
        mem_free(sink);
    return 0;
}

static struct sink *to_sink(lua_State *L)
{
    struct sink *sink = *(struct sink **)luaL_checkudata(L, 1, SPOOL);
    if (!sink || sink->closing)
        luaL_error(L, "the spool is closed");
    return sink;
}

/* spool.open(fd) -> spool | nil, err */
static int l_open(lua_State *L)
{
    lua_Integer fd = luaL_checkinteger(L, 1);
    luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "a descriptor");
    struct err err;
    struct sink **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, SPOOL);
    struct spool *spool = spool_open(bind_loop(L), (int)fd, &err);
    if (!spool)
        return bind_fail(L, &err);
    struct sink *sink = *slot = mem_alloc(sizeof *sink);
    sink->spool = spool;
    hold_start(L, &sink->hold, end_sink, sink);
    return 1;
}

/* spool:write(text, …) -> spool */
static int l_write(lua_State *L)
{
    struct sink *sink = to_sink(L);
    int top = lua_gettop(L);
    for (int i = 2; i <= top; i++)
        luaL_checkstring(L, i);
    if (top > 2)
        lua_concat(L, top - 1);
    if (top >= 2) {
        size_t len;
        const char *text = lua_tolstring(L, 2, &len);
        spool_write(sink->spool, text, len);
    }
    lua_settop(L, 1);
    return 1;
}

static int l_frame(lua_State *L)
{
    struct sink *sink = to_sink(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, len <= SPOOL_FRAME_MAX, 2, "a frame has at most 1 MiB");
    spool_frame(sink->spool, text, len);
    return 0;
}

static int l_pending(lua_State *L)
{
    struct sink *sink = *(struct sink **)luaL_checkudata(L, 1, SPOOL);
    lua_pushinteger(L, sink && sink->spool ? (lua_Integer)spool_pending(sink->spool) : 0);
    return 1;
}

/* spool:failed() */
static int l_failed(lua_State *L)
{
    struct sink *sink = *(struct sink **)luaL_checkudata(L, 1, SPOOL);
    lua_pushboolean(L, sink && sink->spool && spool_failed(sink->spool));
    return 1;
}

static int k_close(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct sink *sink = ((struct closing *)context)->sink;
    sink->closer = NULL;
    if (sink->err.kind != ERR_NONE)
        return bind_fail(L, &sink->err);
    lua_pushboolean(L, true);
    return 1;
}

/* spool:close() -> true | nil, err; a second time does nothing */
static int l_close(lua_State *L)
{
    struct sink *sink = *(struct sink **)luaL_checkudata(L, 1, SPOOL);
    if (!sink || sink->closing) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct closing *closing = bind_wait(L, sizeof *closing, CLOSE, close_cancel);
    closing->sink = sink;
    sink->closer = &closing->wait;
    end_sink(sink);
    return bind_yield(L, closing, k_close);
}

static const luaL_Reg methods[] = {
    {"write", l_write},     {"frame", l_frame}, {"pending", l_pending},
    {"failed", l_failed},   {"close", l_close}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"open", l_open},
    {NULL, NULL},
};

int luaopen_orch_spool(lua_State *L);
int luaopen_orch_spool(lua_State *L)
{
    bind_type(L, SPOOL, methods, spool_gc);
    bind_type(L, CLOSE, NULL, NULL);
    bind_module(L, functions);
    return 1;
}
