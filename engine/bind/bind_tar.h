/* Shared by the files of orch.tar only. */
#ifndef BIND_BIND_TAR_H
#define BIND_BIND_TAR_H

#include "bind/bind.h"
#include "prim/tar_names.h"

/* Types of tar.context and tar.ignore, once. */
void bind_tar_context_types(lua_State *L);
int bind_tar_context(lua_State *L);
int bind_tar_ignore(lua_State *L);

/* Types and functions that read. */
void bind_tar_read_types(lua_State *L);
int bind_tar_unpack(lua_State *L);
int bind_tar_list(lua_State *L);
int bind_tar_check(lua_State *L);

/* Pushes a sorted list. */
void bind_tar_names(lua_State *L, const struct tar_names *names);

#endif
