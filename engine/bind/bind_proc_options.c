#include "bind/bind_proc.h"

#include <string.h>
#include <unistd.h>

#include "bind/host.h"
#include "bind/options.h"

static const struct opt start_options[] = {
    {"argv", OPT_LIST, true},     {"cwd", OPT_PLAIN, false},  {"env", OPT_MAP, false},
    {"set", OPT_MAP, false},
    {"input", OPT_TEXT, false},   {"split", OPT_BOOL, false}, {"inherit", OPT_BOOL, false},
    {"foreground", OPT_BOOL, false},
    {"grace", OPT_NUMBER, false}, {"timeout", OPT_NUMBER, false},
    {"quiet", OPT_NUMBER, false}, {"output_max", OPT_INTEGER, false}, {NULL, 0, false},
};

/* --- the environment -------------------------------------------------------------------------- */

struct variable {
    const char *text; /* "NAME=value"; NULL: there is to be none of that name */
    const char *name; /* the table's */
    size_t name_len;
};

/* The bytes that the variables of the table on top need as texts, and how many there are. */
static size_t measure(lua_State *L, const char *option, bool may_drop, size_t *count)
{
    size_t size = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), ++*count) {
        size_t name_len, value_len = 0;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "option '%s' must map names to strings", option);
        const char *name = lua_tolstring(L, -2, &name_len), *value = "";
        if (!may_drop || !lua_isboolean(L, -1) || lua_toboolean(L, -1))
            value = bind_text(L, -1, &value_len);
        if (name_len == 0 || strpbrk(name, "=") || strlen(name) != name_len ||
            strlen(value) != value_len)
            luaL_error(L, "option '%s': a name or value that no environment can hold: %s", option,
                       name);
        size += name_len + value_len + 2;
    }
    return size;
}

static void write_texts(lua_State *L, struct variable *variable, char *text)
{
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), variable++) {
        size_t value_len;
        variable->name = lua_tolstring(L, -2, &variable->name_len);
        variable->text = NULL;
        if (lua_isboolean(L, -1))
            continue;
        const char *value = bind_text(L, -1, &value_len);
        memcpy(text, variable->name, variable->name_len);
        text[variable->name_len] = '=';
        memcpy(text + variable->name_len + 1, value, value_len + 1);
        variable->text = text;
        text += variable->name_len + value_len + 2;
    }
}

static bool is_among(const char *text, const struct variable *variables, size_t count)
{
    const size_t len = strcspn(text, "=");
    for (size_t i = 0; i < count; i++)
        if (variables[i].name_len == len && memcmp(text, variables[i].name, len) == 0)
            return true;
    return false;
}

/* The variables of the table on top of the stack laid over those of under, as a block that takes
   its place. */
static const char *const *lay(lua_State *L, const char *option, char *const *under, bool may_drop)
{
    size_t count = 0, all = 0, i = 0;
    const size_t size = measure(L, option, may_drop, &count);
    while (under[all])
        all++;
    const size_t pointers = (all + count + 1) * sizeof(char *);
    const char **block =
        lua_newuserdatauv(L, pointers + count * sizeof(struct variable) + size, 0);
    lua_insert(L, -2); /* block table */
    struct variable *variables = (struct variable *)(block + all + count + 1);
    write_texts(L, variables, (char *)(variables + count));
    for (; *under; under++)
        if (!is_among(*under, variables, count))
            block[i++] = *under;
    for (size_t k = 0; k < count; k++)
        if (variables[k].text)
            block[i++] = variables[k].text;
    block[i] = NULL;
    lua_pop(L, 1);
    return block;
}

/* Left on the stack, so that it stays; NULL for this process's own. */
static const char *const *env_block(lua_State *L, int arg, const char *function)
{
    static char *const nothing[] = {NULL};
    const bool whole = lua_getfield(L, arg, "env") != LUA_TNIL;
    if (lua_getfield(L, arg, "set") != LUA_TNIL) {
        if (whole)
            luaL_error(L, "%s: 'env' is the whole environment; give it or 'set'", function);
        return lay(L, "set", environ, true);
    }
    lua_pop(L, 1);
    return whole ? lay(L, "env", nothing, false) : NULL;
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
    spec->foreground = opt_bool(L, 1, "foreground", false);
    if (spec->foreground) {
        spec->inherit = true;
        spec->keepers = NULL;
    }
    spec->input = opt_text(L, 1, "input", &spec->input_len);
    spec->env = env_block(L, 1, function);
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
