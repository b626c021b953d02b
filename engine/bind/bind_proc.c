#include "bind/bind_proc.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "base/mem.h"
#include "bind/host.h"
#include "prim/proc_keeper.h"

#define CHILD "orch.proc.child"
#define CHILD_WAIT "orch.proc.wait"
#define KEEPERS "orch.proc.keepers"

enum {
    HELD_MAX = 256 << 10, /* bytes read ahead of child:read before the child must wait */
};

/* --- a child that is read while it runs ------------------------------------------------------- */

/* On the heap and shared by the userdata and the primitive: freed when both have let go. */
struct child {
    struct proc *proc; /* NULL once it has ended */
    struct places *places;
    struct hold hold;
    struct buf held[2];
    struct wait *waiter;     /* for a piece or the end */
    struct wait *pid_waiter; /* for its birth */
    struct proc_result result;
    bool orphan; /* the userdata is gone */
};

struct child_wait {
    struct wait wait;
    struct child *child;
    bool for_end;
};

static void child_free(struct child *child)
{
    buf_fini(&child->held[0]);
    buf_fini(&child->held[1]);
    mem_free(child);
}

static void wake(struct wait **slot)
{
    struct wait *waiter = *slot;
    *slot = NULL;
    if (waiter)
        task_wake(waiter);
}

static void on_child_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
    struct child *child = arg;
    struct buf *held = &child->held[stream == PROC_STDERR];
    if (child->orphan || child->hold.ending)
        return; /* nobody will read it, and it must not hold up the end */
    buf_add(held, data, len);
    if (held->len >= HELD_MAX)
        proc_flow(child->proc, false);
    wake(&child->waiter);
}

static void on_child_born(void *arg)
{
    wake(&((struct child *)arg)->pid_waiter);
}

static void on_child_done(void *arg, const struct proc_result *result)
{
    struct child *child = arg;
    child->proc = NULL;
    places_leave(child->places);
    child->result = *result;
    wake(&child->waiter);
    wake(&child->pid_waiter);
    hold_release(&child->hold);
    if (child->orphan)
        child_free(child);
}

static void end_child(void *thing)
{
    struct child *child = thing;
    if (child->proc)
        proc_cancel(child->proc);
}

static struct child *to_child(lua_State *L)
{
    struct child *child = *(struct child **)luaL_checkudata(L, 1, CHILD);
    if (!child)
        luaL_error(L, "the child is gone");
    return child;
}

static int child_gc(lua_State *L)
{
    struct child **slot = lua_touserdata(L, 1);
    struct child *child = *slot;
    *slot = NULL;
    if (!child)
        return 0;
    child->orphan = true;
    end_child(child);
    if (!child->proc)
        child_free(child);
    return 0;
}

/* --- proc.start ------------------------------------------------------------------------------- */

static int k_start(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct place *place = (struct place *)context;
    struct proc_spec spec;
    struct err err;
    struct child **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, CHILD);
    int at = lua_gettop(L);
    const char **argv = proc_options(L, "proc.start", &spec);
    spec.output = on_child_output;
    spec.born = on_child_born;
    struct child *child = *slot = mem_alloc(sizeof *child);
    child->places = place->places;
    buf_init(&child->held[0], HELD_MAX + (64 << 10));
    buf_init(&child->held[1], HELD_MAX + (64 << 10));
    child->proc = proc_start(bind_loop(L), &spec, on_child_done, child, &err);
    mem_free(argv);
    if (!child->proc)
        return bind_fail(L, &err);
    place->taken = false; /* it is the child's now */
    hold_start(L, &child->hold, end_child, child);
    lua_pushvalue(L, at);
    return 1;
}

/* proc.start { … } -> child | nil, err */
static int l_start(lua_State *L)
{
    return places_take(L, proc_places(L), k_start);
}

static void stop_waiting(void *op)
{
    struct child_wait *wait = op;
    wait->child->waiter = NULL;
    task_wake(wait);
}

static int push_chunk(lua_State *L, struct child *child)
{
    for (int i = 0; i < 2; i++) {
        struct buf *held = &child->held[i];
        if (held->len == 0)
            continue;
        lua_pushlstring(L, held->data, held->len);
        lua_pushstring(L, i == 0 ? "stdout" : "stderr");
        buf_clear(held);
        if (child->proc && child->held[1 - i].len < HELD_MAX)
            proc_flow(child->proc, true);
        return 2;
    }
    return 0;
}

static int push_end(lua_State *L, struct child *child)
{
    if (child->result.err.kind != ERR_NONE)
        return bind_fail(L, &child->result.err);
    proc_push_result(L, &child->result);
    return 1;
}

static int k_child(lua_State *L, int status, lua_KContext context);

