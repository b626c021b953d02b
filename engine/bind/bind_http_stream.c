#include <string.h>

#include "base/mem.h"
#include "bind/bind_http.h"
#include "bind/options.h"
#include "prim/http_upgrade.h"

#define STREAM "orch.http.stream"
#define WAIT "orch.http.stream.wait"

enum { CHUNK = 64 << 10 };

/* On the heap and shared by the userdata and the primitives: freed when all have let go. */
struct link {
    struct http_stream *stream;   /* NULL before it is connected and after close */
    struct http_stream *opening;  /* one of these two while it is being made */
    struct http_upgrade *upgrade;
    struct http_head *head;
    struct hold hold;
    struct wait *opener, *reader, *writer;
    struct err err; /* why it could not be made */
    bool orphan;
};

struct link_wait {
    struct wait wait;
    struct link *link;
    size_t max;       /* of a read */
    const char *data; /* of a write; the argument's bytes, which stands on the stack */
    size_t len, sent;
};

static void link_free(struct link *link)
{
    http_head_free(link->head);
    mem_free(link);
}

/* --- calls from the loop ---------------------------------------------------------------------- */

static void wake(struct wait **slot)
{
    struct wait *wait = *slot;
    *slot = NULL;
    if (wait)
        task_wake(wait);
}

static void on_ready(void *arg, int events)
{
    struct link *link = arg;
    if (events & WATCH_READ)
        wake(&link->reader);
    if (events & WATCH_WRITE)
        wake(&link->writer);
}

static void close_stream(struct link *link)
{
    http_stream_close(link->stream);
    link->stream = NULL;
    wake(&link->reader);
    wake(&link->writer);
    hold_release(&link->hold);
}

static void opened(struct link *link, struct http_stream *stream, const struct err *err)
{
    link->opening = NULL;
    link->upgrade = NULL;
    link->stream = stream;
    link->err = *err;
    if (stream)
        http_stream_listen(stream, on_ready, link);
    wake(&link->opener);
    if (!stream || link->orphan || link->hold.ending)
        close_stream(link);
    if (link->orphan)
        link_free(link);
}

static void on_connected(void *arg, const struct http_stream_result *result)
{
    struct link *link = arg;
    opened(link, result->err.kind == ERR_NONE ? link->opening : NULL, &result->err);
}

static void on_upgraded(void *arg, const struct http_upgrade_result *result)
{
    struct link *link = arg;
    link->head = result->head;
    opened(link, result->stream, &result->err);
}

static void end_link(void *thing)
{
    struct link *link = thing;
    if (link->opening)
        http_stream_cancel(link->opening);
    else if (link->upgrade)
        http_upgrade_cancel(link->upgrade);
    else
        close_stream(link);
}

static int link_gc(lua_State *L)
{
    struct link **slot = lua_touserdata(L, 1), *link = *slot;
    *slot = NULL;
    if (!link)
        return 0;
    const bool busy = link->opening || link->upgrade;
    link->orphan = true;
    end_link(link);
    if (!busy)
        link_free(link);
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static const struct opt stream_options[] = {HTTP_PLACE_OPTIONS, {NULL, 0, false}};

static const struct opt upgrade_options[] = {
    HTTP_PLACE_OPTIONS,
    {"path", OPT_PLAIN, true},
    {"method", OPT_PLAIN, false},
    {"headers", OPT_MAP, false},
    {"body", OPT_TEXT, false},
    {"timeout", OPT_NUMBER, false},
    {NULL, 0, false},
};

/* At 1 the options; pushes the stream's userdata (2) and the wait's. */
static struct link_wait *new_link(lua_State *L, void (*cancel)(void *op))
{
    lua_settop(L, 1);
    struct link **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, STREAM);
    return bind_wait(L, sizeof(struct link_wait), WAIT, cancel);
}

static struct link *keep_link(lua_State *L, struct link_wait *wait)
{
    struct link **slot = lua_touserdata(L, 2);
    struct link *link = *slot = mem_alloc(sizeof *link);
    wait->link = link;
    return link;
}

static void open_cancel(void *op)
{
    end_link(((struct link_wait *)op)->link);
}

static int k_open(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct link *link = ((struct link_wait *)context)->link;
    if (link->err.kind != ERR_NONE)
        return http_fail(L, &link->err);
    lua_pushvalue(L, 2);
    if (!link->head)
        return 1;
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, link->head->status);
    lua_setfield(L, -2, "status");
    http_push_fields(L, link->head); /* stream head fields */
    lua_setfield(L, -2, "headers");
    return 2;
}

static int wait_open(lua_State *L, struct link_wait *wait)
{
    wait->link->opener = &wait->wait;
    hold_start(L, &wait->link->hold, end_link, wait->link);
    return bind_yield(L, wait, k_open);
}

/* http.stream { … } -> stream | nil, err */
int http_l_stream(lua_State *L)
{
    struct http_stream_spec spec = {0};
    struct err err;
    struct link_wait *wait = new_link(L, open_cancel);
    bind_options(L, 1, stream_options, "http.stream");
    http_read_place(L, "http.stream", &spec);
    struct link *link = keep_link(L, wait);
    link->opening = http_stream_start(bind_loop(L), &spec, on_connected, link, &err);
    return link->opening ? wait_open(L, wait) : http_fail(L, &err);
}

