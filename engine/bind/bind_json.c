#include "bind/bind_json.h"

#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "bind/options.h"

enum {
    DECODE_MAX = 64 << 20,    /* default of decode's max, */
    VALUES_MAX = 1000 * 1000, /* and of its values_max: "{}," becomes some 250 bytes */
};

void json_work_end(struct json_work *work)
{
    json_decref(work->root);
    work->root = NULL;
    buf_fini(&work->text);
    buf_fini(&work->names);
}

static int work_gc(lua_State *L)
{
    json_work_end(lua_touserdata(L, 1));
    return 0;
}

struct json_work *json_push_work(lua_State *L)
{
    struct json_work *work = lua_newuserdatauv(L, sizeof *work, 0);
    work->root = NULL;
    buf_init(&work->text, JSON_TEXT_MAX);
    buf_init(&work->names, JSON_TEXT_MAX);
    luaL_setmetatable(L, JSON_WORK);
    return work;
}

/* The one null of this state stands in its metatable, so that it compares by identity. */
static void push_null(lua_State *L)
{
    luaL_getmetatable(L, JSON_NULL_TYPE);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

/* --- decode ------------------------------------------------------------------------------- */

static bool push_value(lua_State *L, const json_t *value, int depth);

static bool push_array(lua_State *L, const json_t *array, int depth)
{
    size_t count = json_array_size(array);
    lua_createtable(L, (int)count, 0);
    luaL_setmetatable(L, JSON_ARRAY_TYPE);
    for (size_t i = 0; i < count; i++) {
        if (!push_value(L, json_array_get(array, i), depth))
            return false;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return true;
}

static bool push_object(lua_State *L, const json_t *object, int depth)
{
    json_t *from = (json_t *)object; /* the iterator's type is not const; nothing is changed */
    lua_createtable(L, 0, (int)json_object_size(object));
    for (void *at = json_object_iter(from); at; at = json_object_iter_next(from, at)) {
        lua_pushstring(L, json_object_iter_key(at));
        if (!push_value(L, json_object_iter_value(at), depth)) /* object key value */
            return false;
        lua_rawset(L, -3);
    }
    return true;
}

static bool push_value(lua_State *L, const json_t *value, int depth)
{
    luaL_checkstack(L, 8, "a JSON document");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return depth < JSON_DEPTH_MAX && push_object(L, value, depth + 1);
    case JSON_ARRAY:
        return depth < JSON_DEPTH_MAX && push_array(L, value, depth + 1);
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        push_null(L);
        break;
    }
    return true;
}

static const struct opt decode_options[] = {
    {"max", OPT_INTEGER, false}, {"values_max", OPT_INTEGER, false}, {NULL, 0, false}};

static int refuse(lua_State *L, enum err_kind kind, const char *message)
{
    struct err err = {0};
    err_set(&err, kind, "%s", message);
    memcpy(err.op, "json", sizeof "json");
    return bind_fail(L, &err);
}

/* jansson quotes the text it stumbled over, which may be a credential: only the place is told. */
static int refuse_syntax(lua_State *L, json_error_t *error)
{
    char *quote = strstr(error->text, " near ");
    if (quote)
        *quote = '\0';
    const char *message = lua_pushfstring(L, "invalid JSON at %d:%d: %s", error->line,
                                          error->column, error->text);
    return refuse(L, ERR_USAGE, message);
}

/* The byte behind the string that begins before at. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at + 1;
}

/* How many values it has, or a few more, as if it were JSON. */
static size_t count_values(const char *text, size_t len)
{
    size_t count = 1;
    for (size_t at = 0; at < len;) {
        const char c = text[at++];
        count += c == ',' || c == '[' || c == '{';
        if (c == '"')
            at = skip_string(text, len, at);
    }
    return count;
}

/* json.decode(text[, { max, values_max }]) -> value | nil, err */
static int l_decode(lua_State *L)
{
    size_t len;
    if (luaL_testudata(L, 1, JSON_SECRET))
        return luaL_argerror(L, 1, "a secret cannot be read as JSON");
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer max = DECODE_MAX, values_max = VALUES_MAX;
    if (!lua_isnoneornil(L, 2)) {
        bind_options(L, 2, decode_options, "json.decode");
        max = opt_integer(L, 2, "max", DECODE_MAX);
        values_max = opt_integer(L, 2, "values_max", VALUES_MAX);
    }
    if (len > (size_t)max)
        return refuse(L, ERR_LIMIT,
                      lua_pushfstring(L, "JSON of %I bytes, of which %I are allowed",
                                      (LUAI_UACINT)len, (LUAI_UACINT)max));
    if (len > (size_t)values_max && count_values(text, len) > (size_t)values_max)
        return refuse(L, ERR_LIMIT, lua_pushfstring(L, "JSON of more than %I values",
                                                    (LUAI_UACINT)values_max));
    struct json_work *work = json_push_work(L);
    json_error_t error;
    work->root = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!work->root)
        return refuse_syntax(L, &error);
    bool good = push_value(L, work->root, 0);
    json_work_end(work);
    if (!good)
        return refuse(L, ERR_USAGE,
                      lua_pushfstring(L, "invalid JSON: more than %d levels deep", JSON_DEPTH_MAX));
    return 1;
}

/* --- marks -------------------------------------------------------------------------------- */

/* json.array(t): written as [] even when empty */
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, JSON_ARRAY_TYPE);
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "the table has a metatable already");
    }
    lua_settop(L, 1);
    luaL_setmetatable(L, JSON_ARRAY_TYPE);
    return 1;
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

static const luaL_Reg functions[] = {
    {"decode", l_decode},
    {"encode", json_l_encode},
    {"plain", json_l_plain},
    {"array", l_array},
    {NULL, NULL},
};

static void *take(size_t size)
{
    return mem_grow(NULL, size);
}

int luaopen_orch_json(lua_State *L);
int luaopen_orch_json(lua_State *L)
{
    json_set_alloc_funcs(take, mem_free); /* which never fail, so that no value is ever NULL */
    bind_type(L, JSON_WORK, NULL, work_gc);
    luaL_newmetatable(L, JSON_ARRAY_TYPE);
    if (luaL_newmetatable(L, JSON_NULL_TYPE)) {
        lua_pushcfunction(L, null_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_newuserdatauv(L, 0, 0);
        luaL_setmetatable(L, JSON_NULL_TYPE);
        lua_rawseti(L, -2, 1);
    }
    bind_module(L, functions);
    push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
