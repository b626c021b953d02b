#include "bind/bind_proc.h"

#include "base/mem.h"
#include "bind/options.h"

#define RUN "orch.proc.run"

enum {
    OUTPUT_MAX = 16 << 20, /* default of output_max: bytes that proc.run keeps */
    OUTPUT_MAX_LIMIT = 1 << 30,
};

struct run {
    struct wait wait;
    struct proc *proc;
    struct places *places;
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
    places_leave(run->places);
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
    proc_push_result(L, &run->result);
    push_output(L, &run->out[0], "stdout");
    if (run->split)
        push_output(L, &run->out[1], "stderr");
    return 1;
}

static int k_run_place(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct place *place = (struct place *)context;
    struct proc_spec spec;
    struct err err;
    struct run *run = bind_wait(L, sizeof *run, RUN, run_cancel);
    const char **argv = proc_options(L, "proc.run", &spec);
    size_t max = (size_t)opt_integer(L, 1, "output_max", OUTPUT_MAX);
    buf_init(&run->out[0], max < OUTPUT_MAX_LIMIT ? max : OUTPUT_MAX_LIMIT);
    buf_init(&run->out[1], run->out[0].max);
    spec.output = on_run_output;
    run->split = spec.split;
    run->places = place->places;
    run->proc = proc_start(bind_loop(L), &spec, on_run_done, run, &err);
    mem_free(argv);
    if (!run->proc)
        return bind_fail(L, &err);
    place->taken = false; /* it is the program's now */
    return bind_yield(L, run, k_run);
}

/* proc.run { … } -> { code, signal, stdout, stderr, seconds, … } | nil, err */
int proc_l_run(lua_State *L)
{
    return places_take(L, proc_places(L), k_run_place);
}

void proc_run_type(lua_State *L)
{
    bind_type(L, RUN, NULL, run_gc);
}
