#include "bind/bind.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "bind/host.h"

#define TASK "orch.task"

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DRAINING, TASK_DEAD };

/* A userdata, kept alive by the registry reference self_ref until it is dead. */
struct task {
    struct host *host;
    lua_State *L; /* the coroutine; anchored as the userdata's user value */
    enum task_state state;
    struct task *parent, *child, *prev, *next; /* siblings */
    struct task *ready_next;
    struct wait *wait;    /* what it waits for while WAITING */
    struct join *joiner;  /* who waits for its end */
    struct hold *holds;
    int self_ref;
    int reason_ref;       /* the cancellation's error value, LUA_NOREF if not cancelled */
    unsigned shields;     /* clean-up scopes it is in */
    struct timer *shield_timer; /* of the outermost one */
    bool shield_over;     /* its deadline has passed */
    bool sheltered;       /* started in the parent's scope, which holds cancellations back from it too */
    bool interrupted;     /* the wait it is in was asked to end by a cancellation */
    bool unparked;        /* unpark came before park */
    bool parked;          /* the wait it is in is a park */
    int nargs;            /* on L's stack for the first resume */
    bool failed;          /* the one result is an error value */
    int nresults;
};

struct join {
    struct wait wait;
    struct task *task; /* NULL once it has ended */
    struct timer *timer;
};

/* --- the queue of the ready ------------------------------------------------------------------ */

static void make_ready(struct task *task)
{
    struct host *host = task->host;
    task->state = TASK_READY;
    task->ready_next = NULL;
    if (host->ready_last)
        host->ready_last->ready_next = task;
    else
        host->ready_first = task;
    host->ready_last = task;
}

void task_wake(void *op)
{
    struct wait *wait = op;
    if (wait->woken)
        return;
    wait->woken = true;
    if (wait->task->state == TASK_WAITING && wait->task->wait == wait)
        make_ready(wait->task);
}

/* --- cancelling ------------------------------------------------------------------------------ */

static bool must_raise(const struct task *task)
{
    return task->reason_ref != LUA_NOREF && (task->shields == 0 || task->shield_over);
}

static void interrupt(struct task *task)
{
    if (task->state != TASK_WAITING || task->interrupted || !must_raise(task))
        return;
    task->interrupted = true;
    if (task->wait->cancel)
        task->wait->cancel(task->wait);
}

/* The reason is the value on top of L; popped. The first one stays. */
static void cancel_tree(lua_State *L, struct task *task)
{
    if (task->state == TASK_DEAD) {
        lua_pop(L, 1);
        return;
    }
    for (struct task *child = task->child; child; child = child->next) {
        if (child->sheltered)
            continue;
        lua_pushvalue(L, -1);
        cancel_tree(L, child);
    }
    if (task->reason_ref == LUA_NOREF)
        task->reason_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_pop(L, 1);
    interrupt(task);
}

/* The scope is over: what the task started in it gets the cancellation that was held back. */
static void end_shelter(lua_State *L, struct task *task)
{
    for (struct task *child = task->child; child; child = child->next) {
        if (!child->sheltered)
            continue;
        child->sheltered = false;
        if (task->reason_ref == LUA_NOREF)
            continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->reason_ref);
        cancel_tree(L, child);
    }
}

void task_cancel_with(struct host *host, struct task *task, const struct err *err)
{
    bind_push_err(host->L, err);
    cancel_tree(host->L, task);
}

/* --- life and death --------------------------------------------------------------------------- */

static int body_over(lua_State *L, int status, lua_KContext context)
{
    struct task *task = (struct task *)context;
    task->failed = status != LUA_OK && status != LUA_YIELD;
    return lua_gettop(L) - 1;
}

/* handler f args…; a protected call, since only an unwound stack runs its to-be-closed variables */
static int body(lua_State *L)
{
    lua_KContext task = (lua_KContext)lua_touserdata(L, lua_upvalueindex(1));
    return body_over(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, task, body_over), task);
}

