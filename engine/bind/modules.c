#include <dlfcn.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "bind/host.h"
#include "bind/library.h"

int luaopen_orch_task(lua_State *L);
int luaopen_orch_error(lua_State *L);
int luaopen_orch_secret(lua_State *L);
int luaopen_orch_proc(lua_State *L);
int luaopen_orch_fs(lua_State *L);
int luaopen_orch_db(lua_State *L);
int luaopen_orch_json(lua_State *L);
int luaopen_orch_trace(lua_State *L);
int luaopen_orch_repo(lua_State *L);
int luaopen_orch_spool(lua_State *L);
int luaopen_orch_term(lua_State *L);

/* Shared objects beside the program, mapped on first require: their libraries cost milliseconds. */
static const char *const mapped[] = {"http", "hash", "tar", "session", NULL};

static int push_opener(lua_State *L, lua_CFunction open, const char *origin)
{
    lua_pushlightuserdata(L, bind_host(L));
    lua_pushcclosure(L, open, 1);
    lua_pushstring(L, origin);
    return 2;
}

/* library.doc(module) -> its file's first comment line, or nil; nil for a tree named by ORCH_LUA */
static int l_doc(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    for (const struct library_file *file = library_files; file->name; file++)
        if (strcmp(file->name, name) == 0) {
            lua_pushstring(L, file->doc);
            return 1;
        }
    return 0;
}

/* library.shim() -> path of orch-shim, the parent of programs here and in containers */
static int l_shim(lua_State *L)
{
    lua_pushstring(L, bind_host(L)->shim);
    return 1;
}

static const luaL_Reg library_functions[] = {{"doc", l_doc}, {"shim", l_shim}, {NULL, NULL}};

static int luaopen_orch_library(lua_State *L)
{
    bind_module(L, library_functions);
    return 1;
}

/* Linked into the program, since every run needs them. */
static const luaL_Reg linked[] = {
    {"orch.task", luaopen_orch_task},
    {"orch.error", luaopen_orch_error},
    {"orch.secret", luaopen_orch_secret},
    {"orch.proc", luaopen_orch_proc},
    {"orch.fs", luaopen_orch_fs},
    {"orch.db", luaopen_orch_db},
    {"orch.json", luaopen_orch_json},
    {"orch.trace", luaopen_orch_trace},
    {"orch.repo", luaopen_orch_repo},
    {"orch.spool", luaopen_orch_spool},
    {"orch.term", luaopen_orch_term},
    {"orch.library", luaopen_orch_library},
    {NULL, NULL},
};

static int find_linked(lua_State *L, const char *name)
{
    for (const luaL_Reg *module = linked; module->name; module++)
        if (strcmp(module->name, name) == 0)
            return push_opener(L, module->func, "engine");
    return 0;
}

static int find_mapped(lua_State *L, const char *name)
{
    const char *const *module = mapped;
    while (*module && (strncmp(name, "orch.", 5) != 0 || strcmp(*module, name + 5) != 0))
        module++;
    if (!*module)
        return 0;
    const char *file = lua_pushfstring(L, "%s/%s.so", bind_host(L)->lib_dir, *module);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *symbol = lua_pushfstring(L, "luaopen_orch_%s", *module);
    lua_CFunction open = NULL;
    if (library)
        *(void **)&open = dlsym(library, symbol);
    if (!open)
        return luaL_error(L, "cannot load the engine's module %s: %s", file, dlerror());
    return push_opener(L, open, file);
}

static int find_embedded(lua_State *L, const char *name)
{
    for (const struct library_file *file = library_files; file->name; file++) {
        if (strcmp(file->name, name) != 0)
            continue;
        if (luaL_loadbufferx(L, (const char *)file->code, file->len, file->chunk, "b") != LUA_OK)
            return lua_error(L);
        lua_pushstring(L, file->chunk + 1);
        return 2;
    }
    return 0;
}

/* The tree that ORCH_LUA names, in place of the embedded library. */
static int find_in_tree(lua_State *L, const char *tree, const char *name)
{
    const char *path = luaL_gsub(L, name, ".", "/");
    const char *const forms[] = {"%s/%s.lua", "%s/%s/init.lua"};
    for (int i = 0; i < 2; i++) {
        const char *file = lua_pushfstring(L, forms[i], tree, path);
        int status = luaL_loadfilex(L, file, "t");
        if (status == LUA_OK) {
            lua_pushstring(L, file);
            return 2;
        }
        if (status != LUA_ERRFILE)
            return lua_error(L);
        lua_pop(L, 2);
    }
    return 0;
}

static int l_search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (strcmp(name, "orch") != 0 && strncmp(name, "orch.", 5) != 0)
        return 0;
    const char *tree = bind_host(L)->lua_tree;
    int found = find_linked(L, name);
    if (!found)
        found = tree ? find_in_tree(L, tree, name) : find_embedded(L, name);
    if (!found)
        found = find_mapped(L, name);
    if (!found)
        lua_pushfstring(L, "no module '%s' in the engine", name);
    return found ? found : 1;
}

void bind_open_all(lua_State *L, struct host *host)
{
    bind_guard_coroutines(L, host);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, l_search, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
    /* error values, and the root task, need their metatables before anyone requires the module */
    static const lua_CFunction first[] = {luaopen_orch_error, luaopen_orch_task};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        lua_pushlightuserdata(L, host);
        lua_pushcclosure(L, first[i], 1);
        lua_call(L, 0, 0);
    }
}
