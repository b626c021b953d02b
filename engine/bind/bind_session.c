#include <string.h>

#include "base/mem.h"
#include "bind/bind_http.h"
#include "bind/options.h"
#include "prim/session.h"

#define SESSION "orch.session"
#define WAIT "orch.session.wait"

enum {
    GIFTS_MAX = 1000,
    SECRET_MAX = 500 << 10, /* BuildKit's */
    OPEN_SECONDS = 15,
    SILENCE_SECONDS = 60,
};

/* On the heap and shared by the userdata and the primitive: freed when both have let go. */
struct link {
    struct session *session; /* NULL once it has ended */
    struct hold hold;
    struct wait *waiter;
    struct session_result result;
    char id[40];
    bool orphan;
};

struct session_wait {
    struct wait wait;
    struct link *link;
};

/* --- calls from the loop ---------------------------------------------------------------------- */

static void wake(struct link *link)
{
    struct wait *waiter = link->waiter;
    link->waiter = NULL;
    if (waiter)
        task_wake(waiter);
}

static void on_opened(void *arg)
{
    wake(arg);
}

static void on_done(void *arg, const struct session_result *result)
{
    struct link *link = arg;
    link->session = NULL;
    link->result = *result;
    wake(link);
    hold_release(&link->hold);
    if (link->orphan)
        mem_free(link);
}

static void end_link(void *thing)
{
    struct link *link = thing;
    if (link->session)
        session_end(link->session);
}

static int link_gc(lua_State *L)
{
    struct link **slot = lua_touserdata(L, 1), *link = *slot;
    *slot = NULL;
    if (!link)
        return 0;
    link->orphan = true;
    if (link->session)
        session_end(link->session);
    else
        mem_free(link);
    return 0;
}

/* --- options ---------------------------------------------------------------------------------- */

static const struct opt open_options[] = {
    HTTP_PLACE_OPTIONS,
    {"api", OPT_PLAIN, true},
    {"dirs", OPT_MAP, false},
    {"dockerfile_text", OPT_TEXT, false},
    {"secrets", OPT_MAP, false},
    {"credentials", OPT_MAP, false},
    {"ssh", OPT_MAP, false},
    {"output", OPT_PLAIN, false},
    {"shared_key", OPT_PLAIN, false},
    {"timeout", OPT_NUMBER, false},
    {"silence", OPT_NUMBER, false},
    {NULL, 0, false},
};

/* A text without a NUL, which a path or a name must be. */
static const char *plain(lua_State *L, const char *text, size_t len, const char *key)
{
    if (text && (len == 0 || strlen(text) != len))
        luaL_error(L, "session.open: option '%s' has an empty text or a zero byte in it", key);
    return text;
}

static const char *checked(lua_State *L, const char *key, const char *name, size_t *len)
{
    if (!lua_isstring(L, -1) && !bind_is_secret(L, -1))
        luaL_error(L, "session.open: option '%s': '%s' must be a string or a secret, got %s", key,
                   name, luaL_typename(L, -1));
    return bind_text(L, -1, len);
}

/* A field of the table on top; the value stands in that table. */
static const char *field_of(lua_State *L, const char *key, const char *name, const char *field,
                            size_t *len)
{
    lua_getfield(L, -1, field);
    if (lua_type(L, -1) == LUA_TNUMBER) {
        lua_tostring(L, -1);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, field);
    }
    if (lua_isnil(L, -1))
        luaL_error(L, "session.open: option '%s': '%s' has no %s", key, name, field);
    const char *text = checked(L, key, name, len);
    lua_pop(L, 1);
    return text;
}

/* The pair name, value on top. */
static struct session_gift read_gift(lua_State *L, const char *key)
{
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "session.open: option '%s' must map names to values", key);
    struct session_gift gift = {.name = lua_tolstring(L, -2, &len)};
    plain(L, gift.name, len, key);
    if (strcmp(key, "credentials") == 0) {
        if (!lua_istable(L, -1))
            luaL_error(L, "session.open: option 'credentials': '%s' must be a table { username, "
                          "password }", gift.name);
        gift.value = field_of(L, key, gift.name, "username", &gift.len);
        gift.more = field_of(L, key, gift.name, "password", &gift.more_len);
        return gift;
    }
    if (lua_type(L, -1) == LUA_TNUMBER)
        luaL_error(L, "session.open: option '%s': '%s' must be a string or a secret, got number",
                   key, gift.name);
    gift.value = checked(L, key, gift.name, &gift.len);
    if (strcmp(key, "secrets") != 0)
        plain(L, gift.value, gift.len, key);
    else if (gift.len > SECRET_MAX)
        luaL_error(L, "session.open: secret '%s' has more than %d bytes", gift.name, SECRET_MAX);
    return gift;
}

/* The map's pairs; the block, a userdata, is left on the stack, its texts stand in the options. */
static struct session_gifts read_gifts(lua_State *L, const char *key)
{
    struct session_gifts gifts = {0};
    luaL_checkstack(L, 8, "too many values");
    if (lua_getfield(L, 1, key) == LUA_TNIL)
        return gifts;
    const int map = lua_gettop(L);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1))
        count++;
    if (count > GIFTS_MAX)
        luaL_error(L, "session.open: option '%s' has more than %d entries", key, GIFTS_MAX);
    struct session_gift *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
    gifts.list = list; /* map list */
    for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1))
        list[gifts.count++] = read_gift(L, key);
    return gifts;
}