static struct task *task_push(lua_State *L, struct host *host, struct task *parent, int nargs)
{
    struct task *task = lua_newuserdatauv(L, sizeof *task, 1); /* f args… task */
    memset(task, 0, sizeof *task);
    task->host = host;
    task->self_ref = task->reason_ref = LUA_NOREF;
    task->state = TASK_DEAD;
    luaL_setmetatable(L, TASK);
    task->L = lua_newthread(L);
    lua_setiuservalue(L, -2, 1);
    lua_insert(L, -nargs - 2); /* task f args… */
    luaL_checkstack(task->L, nargs + 4, "too many arguments");
    lua_pushlightuserdata(task->L, task);
    lua_pushcclosure(task->L, body, 1);
    lua_pushcfunction(task->L, bind_on_error);
    lua_xmove(L, task->L, nargs + 1); /* in task->L: body handler f args… */
    lua_pushvalue(L, -1);
    task->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    task->nargs = nargs + 2;
    task->parent = parent;
    if (parent) {
        task->sheltered = parent->shields > 0;
        task->next = parent->child;
        if (task->next)
            task->next->prev = task;
        parent->child = task;
    }
    host->tasks++;
    make_ready(task);
    return task;
}

struct task *task_root(struct host *host, lua_State *L, int nargs)
{
    return task_push(L, host, NULL, nargs);
}

void task_keep(lua_State *L, struct task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->self_ref);
}

bool task_ended(const struct task *task)
{
    return task->state == TASK_DEAD;
}

static void unlink_from_parent(struct task *task)
{
    if (!task->parent)
        return;
    if (task->prev)
        task->prev->next = task->next;
    else
        task->parent->child = task->next;
    if (task->next)
        task->next->prev = task->prev;
    task->prev = task->next = NULL;
}

/* Dead once its function has returned and everything it started has ended. */
static void settle(struct task *task)
{
    if (task->state != TASK_DRAINING || task->child || task->holds)
        return;
    lua_State *L = task->host->L;
    struct task *parent = task->parent;
    unlink_from_parent(task);
    task->parent = NULL;
    task->state = TASK_DEAD;
    task->host->tasks--;
    luaL_unref(L, LUA_REGISTRYINDEX, task->reason_ref);
    task->reason_ref = LUA_NOREF;
    if (task->joiner) {
        struct join *join = task->joiner;
        task->joiner = NULL;
        join->task = NULL;
        task_wake(join);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, task->self_ref);
    task->self_ref = LUA_NOREF;
    if (parent)
        settle(parent);
}

static void end_holds(struct task *task)
{
    for (struct hold *hold = task->holds, *next; hold; hold = next) {
        next = hold->next;
        if (!hold->ending) {
            hold->ending = true;
            hold->end(hold->thing);
        }
    }
}

static void drain(struct task *task)
{
    task->state = TASK_DRAINING;
    timer_cancel(task->shield_timer);
    task->shield_timer = NULL;
    lua_State *L = task->host->L;
    if (task->child) {
        struct err err;
        err_set(&err, ERR_CANCELLED, "the task that started this one has ended");
        for (struct task *child = task->child, *next; child; child = next) {
            next = child->next;
            child->sheltered = false;
            bind_push_err(L, &err);
            cancel_tree(L, child);
        }
    }
    end_holds(task);
    settle(task);
}

static void resume(struct host *host, struct task *task)
{
    int nargs = task->nargs;
    task->nargs = 0;
    task->state = TASK_RUNNING;
    task->interrupted = false;
    host->current = task;
    int status = lua_resume(task->L, host->L, nargs, &task->nresults);
    host->current = NULL;
    if (status == LUA_YIELD)
        return;
    if (status != LUA_OK) { /* an error of the body's wrapper itself: memory, stack overflow */
        task->failed = true;
        task->nresults = 1;
    }
    drain(task);
}

