#include "bind/bind.h"

#include "bind/host.h"

struct host *bind_host(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

struct loop *bind_loop(lua_State *L)
{
    return bind_host(L)->loop;
}

void bind_module(lua_State *L, const luaL_Reg *functions)
{
    lua_newtable(L);
    lua_pushlightuserdata(L, bind_host(L));
    luaL_setfuncs(L, functions, 1);
}

void bind_type(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction gc)
{
    if (luaL_newmetatable(L, type)) {
        lua_newtable(L); /* mt methods */
        if (methods) {
            lua_pushlightuserdata(L, bind_host(L));
            luaL_setfuncs(L, methods, 1);
        }
        lua_setfield(L, -2, "__index");
        if (gc) {
            lua_pushlightuserdata(L, bind_host(L));
            lua_pushcclosure(L, gc, 1);
            lua_setfield(L, -2, "__gc");
        }
    }
    lua_pop(L, 1);
}

void bind_closable(lua_State *L, const char *type, lua_CFunction close)
{
    luaL_getmetatable(L, type);
    lua_pushlightuserdata(L, bind_host(L));
    lua_pushcclosure(L, close, 1);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
}
