#include "bind/bind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "bind/host.h"
#include "prim/proc.h"

#define CHILD "orch.proc.child"
#define CHILD_WAIT "orch.proc.wait"
#define RUN "orch.proc.run"

enum {
    HELD_MAX = 256 << 10,        /* bytes read ahead of child:read before the child must wait */
    OUTPUT_MAX = 16 << 20,       /* default of output_max: bytes that proc.run keeps */
    OUTPUT_MAX_LIMIT = 1 << 30,
};

/* --- a child that is read while it runs --------------------------------------------------------- */

/* On the heap and shared by the userdata and the primitive: freed when both have let go. */
struct child {
    struct proc *proc; /* NULL once it has ended */
    struct hold hold;
    struct buf held[2];
    struct wait *waiter;
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

static void wake(struct child *child)
{
    struct wait *waiter = child->waiter;
    child->waiter = NULL;
    if (waiter)
        task_wake(waiter);
}

static void on_child_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
    struct child *child = arg;
    struct buf *held = &child->held[stream == PROC_STDERR];
    if (!child->orphan && !child->hold.ending)
        buf_add(held, data, len);
    if (held->len >= HELD_MAX)
        proc_flow(child->proc, false);
    wake(child);
}

static void on_child_done(void *arg, const struct proc_result *result)
{
    struct child *child = arg;
    child->proc = NULL;
    child->result = *result;
    wake(child);
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
    return *(struct child **)luaL_checkudata(L, 1, CHILD);
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

/* --- options --------------------------------------------------------------------------------------- */

static const struct opt start_options[] = {
    {"argv", OPT_LIST, true},     {"cwd", OPT_TEXT, false},  {"env", OPT_MAP, false},
    {"input", OPT_TEXT, false},   {"split", OPT_BOOL, false}, {"inherit", OPT_BOOL, false},
    {"grace", OPT_NUMBER, false}, {"timeout", OPT_NUMBER, false},
    {"quiet", OPT_NUMBER, false}, {"output_max", OPT_INTEGER, false}, {NULL, 0, false},
};

/* "NAME=value" of each pair of the table `env`, as one userdata block left on the stack (or nil). */
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

/* The kernel takes texts that end at a NUL. */
static void refuse_nul(lua_State *L, const char *function, const char *key, size_t len,
                       const char *text)
{
    if (text && strlen(text) != len)
        luaL_error(L, "%s: option '%s' holds a NUL", function, key);
}

static uint64_t milliseconds(lua_State *L, int arg, const char *key)
{
    return (uint64_t)(opt_number(L, arg, key, 0) * 1000 + 0.5);
}

/* Fills spec from the options at 1; leaves what it borrows from on the stack. */
static const char **read_options(lua_State *L, const char *function, struct proc_spec *spec)
{
    bind_options(L, 1, start_options, function);
    size_t len;
    *spec = (struct proc_spec){
        .cwd = opt_text(L, 1, "cwd", &len),
        .shim = bind_host(L)->shim,
        .split = opt_bool(L, 1, "split", false),
        .inherit = opt_bool(L, 1, "inherit", false),
        .grace_ms = milliseconds(L, 1, "grace"),
        .timeout_ms = milliseconds(L, 1, "timeout"),
        .quiet_ms = milliseconds(L, 1, "quiet"),
    };
    refuse_nul(L, function, "cwd", len, spec->cwd);
    spec->input = opt_text(L, 1, "input", &spec->input_len);
    spec->env = env_block(L, 1);
    size_t count;
    lua_getfield(L, 1, "argv");
    if (lua_rawlen(L, -1) == 0)
        luaL_error(L, "%s: option 'argv' is empty", function);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++, lua_pop(L, 1))
        if (lua_rawgeti(L, -1, i) == LUA_TSTRING || lua_isuserdata(L, -1)) {
            const char *text = bind_text(L, -1, &len);
            refuse_nul(L, function, "argv", len, text);
        }
    const char **argv = opt_texts(L, 1, "argv", &count);
    spec->argv = argv;
    return argv;
}

