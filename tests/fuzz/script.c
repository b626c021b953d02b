/* Runs the function that the Lua file FUZZ_SCRIPT returns on each input, with the engine's
   modules. */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lualib.h>

#include "bind/host.h"
#include "fuzz.h"

static void must(lua_State *L, int status)
{
    if (status == LUA_OK)
        return;
    fprintf(stderr, "fuzz: %s\n", luaL_tolstring(L, -1, NULL));
    lua_getfield(L, -2, "traceback");
    if (lua_isstring(L, -1))
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
}

/* libFuzzer counts these as coverage: a line of the engine's Lua that runs. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[1 << 12];

static void on_line(lua_State *L, lua_Debug *at)
{
    lua_getinfo(L, "S", at);
    counters[(at->source[at->srclen / 2] * 257u + (unsigned)at->currentline) % sizeof counters]++;
}

static lua_State *open_state(struct host *host)
{
    struct err err;
    host->loop = loop_new(&err);
    lua_State *L = host->L = luaL_newstate();
    luaL_openlibs(L);
    bind_open_all(L, host);
    lua_pushcfunction(L, bind_on_error);
    must(L, luaL_loadfile(L, FUZZ_SCRIPT));
    must(L, lua_pcall(L, 0, 1, 1));
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
    return L; /* handler function */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host host;
    static lua_State *L;
    if (!L)
        L = open_state(&host);
    lua_pushvalue(L, 2);
    lua_pushlstring(L, (const char *)data, size);
    must(L, lua_pcall(L, 1, 0, 1));
    return 0;
}
