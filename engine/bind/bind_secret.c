#include "bind/bind.h"

#include <string.h>

/* A secret is a userdata { name, value } whose value Lua cannot see: it prints ***, its concatenation
   is a secret again, and only primitives open it (bind_text). */
#define SECRET "orch.secret"

struct secret {
    size_t len;
    char value[];
};

static struct secret *to_secret(lua_State *L, int idx)
{
    return luaL_testudata(L, idx, SECRET);
}

static void push(lua_State *L, size_t len, int name)
{
    name = lua_absindex(L, name);
    struct secret *secret = lua_newuserdatauv(L, sizeof *secret + len + 1, 1);
    secret->len = len;
    secret->value[len] = '\0';
    luaL_setmetatable(L, SECRET);
    lua_pushvalue(L, name);
    lua_setiuservalue(L, -2, 1);
}

const char *bind_text(lua_State *L, int idx, size_t *len)
{
    struct secret *secret = to_secret(L, idx);
    if (!secret)
        return luaL_checklstring(L, idx, len);
    if (len)
        *len = secret->len;
    return secret->value;
}

/* secret.new(value, name) */
static int l_new(lua_State *L)
{
    size_t len;
    const char *value = luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    push(L, len, 2);
    memcpy(to_secret(L, -1)->value, value, len);
    return 1;
}

static int l_is(lua_State *L)
{
    lua_pushboolean(L, to_secret(L, 1) != NULL);
    return 1;
}

/* secret.name(s): by which name people and the journal know it */
static int l_name(lua_State *L)
{
    luaL_checkudata(L, 1, SECRET);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int l_concat(lua_State *L)
{
    size_t left_len, right_len;
    const char *left = bind_text(L, 1, &left_len), *right = bind_text(L, 2, &right_len);
    lua_getiuservalue(L, to_secret(L, 1) ? 1 : 2, 1);
    push(L, left_len + right_len, -1);
    char *value = to_secret(L, -1)->value;
    memcpy(value, left, left_len);
    memcpy(value + left_len, right, right_len);
    return 1;
}

static int l_tostring(lua_State *L)
{
    lua_pushliteral(L, "***");
    return 1;
}

static int l_gc(lua_State *L)
{
    struct secret *secret = to_secret(L, 1);
    if (secret)
        explicit_bzero(secret->value, secret->len);
    return 0;
}

static const luaL_Reg functions[] = {
    {"new", l_new},
    {"is", l_is},
    {"name", l_name},
    {NULL, NULL},
};

int luaopen_orch_secret(lua_State *L);
int luaopen_orch_secret(lua_State *L)
{
    if (luaL_newmetatable(L, SECRET)) {
        lua_pushcfunction(L, l_concat);
        lua_setfield(L, -2, "__concat");
        lua_pushcfunction(L, l_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushliteral(L, "secret");
        lua_setfield(L, -2, "__metatable");
    }
    bind_module(L, functions);
    return 1;
}
