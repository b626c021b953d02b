#include "bind/bind_tar.h"

void bind_tar_read_types(lua_State *L)
{
    (void)L;
}

int bind_tar_unpack(lua_State *L)
{
    return luaL_error(L, "not yet");
}

int bind_tar_list(lua_State *L)
{
    return luaL_error(L, "not yet");
}
