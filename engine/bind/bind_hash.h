/* The part of orch.hash that signs requests; shared inside the module only. */
#ifndef BIND_BIND_HASH_H
#define BIND_BIND_HASH_H

#include <lua.h>

int l_sigv4(lua_State *L);
int l_sigv4_presign(lua_State *L);
/* Before the first call; with the host as upvalue 1. */
void bind_sigv4_types(lua_State *L);

#endif
