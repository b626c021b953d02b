#include "bind/task.h"

#include <time.h>
#include <unistd.h>

#define JOIN "orch.task.join"
#define NAP "orch.task.nap"

struct nap {
    struct wait wait;
    struct timer *timer;
};

static void nap_over(void *arg)
{
    struct nap *nap = arg;
    nap->timer = NULL;
    task_wake(nap);
}

static void nap_cancel(void *op)
{
    struct nap *nap = op;
    timer_cancel(nap->timer);
    nap_over(nap);
}

static int k_nothing(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* The seconds at arg in milliseconds. */
static uint64_t check_seconds(lua_State *L, int arg)
{
    lua_Number seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, arg, "seconds, zero or more");
    return (uint64_t)(seconds * 1000 + 0.5);
}

static int l_sleep(lua_State *L)
{
    uint64_t ms = check_seconds(L, 1);
    struct nap *nap = bind_wait(L, sizeof *nap, NAP, nap_cancel);
    nap->timer = timer_start(bind_loop(L), ms, nap_over, nap);
    return bind_yield(L, nap, k_nothing);
}

static struct task *to_task(lua_State *L)
{
    return luaL_checkudata(L, 1, TASK);
}

static struct task *current(lua_State *L)
{
    struct task *task = bind_host(L)->current;
    if (!task)
        luaL_error(L, "no task is running");
    return task;
}

static int spawn_below(lua_State *L, struct task *parent, int function)
{
    luaL_checktype(L, function, LUA_TFUNCTION);
    if (task_must_raise(parent))
        return task_raise_reason(L, parent);
    if (parent->state == TASK_DEAD || parent->state == TASK_DRAINING)
        return luaL_error(L, "the task that should start another has ended");
    task_start(L, bind_host(L), parent, lua_gettop(L) - function);
    return 1;
}

static int l_spawn(lua_State *L)
{
    return spawn_below(L, current(L), 1);
}

/* task:spawn(f, …): started for another task, and ended with it */
static int l_spawn_for(lua_State *L)
{
    return spawn_below(L, to_task(L), 2);
}

#define PARK "orch.task.park"

/* task.park(): waits for unpark; returns at once when it came since the last park */
static int l_park(lua_State *L)
{
    struct wait *wait = bind_wait(L, sizeof *wait, PARK, task_wake);
    if (wait->task->unparked) {
        wait->task->unparked = false;
        return 0;
    }
    wait->task->parked = true;
    return bind_yield(L, wait, k_nothing);
}

static int l_unpark(lua_State *L)
{
    struct task *task = to_task(L);
    if (task->parked)
        task_wake(task->wait);
    else
        task->unparked = true;
    return 0;
}

static int l_cores(lua_State *L)
{
    lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
    return 1;
}

static void join_over(void *arg)
{
    struct join *join = arg;
    join->timer = NULL;
    task_wake(join);
}

static void join_detach(struct join *join)
{
    timer_cancel(join->timer);
    join->timer = NULL;
    if (join->task)
        join->task->joiner = NULL;
    join->task = NULL;
}

/* Who waits for a task that is cancelled too goes on waiting for its end. */
static void join_cancel(void *op)
{
    struct join *join = op;
    if (join->task && join->task->reason_ref != LUA_NOREF)
        return;
    join_detach(join);
    task_wake(join);
}

static int join_gc(lua_State *L)
{
    join_detach(lua_touserdata(L, 1));
    return 0;
}

static int k_join(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct join *join = (struct join *)context;
    bool ended = join->task == NULL;
    join_detach(join);
    if (!ended) {
        lua_pushnil(L);
        return 1;
    }
    return task_results(to_task(L), L);
}

/* task:join([seconds]) -> true, results… | false, error | nil when the time is over */
static int l_join(lua_State *L)
{
    struct task *task = to_task(L);
    bool limited = !lua_isnoneornil(L, 2);
    uint64_t ms = limited ? check_seconds(L, 2) : 0;
    if (task->state == TASK_DEAD)
        return task_results(task, L);
    for (struct task *each = bind_host(L)->current; each; each = each->parent)
        if (each == task)
            return luaL_error(L, "the task would wait for itself, or for one that it is part of");
    if (task->joiner)
        return luaL_error(L, "another task waits for this one already");
    struct join *join = bind_wait(L, sizeof *join, JOIN, join_cancel);
    join->task = task;
    task->joiner = join;
    if (limited)
        join->timer = timer_start(bind_loop(L), ms, join_over, join);
    return bind_yield(L, join, k_join);
}

/* task:cancel(reason): the reason is raised at the task's waiting point, and at each later one */
static int l_cancel(lua_State *L)
{
    struct task *task = to_task(L);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    task_cancel(L, task);
    return 0;
}

static int l_ended(lua_State *L)
{
    lua_pushboolean(L, task_ended(to_task(L)));
    return 1;
}

static int l_current(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, current(L)->self_ref);
    return 1;
}

/* The error value that cancelled the running task, or nil. */
static int l_cancelled(lua_State *L)
{
    struct task *task = current(L);
    if (task->reason_ref == LUA_NOREF)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->reason_ref);
    return 1;
}

static void on_shield_over(void *arg)
{
    struct task *task = arg;
    struct err err;
    task->shield_timer = NULL;
    err_set(&err, ERR_TIMEOUT, "cleaning up took too long");
    task_cancel_with(task->host, task, &err);
    task_expire(task);
}

/* shield(seconds) … unshield(): between them a cancellation is held back, for so long at most;
   nested scopes share the outermost one's time. See orch.cleanup. */
static int l_shield(lua_State *L)
{
    uint64_t ms = check_seconds(L, 1);
    struct task *task = current(L);
    if (task->shields++ == 0)
        task->shield_timer = timer_start(bind_loop(L), ms, on_shield_over, task);
    return 0;
}

static int l_unshield(lua_State *L)
{
    struct task *task = current(L);
    if (task->shields == 0)
        return luaL_error(L, "unshield without shield");
    if (--task->shields > 0)
        return 0;
    timer_cancel(task->shield_timer);
    task->shield_timer = NULL;
    task->shield_over = false;
    task_end_shelter(L, task);
    return 0;
}

/* task.clock() -> seconds of a monotonic clock */
static int l_clock(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)loop_clock(bind_loop(L)) / 1000);
    return 1;
}

/* task.time() -> seconds since 1970, with a fraction */
static int l_time(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* What is open now: tasks, handles of the loop. For the check that nothing is left over. */
static int l_live(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, bind_host(L)->tasks);
    lua_setfield(L, -2, "tasks");
    lua_pushinteger(L, loop_live(bind_loop(L)));
    lua_setfield(L, -2, "handles");
    return 1;
}

static const luaL_Reg methods[] = {
    {"join", l_join},      {"cancel", l_cancel}, {"ended", l_ended},
    {"spawn", l_spawn_for}, {"unpark", l_unpark}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"spawn", l_spawn},         {"sleep", l_sleep},   {"current", l_current},
    {"cancelled", l_cancelled}, {"shield", l_shield}, {"unshield", l_unshield},
    {"live", l_live},           {"clock", l_clock},   {"time", l_time},
    {"park", l_park},           {"cores", l_cores},   {NULL, NULL},
};

int luaopen_orch_task(lua_State *L);
int luaopen_orch_task(lua_State *L)
{
    bind_type(L, TASK, methods, NULL);
    bind_type(L, JOIN, NULL, join_gc);
    bind_type(L, NAP, NULL, NULL);
    bind_type(L, PARK, NULL, NULL);
    bind_module(L, functions);
    lua_pushliteral(L, ORCH_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