void task_run_ready(struct host *host)
{
    while (host->ready_first) {
        struct task *task = host->ready_first;
        host->ready_first = task->ready_next;
        if (!host->ready_first)
            host->ready_last = NULL;
        resume(host, task);
    }
}

int task_results(struct task *task, lua_State *L)
{
    int count = task->nresults;
    luaL_checkstack(L, count + 1, "too many results");
    luaL_checkstack(task->L, count, "too many results");
    lua_pushboolean(L, !task->failed);
    for (int i = 0; i < count; i++)
        lua_pushvalue(task->L, -count);
    lua_xmove(task->L, L, count);
    return count + 1;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static int raise_reason(lua_State *L, struct task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->reason_ref);
    return lua_error(L);
}

void *bind_wait(lua_State *L, size_t size, const char *type, void (*cancel)(void *op))
{
    struct task *task = bind_host(L)->current;
    if (!task || task->L != L)
        luaL_error(L, "this call waits, and so cannot be made inside a coroutine of your own; "
                      "use orch.all to do things side by side");
    if (!lua_isyieldable(L))
        luaL_error(L, "this call waits, and so cannot be made inside require, table.sort, "
                      "string.gsub or a metamethod called from C");
    if (must_raise(task))
        raise_reason(L, task);
    struct wait *wait = lua_newuserdatauv(L, size, 1);
    memset(wait, 0, size);
    wait->task = task;
    wait->cancel = cancel;
    luaL_setmetatable(L, type);
    return wait;
}

static int on_resume(lua_State *L, int status, lua_KContext context)
{
    struct wait *wait = (struct wait *)context;
    wait->task->wait = NULL;
    wait->task->parked = false;
    if (must_raise(wait->task))
        return raise_reason(L, wait->task);
    return wait->then(L, status, context);
}

int bind_yield(lua_State *L, void *op, lua_KFunction then)
{
    struct wait *wait = op;
    wait->then = then;
    wait->task->wait = wait;
    wait->task->state = TASK_WAITING;
    if (wait->woken)
        make_ready(wait->task);
    return lua_yieldk(L, 0, (lua_KContext)wait, on_resume);
}

lua_State *bind_state(const void *op)
{
    return ((const struct wait *)op)->task->host->L;
}

void hold_start(lua_State *L, struct hold *hold, void (*end)(void *thing), void *thing)
{
    struct task *task = bind_host(L)->current;
    *hold = (struct hold){.task = task, .end = end, .thing = thing, .next = task->holds};
    if (hold->next)
        hold->next->prev = hold;
    task->holds = hold;
}

void hold_release(struct hold *hold)
{
    struct task *task = hold->task;
    if (!task)
        return;
    if (hold->prev)
        hold->prev->next = hold->next;
    else
        task->holds = hold->next;
    if (hold->next)
        hold->next->prev = hold->prev;
    hold->task = NULL;
    settle(task);
}

/* --- orch.task ---------------------------------------------------------------------------------- */

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
    if (must_raise(parent))
        return raise_reason(L, parent);
    if (parent->state == TASK_DEAD || parent->state == TASK_DRAINING)
        return luaL_error(L, "the task that should start another has ended");
    task_push(L, bind_host(L), parent, lua_gettop(L) - function);
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
    cancel_tree(L, task);
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

/* Ends the task's scope, and those that it shelters. */
static void expire(struct task *task)
{
    task->shield_over = true;
    for (struct task *child = task->child; child; child = child->next)
        if (child->sheltered)
            expire(child);
    end_shelter(task->host->L, task);
    interrupt(task);
}

static void on_shield_over(void *arg)
{
    struct task *task = arg;
    struct err err;
    task->shield_timer = NULL;
    err_set(&err, ERR_TIMEOUT, "cleaning up took too long");
    task_cancel_with(task->host, task, &err);
    expire(task);
}

/* shield(seconds) … unshield(): between them a cancellation is held back, for so long at most; nested
   scopes share the outermost one's time. See orch.cleanup. */
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
    end_shelter(L, task);
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
