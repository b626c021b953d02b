#include "bind/bind.h"

#include <string.h>

#include "base/mem.h"
#include "bind/options.h"
#include "prim/db.h"

#define DB "orch.db.database"
#define QUERY "orch.db.query"
#define CLOSE "orch.db.close"

enum { STATEMENTS_MAX = 1000, PARAMS_MAX = 100 };

/* Shared by the userdata and the primitive: freed when both have let go. */
struct base {
    struct db *db; /* NULL once closing */
    struct hold hold;
    struct wait *closer;
    struct err failure; /* of the first post that failed; told by the next statement */
    bool closed; /* the primitive is gone */
    bool orphan; /* the userdata is gone */
};

struct query {
    struct wait wait;
    struct request *request; /* until it is done */
    int rows; /* registry reference of the rows or of the error, made in the loop */
    bool failed;
};

static void on_closed(void *arg)
{
    struct base *base = arg;
    base->closed = true;
    if (base->closer)
        task_wake(base->closer);
    hold_release(&base->hold);
    if (base->orphan)
        mem_free(base);
}

static void end_base(void *thing)
{
    struct base *base = thing;
    struct db *db = base->db;
    base->db = NULL;
    if (db)
        db_close(db, on_closed, base);
}

static struct base *to_base(lua_State *L)
{
    struct base *base = *(struct base **)luaL_checkudata(L, 1, DB);
    if (!base->db)
        luaL_error(L, "the database is closed");
    return base;
}

static int base_gc(lua_State *L)
{
    struct base **slot = lua_touserdata(L, 1), *base = *slot;
    *slot = NULL;
    if (!base)
        return 0;
    base->orphan = true;
    end_base(base);
    if (base->closed)
        mem_free(base);
    return 0;
}

/* --- queries ---------------------------------------------------------------------------------- */

static void push_value(lua_State *L, const struct db_value *value)
{
    switch (value->type) {
    case DB_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case DB_REAL:
        lua_pushnumber(L, value->real);
        break;
    case DB_TEXT:
        lua_pushlstring(L, value->text, value->len);
        break;
    default:
        lua_pushnil(L);
    }
}

static void push_rows(lua_State *L, const struct db_result *result)
{
    lua_createtable(L, (int)result->row_count, 2);
    for (size_t row = 0; row < result->row_count; row++) {
        lua_createtable(L, 0, (int)result->column_count);
        for (size_t i = 0; i < result->column_count; i++) {
            push_value(L, &result->cells[row * result->column_count + i]);
            lua_setfield(L, -2, result->columns[i]);
        }
        lua_rawseti(L, -2, (lua_Integer)row + 1);
    }
    lua_pushinteger(L, result->changes);
    lua_setfield(L, -2, "changes");
    lua_pushinteger(L, result->last_id);
    lua_setfield(L, -2, "last_id");
}

static void on_query(void *arg, const struct db_result *result)
{
    struct query *query = arg;
    lua_State *L = bind_state(query);
    query->request = NULL;
    query->failed = result->err.kind != ERR_NONE;
    if (query->failed)
        bind_push_err(L, &result->err);
    else
        push_rows(L, result);
    query->rows = luaL_ref(L, LUA_REGISTRYINDEX);
    task_wake(query);
}

static int query_gc(lua_State *L)
{
    struct query *query = lua_touserdata(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, query->rows);
    query->rows = LUA_NOREF;
    return 0;
}

static int k_query(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct query *query = (struct query *)context;
    if (query->failed)
        lua_pushnil(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, query->rows);
    return query->failed ? 2 : 1;
}

static void query_cancel(void *op)
{
    struct request *request = ((struct query *)op)->request;
    if (request)
        db_cancel(request);
}

static struct query *new_query(lua_State *L)
{
    struct query *query = bind_wait(L, sizeof *query, QUERY, query_cancel);
    query->rows = LUA_NOREF;
    return query;
}

/* The values from first to last on the stack as parameters; the texts stay Lua's. */
static struct db_value read_value(lua_State *L, int idx)
{
    struct db_value value = {0};
    switch (lua_type(L, idx)) {
    case LUA_TNIL:
    case LUA_TNONE:
        break;
    case LUA_TBOOLEAN:
        value.type = DB_INTEGER;
        value.integer = lua_toboolean(L, idx);
        break;
    case LUA_TNUMBER:
        value.type = lua_isinteger(L, idx) ? DB_INTEGER : DB_REAL;
        value.integer = lua_tointeger(L, idx);
        value.real = lua_tonumber(L, idx);
        break;
    case LUA_TSTRING:
        value.type = DB_TEXT;
        value.text = (char *)lua_tolstring(L, idx, &value.len);
        break;
    default:
        luaL_error(L, "a database holds nil, booleans, numbers and strings, not a %s",
                   luaL_typename(L, idx));
    }
    return value;
}

/* The statement at 2 with its parameters after it. */
static struct db_statement read_statement(lua_State *L, struct db_value *params)
{
    int count = lua_gettop(L) - 2;
    luaL_argcheck(L, count <= PARAMS_MAX, 2, "at most 100 parameters");
    for (int i = 0; i < count; i++)
        params[i] = read_value(L, i + 3);
    return (struct db_statement){.sql = luaL_checkstring(L, 2), .params = params,
                                 .param_count = count > 0 ? (size_t)count : 0};
}

