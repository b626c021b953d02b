#include "bind/bind_http.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bind/options.h"

#define POOL "orch.http.pool"
#define REPLY "orch.http.reply"
#define WAIT "orch.http.wait"

enum {
    HELD_MAX = 256 << 10, /* bytes read ahead of reply:read before the server must wait */
    HELD_ROOM = 1 << 20,  /* HELD_MAX and whatever libcurl still hands over */
};

/* On the heap and shared by the userdata and the primitive: freed when both have let go. */
struct reply {
    struct http *http; /* NULL once it has ended */
    struct hold hold;
    struct wait *waiter;
    struct http_head *head; /* NULL until it came */
    struct buf held;
    struct http_result result;
    bool stream, to_file, closed, orphan;
};

struct reply_wait {
    struct wait wait;
    struct reply *reply;
};

static void reply_free(struct reply *reply)
{
    http_head_free(reply->head);
    buf_fini(&reply->held);
    mem_free(reply);
}

/* --- calls from the loop ---------------------------------------------------------------------- */

static void wake(struct reply *reply)
{
    struct wait *waiter = reply->waiter;
    reply->waiter = NULL;
    if (waiter)
        task_wake(waiter);
}

static void on_head(void *arg, struct http_head *head)
{
    struct reply *reply = arg;
    reply->head = head;
    if (reply->stream)
        wake(reply);
}

static void on_output(void *arg, const char *data, size_t len)
{
    struct reply *reply = arg;
    if (reply->closed)
        return;
    if (!buf_add(&reply->held, data, len)) {
        err_set(&reply->result.err, ERR_LIMIT, "the answer is longer than %zu bytes",
                reply->held.max);
        http_cancel(reply->http);
        return;
    }
    if (!reply->stream)
        return;
    if (reply->held.len >= HELD_MAX)
        http_flow(reply->http, false);
    wake(reply);
}

static void on_done(void *arg, const struct http_result *result)
{
    struct reply *reply = arg;
    reply->http = NULL;
    if (reply->result.err.kind == ERR_NONE)
        reply->result = *result;
    wake(reply);
    hold_release(&reply->hold);
    if (reply->orphan)
        reply_free(reply);
}

static void end_reply(void *thing)
{
    struct reply *reply = thing;
    reply->closed = true;
    if (reply->http)
        http_cancel(reply->http);
}

static int reply_gc(lua_State *L)
{
    struct reply **slot = lua_touserdata(L, 1), *reply = *slot;
    *slot = NULL;
    if (!reply)
        return 0;
    reply->orphan = true;
    end_reply(reply);
    if (!reply->http)
        reply_free(reply);
    return 0;
}

/* --- the module's helpers --------------------------------------------------------------------- */

int http_fail(lua_State *L, struct err *err)
{
    snprintf(err->op, sizeof err->op, "http");
    return bind_fail(L, err);
}

void http_push_fields(lua_State *L, const struct http_head *head)
{
    lua_createtable(L, 0, (int)head->count);
    for (size_t i = 0; i < head->count; i++) {
        lua_pushstring(L, head->fields[i].value);
        lua_setfield(L, -2, head->fields[i].name);
    }
}

static int pool_gc(lua_State *L)
{
    struct http_pool **slot = lua_touserdata(L, 1);
    http_pool_free(*slot);
    *slot = NULL;
    return 0;
}

/* Held by upvalue 2 of each of the module's functions, made on first use. */
static struct http_pool *pool_of(lua_State *L)
{
    struct http_pool **slot = lua_touserdata(L, lua_upvalueindex(2));
    struct err err;
    if (!*slot && !(*slot = http_pool_new(bind_loop(L), &err)))
        bind_raise(L, &err);
    return *slot;
}

/* --- http.request ----------------------------------------------------------------------------- */

static void push_head(lua_State *L, const struct http_head *head)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, head->status);
    lua_setfield(L, -2, "status");
    http_push_fields(L, head);
    lua_setfield(L, -2, "headers");
    lua_pushstring(L, head->url);
    lua_setfield(L, -2, "url");
}

static int push_table(lua_State *L, struct reply *reply)
{
    const bool in_file = reply->to_file && reply->head->status / 100 == 2;
    push_head(L, reply->head);
    if (!in_file) {
        lua_pushlstring(L, reply->held.len ? reply->held.data : "", reply->held.len);
        lua_setfield(L, -2, "body");
    }
    return 1;
}

static void request_cancel(void *op)
{
    http_cancel(((struct reply_wait *)op)->reply->http);
}