static void push_result(lua_State *L, const struct proc_result *result)
{
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, result->code);
    lua_setfield(L, -2, "code");
    if (result->signal) {
        lua_pushinteger(L, result->signal);
        lua_setfield(L, -2, "signal");
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

/* --- proc.start ------------------------------------------------------------------------------------- */

static int l_start(lua_State *L)
{
    struct proc_spec spec;
    struct err err;
    struct child **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, CHILD);
    int at = lua_gettop(L);
    const char **argv = read_options(L, "proc.start", &spec);
    spec.output = on_child_output;
    struct child *child = *slot = mem_alloc(sizeof *child);
    buf_init(&child->held[0], HELD_MAX + (64 << 10));
    buf_init(&child->held[1], HELD_MAX + (64 << 10));
    child->proc = proc_start(bind_loop(L), &spec, on_child_done, child, &err);
    mem_free(argv);
    if (!child->proc)
        return bind_fail(L, &err);
    hold_start(L, &child->hold, end_child, child);
    lua_pushvalue(L, at);
    return 1;
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
        if (child->proc)
            proc_flow(child->proc, true);
        return 2;
    }
    return 0;
}

static int push_end(lua_State *L, struct child *child)
{
    if (child->result.err.kind != ERR_NONE)
        return bind_fail(L, &child->result.err);
    push_result(L, &child->result);
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
    if (child->proc)
        proc_signal(child->proc, (int)luaL_checkinteger(L, 2));
    return 0;
}

static int l_pid(lua_State *L)
{
    struct child *child = to_child(L);
    if (!child->proc)
        return 0;
    lua_pushinteger(L, proc_pid(child->proc));
    return 1;
}

/* --- proc.run ---------------------------------------------------------------------------------------- */

struct run {
    struct wait wait;
    struct proc *proc;
    struct buf out[2];
    bool split, over;
    struct proc_result result;
};

static void on_run_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
    struct run *run = arg;
    if (run->over || buf_add(&run->out[stream == PROC_STDERR], data, len))
        return;
    run->over = true;
    proc_cancel(run->proc);
}

static void on_run_done(void *arg, const struct proc_result *result)
{
    struct run *run = arg;
    run->proc = NULL;
    run->result = *result;
    task_wake(run);
}

static void run_cancel(void *op)
{
    proc_cancel(((struct run *)op)->proc);
}

static int run_gc(lua_State *L)
{
    struct run *run = lua_touserdata(L, 1);
    buf_fini(&run->out[0]);
    buf_fini(&run->out[1]);
    return 0;
}

static void push_output(lua_State *L, const struct buf *out, const char *key)
{
    lua_pushlstring(L, out->len ? out->data : "", out->len);
    lua_setfield(L, -2, key);
}

static int k_run(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct run *run = (struct run *)context;
    struct err *err = &run->result.err;
    if (run->over)
        err_set(err, ERR_LIMIT, "the program printed more than %zu bytes and was stopped",
                run->out[0].max);
    if (err->kind != ERR_NONE)
        return bind_fail(L, err);
    push_result(L, &run->result);
    push_output(L, &run->out[0], "stdout");
    if (run->split)
        push_output(L, &run->out[1], "stderr");
    return 1;
}

/* proc.run { … } -> { code, signal, stdout, stderr, seconds, … } | nil, err */
static int l_run(lua_State *L)
{
    struct proc_spec spec;
    struct err err;
    struct run *run = bind_wait(L, sizeof *run, RUN, run_cancel);
    const char **argv = read_options(L, "proc.run", &spec);
    size_t max = (size_t)opt_integer(L, 1, "output_max", OUTPUT_MAX);
    buf_init(&run->out[0], max < OUTPUT_MAX_LIMIT ? max : OUTPUT_MAX_LIMIT);
    buf_init(&run->out[1], run->out[0].max);
    spec.output = on_run_output;
    run->split = spec.split;
    run->proc = proc_start(bind_loop(L), &spec, on_run_done, run, &err);
    mem_free(argv);
    if (!run->proc)
        return bind_fail(L, &err);
    return bind_yield(L, run, k_run);
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
    luaL_argcheck(L, pid > 1, 1, "one process, not a group or all");
    if (kill((pid_t)pid, (int)luaL_checkinteger(L, 2)) != 0) {
        err_system(&err, errno, "cannot signal process %d", (int)pid);
        return bind_fail(L, &err);
    }
    lua_pushboolean(L, true);
    return 1;
}

static const luaL_Reg functions[] = {
    {"kill", l_kill},
    {"start", l_start},
    {"run", l_run},
    {NULL, NULL},
};

int luaopen_orch_proc(lua_State *L);
int luaopen_orch_proc(lua_State *L)
{
    bind_type(L, CHILD, methods, child_gc);
    bind_type(L, CHILD_WAIT, NULL, NULL);
    bind_type(L, RUN, NULL, run_gc);
    bind_module(L, functions);
    return 1;
}
