#include "bind/task.h"

#include <string.h>

#include "base/mem.h"

/* Values that fit on a task's stack, from each wait on, before it moves. Lua before 5.4.5 goes on
   with the old stack when it moves under a __concat, and "a" .. "b" .. secret then loses its
   secret. */
enum {
    STACK_ROOM = 240,
    TURN_MAX = 64, /* tasks resumed before the loop looks for signals, children, answers again */
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

bool task_must_raise(const struct task *task)
{
    return task->reason_ref != LUA_NOREF && (task->shields == 0 || task->shield_over);
}

/* Asks the wait that the task is in to end, when a cancellation must be raised. */
static void interrupt(struct task *task)
{
    if (task->state != TASK_WAITING || task->interrupted || !task_must_raise(task))
        return;
    task->interrupted = true;
    if (task->wait->cancel)
        task->wait->cancel(task->wait);
}

/* The next one of the tree below root, those that start others first; into: also what each
   started. */
static struct task *next_below(struct task *each, const struct task *root, bool into)
{
    if (into && each->child)
        return each->child;
    while (each != root && !each->next)
        each = each->parent;
    return each == root ? NULL : each->next;
}

/* All get the reason before any is interrupted: who waits for one that is cancelled too goes on
   waiting. */
void task_cancel(lua_State *L, struct task *task)
{
    bool reached;
    if (task->state == TASK_DEAD) {
        lua_pop(L, 1);
        return;
    }
    for (struct task *each = task; each; each = next_below(each, task, reached)) {
        reached = each == task || !each->sheltered;
        if (!reached || each->reason_ref != LUA_NOREF)
            continue;
        lua_pushvalue(L, -1);
        each->reason_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pop(L, 1);
    for (struct task *each = task; each; each = next_below(each, task, reached)) {
        reached = each == task || !each->sheltered;
        if (reached)
            interrupt(each);
    }
}

void task_end_shelter(lua_State *L, struct task *task)
{
    for (struct task *child = task->child; child; child = child->next) {
        if (!child->sheltered)
            continue;
        child->sheltered = false;
        if (task->reason_ref == LUA_NOREF)
            continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->reason_ref);
        task_cancel(L, child);
    }
}

void task_expire(struct task *task)
{
    bool reached;
    for (struct task *each = task; each; each = next_below(each, task, reached)) {
        reached = each == task || each->sheltered;
        if (reached)
            each->shield_over = true;
    }
    for (struct task *each = task; each; each = next_below(each, task, reached)) {
        reached = each->shield_over;
        if (!reached)
            continue;
        task_end_shelter(each->host->L, each);
        interrupt(each);
    }
}

void task_cancel_with(struct host *host, struct task *task, const struct err *err)
{
    bind_push_err(host->L, err);
    task_cancel(host->L, task);
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

struct task *task_start(lua_State *L, struct host *host, struct task *parent, int nargs)
{
    struct task *task = lua_newuserdatauv(L, sizeof *task, 1); /* f args… task */
    memset(task, 0, sizeof *task);
    task->host = host;
    task->self_ref = task->reason_ref = LUA_NOREF;
    task->state = TASK_DEAD;
    luaL_setmetatable(L, TASK);
    task->L = lua_newthread(L);
    *(struct host ***)lua_getextraspace(task->L) = &task->host;
    lua_setiuservalue(L, -2, 1);
    lua_insert(L, -nargs - 2); /* task f args… */
    if (!lua_checkstack(task->L, nargs + 4))
        luaL_error(L, "too many arguments");
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
    return task_start(L, host, NULL, nargs);
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

static void die(struct task *task)
{
    lua_State *L = task->host->L;
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
}

void task_settle(struct task *task)
{
    while (task && task->state == TASK_DRAINING && !task->child && !task->holds) {
        struct task *parent = task->parent;
        die(task);
        task = parent;
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
            task_cancel(L, child);
        }
    }
    hold_end_all(task);
    task_settle(task);
}

static void resume(struct host *host, struct task *task)
{
    int nargs = task->nargs;
    task->nargs = 0;
    task->state = TASK_RUNNING;
    task->interrupted = false;
    host->current = task;
    lua_checkstack(task->L, STACK_ROOM);
    int status = lua_resume(task->L, host->L, nargs, &task->nresults);
    host->current = NULL;
    host->inner = NULL;
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
    for (int left = TURN_MAX; host->ready_first && left > 0; left--) {
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
    if (!lua_checkstack(task->L, count)) /* raised where it is caught, not in the ended task */
        luaL_error(L, "too many results");
    lua_pushboolean(L, !task->failed);
    for (int i = 0; i < count; i++)
        lua_pushvalue(task->L, -count);
    lua_xmove(task->L, L, count);
    return count + 1;
}

/* --- waiting ---------------------------------------------------------------------------------- */

int task_raise_reason(lua_State *L, struct task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->reason_ref);
    return lua_error(L);
}

/* A hook has no upvalue; the extra space of every coroutine leads to the host. */
static void on_break_in(lua_State *L, lua_Debug *info)
{
    (void)info;
    struct host *host = **(struct host ***)lua_getextraspace(L);
    lua_sethook(L, NULL, 0, 0);
    loop_turn(host->loop, false);
    if (host->current && task_must_raise(host->current))
        task_raise_reason(L, host->current);
}

void task_break_in(struct host *host)
{
    if (host->current)
        lua_sethook(host->current->L, on_break_in, LUA_MASKCOUNT, 1);
    if (host->inner)
        lua_sethook(host->inner, on_break_in, LUA_MASKCOUNT, 1);
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
    if (task_must_raise(task))
        task_raise_reason(L, task);
    luaL_checkstack(L, LUA_MINSTACK, "too many waits"); /* a continuation may wait again */
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
    if (task_must_raise(wait->task))
        return task_raise_reason(L, wait->task);
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