static int execute(lua_State *L, bool durable)
{
    struct base *base = to_base(L);
    struct db_value params[PARAMS_MAX];
    struct db_statement statement = read_statement(L, params);
    struct query *query = new_query(L);
    const struct db_spec spec = {.statements = &statement, .count = 1, .durable = durable};
    query->request = db_start(base->db, &spec, on_query, query);
    return bind_yield(L, query, k_query);
}

/* base:exec(sql, …) -> rows | nil, err */
static int l_exec(lua_State *L)
{
    return execute(L, false);
}

/* base:exec_durable(sql, …): as exec, and a power cut does not lose it */
static int l_exec_durable(lua_State *L)
{
    return execute(L, true);
}

static void on_post(void *arg, const struct db_result *result)
{
    struct base *base = arg;
    if (result->err.kind != ERR_NONE && base->failure.kind == ERR_NONE)
        base->failure = result->err;
}

static int post(lua_State *L, bool later)
{
    struct base *base = to_base(L);
    if (base->failure.kind != ERR_NONE)
        return bind_raise(L, &base->failure);
    struct db_value params[PARAMS_MAX];
    struct db_statement statement = read_statement(L, params);
    const struct db_spec spec = {
        .statements = &statement, .count = 1, .quiet = true, .later = later};
    db_start(base->db, &spec, on_post, base);
    return 0;
}

/* base:post(sql, …): as exec, without waiting; a failure is raised by the next post or settle */
static int l_post(lua_State *L)
{
    return post(L, true);
}

/* base:post_now(sql, …): as post; begun at once */
static int l_post_now(lua_State *L)
{
    return post(L, false);
}

static int k_settle(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    struct base *base = *(struct base **)luaL_checkudata(L, 1, DB);
    return base->failure.kind != ERR_NONE ? bind_raise(L, &base->failure) : 0;
}

/* base:settle(): waits until all but the posts has been done; raises what failed of it, and of the
   posts */
static int l_settle(lua_State *L)
{
    struct base *base = to_base(L);
    if (db_settled(base->db))
        return 0;
    struct query *query = new_query(L);
    db_start(base->db, &(struct db_spec){0}, on_query, query);
    return bind_yield(L, query, k_settle);
}

/* base:transaction { { sql, … }, … } -> rows of the last one | nil, err; all or nothing */
static int l_transaction(lua_State *L)
{
    struct base *base = to_base(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count > 0 && count <= STATEMENTS_MAX, 2, "1 to 1,000 statements");
    struct query *query = new_query(L);
    struct db_statement *statements = lua_newuserdatauv(L, count * sizeof *statements, 0);
    lua_createtable(L, (int)count, 0); /* … anchors */
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1); /* … anchors statement */
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_getfield(L, -1, "n");
        int params = (int)luaL_optinteger(L, -1, (lua_Integer)lua_rawlen(L, -2)) - 1;
        lua_pop(L, 1);
        luaL_argcheck(L, params >= 0 && params <= PARAMS_MAX, 2, "at most 100 parameters");
        struct db_value *values = lua_newuserdatauv(L, ((size_t)params + 1) * sizeof *values, 0);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        for (int k = 0; k < params; k++) {
            lua_rawgeti(L, -1, k + 2); /* … anchors statement value */
            values[k] = read_value(L, -1);
            lua_pop(L, 1);
        }
        lua_rawgeti(L, -1, 1);
        statements[i] = (struct db_statement){
            .sql = luaL_checkstring(L, -1), .params = values, .param_count = (size_t)params};
        lua_pop(L, 2);
    }
    const struct db_spec spec = {.statements = statements, .count = count};
    query->request = db_start(base->db, &spec, on_query, query);
    return bind_yield(L, query, k_query);
}

static int k_close(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

static int l_close(lua_State *L)
{
    struct base *base = *(struct base **)luaL_checkudata(L, 1, DB);
    if (!base->db)
        return 0;
    base->closer = bind_wait(L, sizeof *base->closer, CLOSE, NULL);
    end_base(base);
    return bind_yield(L, base->closer, k_close);
}

/* database:release() */
static int l_release(lua_State *L)
{
    end_base(*(struct base **)luaL_checkudata(L, 1, DB));
    return 0;
}

/* db.open(path) -> database; errors are told by the first statement */
static int l_open(lua_State *L)
{
    const char *path = bind_path(L, 1);
    struct base **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, DB);
    struct base *base = *slot = mem_alloc(sizeof *base);
    base->db = db_open(bind_loop(L), path);
    hold_start(L, &base->hold, end_base, base);
    return 1;
}

static const luaL_Reg methods[] = {
    {"exec", l_exec},
    {"exec_durable", l_exec_durable},
    {"post", l_post},
    {"post_now", l_post_now},
    {"settle", l_settle},
    {"transaction", l_transaction},
    {"close", l_close},
    {"release", l_release},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"open", l_open},
    {NULL, NULL},
};

int luaopen_orch_db(lua_State *L);
int luaopen_orch_db(lua_State *L)
{
    bind_type(L, DB, methods, base_gc);
    bind_type(L, QUERY, NULL, query_gc);
    bind_type(L, CLOSE, NULL, NULL);
    bind_module(L, functions);
    return 1;
}
