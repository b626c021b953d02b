#include "bind/bind.h"

#include <string.h>

/* Error values: { kind, message, op?, code?, where?, traceback?, … } with this metatable, so that
   they survive every pcall and read as their message where a string is expected. */
#define ERROR "orch.error"

void bind_push_err(lua_State *L, const struct err *err)
{
    lua_createtable(L, 0, 4);
    luaL_setmetatable(L, ERROR);
    lua_pushstring(L, err_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->message);
    lua_setfield(L, -2, "message");
    if (err->op[0]) {
        lua_pushstring(L, err->op);
        lua_setfield(L, -2, "op");
    }
    if (err->code) {
        lua_pushinteger(L, err->code);
        lua_setfield(L, -2, "code");
    }
}

int bind_fail(lua_State *L, const struct err *err)
{
    lua_pushnil(L);
    bind_push_err(L, err);
    return 2;
}

int bind_raise(lua_State *L, const struct err *err)
{
    bind_push_err(L, err);
    return lua_error(L);
}

static bool is_error(lua_State *L, int idx)
{
    if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
        return false;
    luaL_getmetatable(L, ERROR);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* Is the function of the engine's own library, embedded or in a tree that ORCH_LUA names? */
static bool is_ours(const lua_Debug *info)
{
    return strncmp(info->source, "@lua/orch/", 10) == 0 || strstr(info->source, "/lua/orch/");
}

/* Sets where = "file:line" of the innermost code that is not the engine's. */
static void set_place(lua_State *L)
{
    lua_Debug info;
    lua_pushliteral(L, "where");
    bool told = lua_rawget(L, 1) != LUA_TNIL;
    lua_pop(L, 1);
    for (int level = 1; !told && lua_getstack(L, level, &info); level++) {
        lua_getinfo(L, "Sl", &info);
        if (info.source[0] != '@' || info.currentline <= 0 || is_ours(&info))
            continue;
        lua_pushliteral(L, "where");
        lua_pushfstring(L, "%s:%d", info.short_src, info.currentline);
        lua_rawset(L, 1);
        return;
    }
}

/* A raw message without the line of the engine's library that luaL_error put before it. */
static const char *without_our_line(const char *message)
{
    if (strncmp(message, "lua/orch/", 9) != 0)
        return message;
    const char *colon = strchr(message, ':');
    const char *end = colon ? strstr(colon + 1, ": ") : NULL;
    return end ? end + 2 : message;
}

/* What was raised, in words; a table of the recipe's own may have a message. Leaves them on the
   stack. */
static const char *words_of(lua_State *L)
{
    if (!lua_istable(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
        return without_our_line(luaL_tolstring(L, 1, NULL));
    lua_pushliteral(L, "message");
    if (lua_rawget(L, 1) == LUA_TSTRING)
        return lua_tostring(L, -1);
    return "a table was raised, which says nothing: orch.fail(\"…\") takes words, error { message = \"…\" } too";
}

int bind_on_error(lua_State *L)
{
    lua_settop(L, 1);
    if (!is_error(L, 1)) {
        struct err err;
        err_set(&err, ERR_USAGE, "%s", words_of(L));
        bind_push_err(L, &err);
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    set_place(L);
    lua_pushliteral(L, "traceback");
    if (lua_rawget(L, 1) == LUA_TNIL) {
        lua_pushliteral(L, "traceback");
        luaL_traceback(L, L, NULL, 1);
        lua_rawset(L, 1);
    }
    lua_settop(L, 1);
    return 1;
}

/* error.new { kind =, message =, … }: the table itself becomes the error value. */
static int l_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "kind");
    const char *kind = luaL_optstring(L, -1, "failed");
    if (err_kind_named(kind) == ERR_NONE)
        return luaL_error(L, "error.new: unknown kind '%s'", kind);
    lua_pushstring(L, kind);
    lua_setfield(L, 1, "kind");
    lua_getfield(L, 1, "message");
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "error.new: option 'message' is missing");
    lua_settop(L, 1);
    luaL_setmetatable(L, ERROR);
    return 1;
}

static int l_is(lua_State *L)
{
    lua_pushboolean(L, is_error(L, 1));
    return 1;
}

/* error.exit_code(kind) -> the program's exit code */
static int l_exit_code(lua_State *L)
{
    lua_pushinteger(L, err_exit_code(err_kind_named(luaL_checkstring(L, 1))));
    return 1;
}

static int l_call(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* error.keeping_caller(f): a Lua function that is called last, as in `return f { … }`, takes its
   caller's frame. */
static int l_keeping_caller(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, l_call, 1);
    return 1;
}

static int l_tostring(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"on_error", bind_on_error},
    {"new", l_new},
    {"is", l_is},
    {"exit_code", l_exit_code},
    {"keeping_caller", l_keeping_caller},
    {NULL, NULL},
};

int luaopen_orch_error(lua_State *L);
int luaopen_orch_error(lua_State *L)
{
    if (luaL_newmetatable(L, ERROR)) {
        lua_pushcfunction(L, l_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    bind_module(L, functions);
    return 1;
}
