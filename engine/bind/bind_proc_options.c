#include "bind/bind_proc.h"

#include <string.h>

#include "bind/host.h"
#include "bind/options.h"

static const struct opt start_options[] = {
    {"argv", OPT_LIST, true},     {"cwd", OPT_PLAIN, false},  {"env", OPT_MAP, false},
    {"input", OPT_TEXT, false},   {"split", OPT_BOOL, false}, {"inherit", OPT_BOOL, false},
    {"grace", OPT_NUMBER, false}, {"timeout", OPT_NUMBER, false},
    {"quiet", OPT_NUMBER, false}, {"output_max", OPT_INTEGER, false}, {NULL, 0, false},
};

/* "NAME=value" of each pair of the table `env`, as one userdata block left on the stack (or
   nil). */
static const char *const *env_block(lua_State *L, int arg)
{
    if (lua_getfield(L, arg, "env") == LUA_TNIL)
        return NULL;
    size_t size = sizeof(char *), count = 0; /* env */
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t name_len, value_len;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "option 'env' must map names to strings");
        const char *name = lua_tolstring(L, -2, &name_len);
        const char *value = bind_text(L, -1, &value_len);
        if (name_len == 0 || strpbrk(name, "=") || strlen(name) != name_len ||
            strlen(value) != value_len)
            luaL_error(L, "option 'env': a name or value that no environment can hold: %s", name);
        size += sizeof(char *) + name_len + value_len + 2;
        count++;
    }
    char **block = lua_newuserdatauv(L, size, 0), *text = (char *)(block + count + 1);
    size_t i = 0; /* env block */
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
        size_t name_len, value_len;
        const char *name = lua_tolstring(L, -2, &name_len);
        const char *value = bind_text(L, -1, &value_len);
        block[i++] = text;
        memcpy(text, name, name_len);
        text[name_len] = '=';
        memcpy(text + name_len + 1, value, value_len + 1);
        text += name_len + value_len + 2;
    }
    block[i] = NULL;
    lua_remove(L, -2);
    return (const char *const *)block;
}

const char **proc_options(lua_State *L, const char *function, struct proc_spec *spec)
{
    bind_options(L, 1, start_options, function);
    *spec = (struct proc_spec){
        .cwd = opt_text(L, 1, "cwd", NULL),
        .keepers = bind_host(L)->keepers,
        .split = opt_bool(L, 1, "split", false),
        .inherit = opt_bool(L, 1, "inherit", false),
        .grace_ms = opt_milliseconds(L, 1, "grace", 0),
        .timeout_ms = opt_milliseconds(L, 1, "timeout", 0),
        .quiet_ms = opt_milliseconds(L, 1, "quiet", 0),
    };
    spec->input = opt_text(L, 1, "input", &spec->input_len);
    spec->env = env_block(L, 1);
    size_t count;
    lua_getfield(L, 1, "argv");
    if (lua_rawlen(L, -1) == 0)
        luaL_error(L, "%s: option 'argv' is empty", function);
    const char **argv = opt_texts(L, 1, "argv", &count);
    spec->argv = argv;
    return argv;
}

void proc_push_result(lua_State *L, const struct proc_result *result)
{
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, result->code);
    lua_setfield(L, -2, "code");
    if (result->signal) {
        lua_pushinteger(L, result->signal);
        lua_setfield(L, -2, "signal");
    }
    if (result->parent_killed) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "parent_killed");
    }
    lua_pushnumber(L, result->seconds);
    lua_setfield(L, -2, "seconds");
    lua_pushnumber(L, result->user);
    lua_setfield(L, -2, "user");
    lua_pushnumber(L, result->system);
    lua_setfield(L, -2, "system");
    lua_pushinteger(L, result->max_rss);
    lua_setfield(L, -2, "max_rss");
}

struct places *proc_places(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(2));
}
