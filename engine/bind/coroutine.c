#include "bind/task.h"

/* Upvalues: the host, then what the library has under these names. */
enum { RESUME = 2, CLOSE, YIELD, WRAPPED };

static int call_own(lua_State *L, int upvalue)
{
    return lua_tocfunction(L, lua_upvalueindex(upvalue))(L);
}

static bool is_a_tasks(lua_State *L, const lua_State *coroutine)
{
    struct host **slot = *(struct host ***)lua_getextraspace((lua_State *)coroutine);
    return slot != &bind_host(L)->self;
}

/* Cannot raise once the coroutine runs: what fails in it is a result. */
static int resume_first(lua_State *L)
{
    struct host *host = bind_host(L);
    lua_State *outer = host->inner;
    host->inner = lua_tothread(L, 1);
    int count = call_own(L, RESUME);
    host->inner = outer;
    return count;
}

static int l_yield(lua_State *L)
{
    if (is_a_tasks(L, L))
        return luaL_error(L, "coroutine.yield can only be called inside a coroutine of your own; "
                             "use job:sleep to wait, orch.all to do things side by side");
    return call_own(L, YIELD);
}

static lua_State *check_own(lua_State *L, const char *function)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    lua_State *coroutine = lua_tothread(L, 1);
    if (is_a_tasks(L, coroutine))
        luaL_error(L, "coroutine.%s takes coroutines of your own only; this one is a job's or a "
                      "branch's, which orch goes on with", function);
    return coroutine;
}

static int l_resume(lua_State *L)
{
    check_own(L, "resume");
    return resume_first(L);
}

static int l_close(lua_State *L)
{
    check_own(L, "close");
    return call_own(L, CLOSE);
}

/* As the library's, which would not tell of its end by an error. */
static int l_wrapped(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(WRAPPED));
    lua_insert(L, 1); /* coroutine args… */
    int count = resume_first(L);
    if (lua_toboolean(L, -count))
        return count - 1;
    if (lua_status(lua_tothread(L, 1)) > LUA_YIELD) { /* what it left open is closed */
        lua_settop(L, 1);
        call_own(L, CLOSE); /* coroutine false error */
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int l_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    for (int i = 1; i < WRAPPED; i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    lua_State *coroutine = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, coroutine, 1);
    lua_pushcclosure(L, l_wrapped, WRAPPED);
    return 1;
}

static const luaL_Reg functions[] = {
    {"resume", l_resume}, {"close", l_close}, {"yield", l_yield}, {"wrap", l_wrap}, {NULL, NULL}};

void bind_guard_coroutines(lua_State *L, struct host *host)
{
    lua_getglobal(L, "coroutine");
    lua_pushlightuserdata(L, host);
    for (int i = RESUME; i < WRAPPED; i++)
        lua_getfield(L, -i, functions[i - RESUME].name);
    luaL_setfuncs(L, functions, WRAPPED - 1);
    lua_pop(L, 1);
}