/* Stack: the options, the reply's userdata, what the options needed. */
static int k_request(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct reply *reply = ((struct reply_wait *)context)->reply;
    if (!reply->head || (!reply->stream && reply->result.err.kind != ERR_NONE))
        return http_fail(L, &reply->result.err);
    if (!reply->stream)
        return push_table(L, reply);
    lua_settop(L, 2);
    push_head(L, reply->head);
    lua_setiuservalue(L, 2, 1);
    return 1;
}

/* http.request { … } -> reply | nil, err */
static int l_request(lua_State *L)
{
    struct http_spec spec;
    struct err err;
    lua_settop(L, 1);
    struct reply **slot = lua_newuserdatauv(L, sizeof *slot, 1); /* at 2 */
    *slot = NULL;
    luaL_setmetatable(L, REPLY);
    int *body = http_guard_body(L); /* at 3 */
    struct reply_wait *wait = bind_wait(L, sizeof *wait, WAIT, request_cancel);
    *body = -1;
    http_read_request(L, &spec);
    spec.head = on_head;
    spec.output = on_output;
    struct http_pool *pool = pool_of(L);
    if (!http_open_body(L, &spec, &err))
        return http_fail(L, &err);
    struct reply *reply = *slot = mem_alloc(sizeof *reply);
    reply->stream = opt_bool(L, 1, "stream", false);
    reply->to_file = spec.file != NULL;
    buf_init(&reply->held, reply->stream   ? HELD_ROOM
                           : spec.body_max ? spec.body_max
                                           : HTTP_BODY_MAX);
    reply->http = http_start(pool, &spec, on_done, reply, &err);
    if (!reply->http)
        return http_fail(L, &err);
    wait->reply = reply;
    reply->waiter = &wait->wait;
    hold_start(L, &reply->hold, end_reply, reply);
    return bind_yield(L, wait, k_request);
}

/* --- a reply that is read while it comes ------------------------------------------------------ */

static struct reply *to_reply(lua_State *L)
{
    return *(struct reply **)luaL_checkudata(L, 1, REPLY);
}

static void stop_waiting(void *op)
{
    struct reply_wait *wait = op;
    wait->reply->waiter = NULL;
    task_wake(wait);
}

static int k_read(lua_State *L, int status, lua_KContext context);

static int read_on(lua_State *L, struct reply *reply)
{
    lua_settop(L, 1);
    if (reply->closed)
        return luaL_error(L, "this reply is closed");
    if (reply->held.len > 0) {
        lua_pushlstring(L, reply->held.data, reply->held.len);
        buf_clear(&reply->held);
        if (reply->http)
            http_flow(reply->http, true);
        return 1;
    }
    if (!reply->http && reply->result.err.kind != ERR_NONE)
        return http_fail(L, &reply->result.err);
    if (!reply->http) {
        lua_pushnil(L);
        return 1;
    }
    if (reply->waiter)
        return luaL_error(L, "another task reads this reply already");
    struct reply_wait *wait = bind_wait(L, sizeof *wait, WAIT, stop_waiting);
    wait->reply = reply;
    reply->waiter = &wait->wait;
    return bind_yield(L, wait, k_read);
}

static int k_read(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return read_on(L, ((struct reply_wait *)context)->reply);
}

/* reply:read() -> piece | nil at the end | nil, err */
static int l_read(lua_State *L)
{
    return read_on(L, to_reply(L));
}

static int l_close(lua_State *L)
{
    end_reply(to_reply(L));
    return 0;
}

/* reply.status, .headers, .url, else a method. Upvalue 1: the methods. */
static int l_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL &&
        lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"read", l_read},
    {"close", l_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"request", l_request},
    {"stream", http_l_stream},
    {"upgrade", http_l_upgrade},
    {NULL, NULL},
};

/* The module may be opened more than once, its types are made once. */
static void index_fields(lua_State *L)
{
    luaL_getmetatable(L, REPLY);
    if (lua_getfield(L, -1, "__index") == LUA_TTABLE) {
        lua_pushcclosure(L, l_index, 1);
        lua_setfield(L, -2, "__index");
    }
    lua_settop(L, 0);
}

int luaopen_orch_http(lua_State *L);
int luaopen_orch_http(lua_State *L)
{
    bind_type(L, POOL, NULL, pool_gc);
    bind_type(L, REPLY, methods, reply_gc);
    bind_closable(L, REPLY, l_close);
    bind_type(L, WAIT, NULL, NULL);
    http_open_options(L);
    index_fields(L);
    http_open_stream(L);
    lua_newtable(L);
    lua_pushlightuserdata(L, bind_host(L));
    struct http_pool **slot = lua_newuserdatauv(L, sizeof *slot, 0); /* module host pool */
    *slot = NULL;
    luaL_setmetatable(L, POOL);
    luaL_setfuncs(L, functions, 2);
    return 1;
}
