#include "bind/options.h"

#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "bind/bind.h"

static const char *const type_words[] = {
    [OPT_TEXT] = "a string",
    [OPT_PLAIN] = "a string",
    [OPT_BOOL] = "true or false",
    [OPT_INTEGER] = "a whole number, zero or more",
    [OPT_NUMBER] = "a number, zero to 1e12",
    [OPT_LIST] = "a list",
    [OPT_MAP] = "a table",
    [OPT_FUNCTION] = "a function",
    [OPT_ANY] = "a value",
};

static bool is_text(lua_State *L, int idx)
{
    return lua_isstring(L, idx) || bind_is_secret(L, idx);
}

static bool holds_zero(lua_State *L, int idx)
{
    size_t len;
    const char *text = bind_text(L, idx, &len);
    return strlen(text) != len;
}

static bool fits(lua_State *L, int idx, enum opt_type type)
{
    switch (type) {
    case OPT_TEXT:
        return is_text(L, idx);
    case OPT_PLAIN:
        return is_text(L, idx) && *bind_text(L, idx, NULL) && !holds_zero(L, idx);
    case OPT_BOOL:
        return lua_isboolean(L, idx);
    case OPT_INTEGER:
        return lua_isinteger(L, idx) && lua_tointeger(L, idx) >= 0;
    case OPT_NUMBER:
        return lua_type(L, idx) == LUA_TNUMBER && lua_tonumber(L, idx) >= 0 &&
               lua_tonumber(L, idx) <= 1e12;
    case OPT_LIST:
    case OPT_MAP:
        return lua_istable(L, idx);
    case OPT_FUNCTION:
        return lua_isfunction(L, idx);
    case OPT_ANY:
        return true;
    }
    return false;
}

static int unknown_option(lua_State *L, const struct opt *opts, const char *function)
{
    luaL_Buffer known;
    const char *key = luaL_tolstring(L, -2, NULL);
    luaL_buffinit(L, &known);
    for (const struct opt *opt = opts; opt->key; opt++) {
        luaL_addstring(&known, opt == opts ? "" : ", ");
        luaL_addstring(&known, opt->key);
    }
    luaL_pushresult(&known);
    return luaL_error(L, "%s: unknown option '%s' (known: %s)", function, key,
                      lua_tostring(L, -1));
}

/* A text that does not fit is not shown: it may be a credential. */
static int refuse_value(lua_State *L, const struct opt *opt, const char *function)
{
    if (opt->type == OPT_PLAIN && is_text(L, -1))
        return luaL_error(L, "%s: option '%s' is empty or holds a zero byte", function, opt->key);
    return luaL_error(L, "%s: option '%s' must be %s, got %s", function, opt->key,
                      type_words[opt->type], luaL_tolstring(L, -1, NULL));
}

void bind_options(lua_State *L, int arg, const struct opt *opts, const char *function)
{
    arg = lua_absindex(L, arg);
    if (!lua_istable(L, arg))
        luaL_error(L, "%s: expected a table of options, got %s", function,
                   luaL_typename(L, arg));
    if (luaL_getmetafield(L, arg, "__index") != LUA_TNIL)
        luaL_error(L, "%s: the table of options has a metatable with __index; give a plain one",
                   function); /* what it makes up would not outlive the look at it */
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        const struct opt *opt = opts;
        if (lua_type(L, -2) == LUA_TSTRING)
            while (opt->key && strcmp(opt->key, lua_tostring(L, -2)) != 0)
                opt++;
        if (lua_type(L, -2) != LUA_TSTRING || !opt->key)
            unknown_option(L, opts, function);
        if (!fits(L, -1, opt->type))
            refuse_value(L, opt, function);
    }
    for (const struct opt *opt = opts; opt->key; opt++)
        if (opt->required && lua_getfield(L, arg, opt->key) == LUA_TNIL)
            luaL_error(L, "%s: option '%s' is missing", function, opt->key);
        else if (opt->required)
            lua_pop(L, 1);
}

const char *opt_text(lua_State *L, int arg, const char *key, size_t *len)
{
    if (len)
        *len = 0;
    const char *text = NULL;
    if (lua_getfield(L, arg, key) == LUA_TNUMBER) { /* keep the converted string in the table */
        lua_tostring(L, -1);
        lua_pushvalue(L, -1);
        lua_setfield(L, lua_absindex(L, arg), key);
    }
    if (!lua_isnil(L, -1))
        text = bind_text(L, -1, len);
    lua_pop(L, 1);
    return text;
}

bool opt_bool(lua_State *L, int arg, const char *key, bool fallback)
{
    bool value = lua_getfield(L, arg, key) == LUA_TNIL ? fallback : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

lua_Integer opt_integer(lua_State *L, int arg, const char *key, lua_Integer fallback)
{
    lua_Integer value = lua_getfield(L, arg, key) == LUA_TNIL ? fallback : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

lua_Number opt_number(lua_State *L, int arg, const char *key, lua_Number fallback)
{
    lua_Number value = lua_getfield(L, arg, key) == LUA_TNIL ? fallback : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

uint64_t opt_milliseconds(lua_State *L, int arg, const char *key, lua_Number fallback)
{
    return (uint64_t)(opt_number(L, arg, key, fallback) * 1000 + 0.5);
}

const char *bind_path(lua_State *L, int arg)
{
    const char *path = luaL_checkstring(L, arg);
    luaL_argcheck(L, !holds_zero(L, arg), arg, "the path holds a zero byte");
    return path;
}

const char **opt_texts(lua_State *L, int arg, const char *key, size_t *count)
{
    if (count)
        *count = 0;
    arg = lua_absindex(L, arg);
    if (lua_getfield(L, arg, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    size_t len = lua_rawlen(L, -1);
    for (size_t i = 1; i <= len; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        if (!is_text(L, -1))
            luaL_error(L, "element %d of '%s' must be a string, got %s", (int)i, key,
                       luaL_typename(L, -1));
        if (holds_zero(L, -1))
            luaL_error(L, "element %d of '%s' holds a zero byte", (int)i, key);
        if (lua_type(L, -1) == LUA_TNUMBER) {
            lua_tostring(L, -1);
            lua_pushvalue(L, -1);
            lua_rawseti(L, -3, (lua_Integer)i);
        }
        lua_pop(L, 1);
    }
    const char **texts = mem_alloc((len + 1) * sizeof *texts);
    for (size_t i = 0; i < len; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        texts[i] = bind_text(L, -1, NULL);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (count)
        *count = len;
    return texts;
}