static int wait_for(lua_State *L, struct child *child, bool for_end)
{
    if (child->waiter)
        return luaL_error(L, "another task waits for this child already");
    struct child_wait *wait = bind_wait(L, sizeof *wait, CHILD_WAIT, stop_waiting);
    wait->child = child;
    wait->for_end = for_end;
    child->waiter = &wait->wait;
    return bind_yield(L, wait, k_child);
}

static int child_go_on(lua_State *L, struct child *child, bool for_end)
{
    lua_settop(L, 1); /* a wait that is over is not left on the stack for the next one */
    if (for_end) {
        buf_clear(&child->held[0]); /* who waits for the end reads no more */
        buf_clear(&child->held[1]);
        if (!child->proc)
            return push_end(L, child);
        proc_flow(child->proc, true);
        return wait_for(L, child, true);
    }
    int pushed = push_chunk(L, child);
    if (pushed || !child->proc)
        return pushed;
    return wait_for(L, child, false);
}

static int k_child(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct child_wait *wait = (struct child_wait *)context;
    return child_go_on(L, wait->child, wait->for_end);
}

/* child:read() -> piece, "stdout"|"stderr"; nothing at the end */
static int l_read(lua_State *L)
{
    return child_go_on(L, to_child(L), false);
}

/* child:wait() -> result | nil, err */
static int l_wait(lua_State *L)
{
    return child_go_on(L, to_child(L), true);
}

static int l_cancel(lua_State *L)
{
    end_child(to_child(L));
    return 0;
}

static int l_signal(lua_State *L)
{
    struct child *child = to_child(L);
    lua_Integer number = luaL_checkinteger(L, 2);
    luaL_argcheck(L, number > 0 && number <= SIGRTMAX, 2, "the number of a signal");
    if (child->proc)
        proc_signal(child->proc, (int)number);
    return 0;
}

static void stop_waiting_for_pid(void *op)
{
    struct child_wait *wait = op;
    wait->child->pid_waiter = NULL;
    task_wake(wait);
}

static int k_pid(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    struct child *child = to_child(L);
    int pid = child->proc ? proc_pid(child->proc) : 0;
    if (pid == 0)
        return 0;
    lua_pushinteger(L, pid);
    return 1;
}

/* child:pid() -> of the program | nothing, once it has ended; waits for its birth */
static int l_pid(lua_State *L)
{
    struct child *child = to_child(L);
    lua_settop(L, 1);
    if (!child->proc || proc_pid(child->proc) != 0)
        return k_pid(L, LUA_OK, 0);
    if (child->pid_waiter)
        return luaL_error(L, "another task waits for this child's birth already");
    struct child_wait *wait = bind_wait(L, sizeof *wait, CHILD_WAIT, stop_waiting_for_pid);
    wait->child = child;
    child->pid_waiter = &wait->wait;
    return bind_yield(L, wait, k_pid);
}

static const luaL_Reg methods[] = {
    {"read", l_read},     {"wait", l_wait}, {"cancel", l_cancel},
    {"signal", l_signal}, {"pid", l_pid},   {NULL, NULL},
};

/* proc.kill(pid, number) -> true | nil, err; for a process that is known to be the one meant */
static int l_kill(lua_State *L)
{
    struct err err;
    lua_Integer pid = luaL_checkinteger(L, 1);
    luaL_argcheck(L, pid > 1 && pid <= INT_MAX, 1, "one process, not a group or all");
    if (kill((pid_t)pid, (int)luaL_checkinteger(L, 2)) != 0) {
        err_system(&err, errno, "cannot signal process %d", (int)pid);
        return bind_fail(L, &err);
    }
    lua_pushboolean(L, true);
    return 1;
}

static const luaL_Reg functions[] = {
    {"kill", l_kill}, {"start", l_start}, {"run", proc_l_run}, {NULL, NULL}};

static int keepers_gc(lua_State *L)
{
    struct keepers **slot = lua_touserdata(L, 1);
    keepers_free(*slot);
    *slot = NULL;
    return 0;
}

/* They live until Lua ends. */
static void make_keepers(lua_State *L)
{
    struct host *host = bind_host(L);
    bind_type(L, KEEPERS, NULL, keepers_gc);
    struct keepers **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = host->keepers = keepers_new(host->loop, host->shim);
    luaL_setmetatable(L, KEEPERS);
    luaL_ref(L, LUA_REGISTRYINDEX);
}

int luaopen_orch_proc(lua_State *L);
int luaopen_orch_proc(lua_State *L)
{
    bind_type(L, CHILD, methods, child_gc);
    bind_closable(L, CHILD, l_cancel);
    bind_type(L, CHILD_WAIT, NULL, NULL);
    proc_run_type(L);
    make_keepers(L);
    lua_newtable(L);
    lua_pushlightuserdata(L, bind_host(L));
    places_push(L);
    luaL_setfuncs(L, functions, 2);
    return 1;
}