static void read_options(lua_State *L, struct session_spec *spec)
{
    *spec = (struct session_spec){
        .api = opt_text(L, 1, "api", NULL),
        .shared_key = opt_text(L, 1, "shared_key", NULL),
        .output = opt_text(L, 1, "output", NULL),
        .timeout_ms = opt_milliseconds(L, 1, "timeout", OPEN_SECONDS),
        .silence_ms = opt_milliseconds(L, 1, "silence", SILENCE_SECONDS),
        .opened = on_opened,
    };
    http_read_place(L, "session.open", &spec->place);
    if (strspn(spec->api, "0123456789.") != strlen(spec->api) || strlen(spec->api) > 16)
        luaL_error(L, "session.open: option 'api' must be a version such as 1.41");
    if (spec->shared_key && strpbrk(spec->shared_key, "\r\n"))
        luaL_error(L, "session.open: option 'shared_key' holds a line break");
    spec->dockerfile_text = opt_text(L, 1, "dockerfile_text", &spec->dockerfile_len);
    spec->dirs = read_gifts(L, "dirs");
    spec->secrets = read_gifts(L, "secrets");
    spec->credentials = read_gifts(L, "credentials");
    spec->ssh = read_gifts(L, "ssh");
}

/* --- functions -------------------------------------------------------------------------------- */

static int fail(lua_State *L, struct err *err)
{
    memcpy(err->op, "session", sizeof "session");
    return bind_fail(L, err);
}

static struct link *to_link(lua_State *L)
{
    return *(struct link **)luaL_checkudata(L, 1, SESSION);
}

static void open_cancel(void *op)
{
    end_link(((struct session_wait *)op)->link);
}

static int k_open(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct link *link = ((struct session_wait *)context)->link;
    if (!link->session && !link->result.stood)
        return fail(L, &link->result.err);
    lua_pushvalue(L, 2);
    return 1;
}

/* session.open { … } -> session | nil, err */
static int l_open(lua_State *L)
{
    struct session_spec spec;
    struct err err;
    lua_settop(L, 1);
    struct link **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, SESSION);
    struct session_wait *wait = bind_wait(L, sizeof *wait, WAIT, open_cancel);
    bind_options(L, 1, open_options, "session.open");
    read_options(L, &spec);
    struct link *link = *slot = mem_alloc(sizeof *link);
    wait->link = link;
    link->session = session_start(bind_loop(L), &spec, on_done, link, &err);
    if (!link->session)
        return fail(L, &err);
    memcpy(link->id, session_id(link->session), strlen(session_id(link->session)) + 1);
    link->waiter = &wait->wait;
    hold_start(L, &link->hold, end_link, link);
    return bind_yield(L, wait, k_open);
}

static void set_count(lua_State *L, const char *key, unsigned long long count)
{
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, key);
}

static void push_stats(lua_State *L, const struct session_stats *stats)
{
    lua_createtable(L, 0, 8);
    set_count(L, "calls", stats->calls);
    set_count(L, "entries", stats->entries);
    set_count(L, "files", stats->files);
    set_count(L, "bytes", stats->bytes);
    set_count(L, "secrets", stats->secrets);
    set_count(L, "logins", stats->logins);
    set_count(L, "agents", stats->agents);
    set_count(L, "output", stats->output);
}

static void stop_waiting(void *op)
{
    struct session_wait *wait = op;
    wait->link->waiter = NULL;
    task_wake(wait);
}

static int push_end(lua_State *L, struct link *link)
{
    if (link->result.err.kind != ERR_NONE)
        return fail(L, &link->result.err);
    push_stats(L, &link->result.stats);
    return 1;
}

static int k_end(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return push_end(L, ((struct session_wait *)context)->link);
}

/* session:wait() -> stats | nil, err */
static int l_wait(lua_State *L)
{
    struct link *link = to_link(L);
    if (!link->session)
        return push_end(L, link);
    if (link->waiter)
        return luaL_error(L, "another task waits for this session already");
    struct session_wait *wait = bind_wait(L, sizeof *wait, WAIT, stop_waiting);
    wait->link = link;
    link->waiter = &wait->wait;
    return bind_yield(L, wait, k_end);
}

/* session:close() -> stats | nil, err */
static int l_close(lua_State *L)
{
    end_link(to_link(L));
    return l_wait(L);
}

static int l_end(lua_State *L)
{
    end_link(to_link(L));
    return 0;
}

/* session:id() -> string */
static int l_id(lua_State *L)
{
    lua_pushstring(L, to_link(L)->id);
    return 1;
}

/* session:stats() -> stats */
static int l_stats(lua_State *L)
{
    const struct link *link = to_link(L);
    push_stats(L, link->session ? session_stats(link->session) : &link->result.stats);
    return 1;
}

/* session:failure() -> err | nil */
static int l_failure(lua_State *L)
{
    const struct link *link = to_link(L);
    struct err err = link->session ? *session_failure(link->session) : link->result.err;
    if (err.kind == ERR_NONE)
        return 0;
    fail(L, &err);
    return 1;
}

static const luaL_Reg methods[] = {
    {"id", l_id},       {"wait", l_wait},       {"close", l_close},
    {"stats", l_stats}, {"failure", l_failure}, {NULL, NULL},
};

static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};

int luaopen_orch_session(lua_State *L);
int luaopen_orch_session(lua_State *L)
{
    bind_type(L, SESSION, methods, link_gc);
    bind_closable(L, SESSION, l_end);
    bind_type(L, WAIT, NULL, NULL);
    bind_module(L, functions);
    return 1;
}