/* http.upgrade { … } -> stream, { status, headers } | nil, err */
int http_l_upgrade(lua_State *L)
{
    const char *const function = "http.upgrade";
    struct http_upgrade_spec spec = {0};
    struct err err;
    struct link_wait *wait = new_link(L, open_cancel);
    bind_options(L, 1, upgrade_options, function);
    http_read_place(L, function, &spec.stream);
    spec.path = opt_text(L, 1, "path", NULL);
    for (const unsigned char *c = (const unsigned char *)spec.path; *c; c++)
        if (spec.path[0] != '/' || *c <= ' ' || *c == 127)
            luaL_error(L, "%s: option 'path' must begin with '/' and hold no blanks", function);
    spec.method = opt_text(L, 1, "method", NULL);
    if (!spec.method)
        spec.method = "POST";
    http_check_token(L, spec.method, function, "method");
    spec.body = opt_text(L, 1, "body", &spec.body_len);
    spec.timeout_ms = opt_milliseconds(L, 1, "timeout", 60);
    spec.fields = http_read_fields(L, 1, function, &spec.field_count);
    struct link *link = keep_link(L, wait);
    link->upgrade = http_upgrade_start(bind_loop(L), &spec, on_upgraded, link, &err);
    return link->upgrade ? wait_open(L, wait) : http_fail(L, &err);
}

/* --- using ------------------------------------------------------------------------------------ */

static struct link *to_link(lua_State *L)
{
    return *(struct link **)luaL_checkudata(L, 1, STREAM);
}

static void stop_waiting(void *op)
{
    struct link_wait *wait = op;
    if (wait->link->reader == &wait->wait)
        wait->link->reader = NULL;
    if (wait->link->writer == &wait->wait)
        wait->link->writer = NULL;
    task_wake(wait);
}

static struct http_stream *check_open(lua_State *L, const struct link *link)
{
    if (!link->stream)
        luaL_error(L, "this stream is closed");
    return link->stream;
}

static int k_read(lua_State *L, int status, lua_KContext context);

static int read_on(lua_State *L, struct link *link, size_t max)
{
    char chunk[CHUNK];
    struct err err;
    lua_settop(L, 1);
    const ssize_t n = http_stream_recv(check_open(L, link), chunk, max, &err);
    if (n == STREAM_BROKEN)
        return http_fail(L, &err);
    if (n == 0)
        lua_pushnil(L);
    else if (n > 0)
        lua_pushlstring(L, chunk, (size_t)n);
    if (n >= 0)
        return 1;
    if (link->reader)
        return luaL_error(L, "another task reads this stream already");
    struct link_wait *wait = bind_wait(L, sizeof *wait, WAIT, stop_waiting);
    wait->link = link;
    wait->max = max;
    link->reader = &wait->wait;
    http_stream_want(link->stream, WATCH_READ);
    return bind_yield(L, wait, k_read);
}

static int k_read(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct link_wait *wait = (struct link_wait *)context;
    return read_on(L, wait->link, wait->max);
}

/* stream:read([max]) -> piece | nil at the end | nil, err */
static int l_read(lua_State *L)
{
    const lua_Integer max = luaL_optinteger(L, 2, CHUNK);
    luaL_argcheck(L, max >= 1, 2, "bytes, one or more");
    return read_on(L, to_link(L), max < CHUNK ? (size_t)max : CHUNK);
}

static int k_write(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct link_wait *wait = (struct link_wait *)context;
    struct link *link = wait->link;
    struct err err;
    while (wait->sent < wait->len) {
        const ssize_t n = http_stream_send(check_open(L, link), wait->data + wait->sent,
                                           wait->len - wait->sent, &err);
        if (n == STREAM_BROKEN)
            return http_fail(L, &err);
        if (n != STREAM_AGAIN) {
            wait->sent += (size_t)n;
            continue;
        }
        struct link_wait *again = bind_wait(L, sizeof *again, WAIT, stop_waiting);
        again->link = link;
        again->data = wait->data;
        again->len = wait->len;
        again->sent = wait->sent;
        link->writer = &again->wait;
        http_stream_want(link->stream, WATCH_WRITE);
        lua_replace(L, 3);
        return bind_yield(L, again, k_write);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* stream:write(data) -> true | nil, err */
static int l_write(lua_State *L)
{
    struct link *link = to_link(L);
    lua_settop(L, 2);
    check_open(L, link);
    if (link->writer)
        return luaL_error(L, "another task writes to this stream already");
    struct link_wait *wait = bind_wait(L, sizeof *wait, WAIT, stop_waiting); /* at 3 */
    wait->link = link;
    wait->data = bind_text(L, 2, &wait->len);
    return k_write(L, LUA_OK, (lua_KContext)wait);
}

static int k_shutdown(lua_State *L, int status, lua_KContext context);

static int shutdown_on(lua_State *L, struct link *link)
{
    struct err err;
    lua_settop(L, 1);
    const int did = http_stream_shutdown(check_open(L, link), &err);
    if (did == STREAM_BROKEN)
        return http_fail(L, &err);
    if (did == STREAM_DONE) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct link_wait *wait = bind_wait(L, sizeof *wait, WAIT, stop_waiting);
    wait->link = link;
    link->writer = &wait->wait;
    http_stream_want(link->stream, WATCH_WRITE);
    return bind_yield(L, wait, k_shutdown);
}

static int k_shutdown(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return shutdown_on(L, ((struct link_wait *)context)->link);
}

/* stream:shutdown() -> true | nil, err */
static int l_shutdown(lua_State *L)
{
    struct link *link = to_link(L);
    check_open(L, link);
    if (link->writer)
        return luaL_error(L, "another task writes to this stream already");
    return shutdown_on(L, link);
}

static int l_close(lua_State *L)
{
    end_link(to_link(L));
    return 0;
}

static const luaL_Reg methods[] = {
    {"read", l_read},         {"write", l_write}, {"shutdown", l_shutdown},
    {"close", l_close},       {NULL, NULL},
};

void http_open_stream(lua_State *L)
{
    bind_type(L, STREAM, methods, link_gc);
    bind_closable(L, STREAM, l_close);
    bind_type(L, WAIT, NULL, NULL);
}
