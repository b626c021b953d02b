#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct trap {
    uv_signal_t uv;
    struct loop *loop;
    trap_call *call;
    void *arg;
};

static void on_close(uv_handle_t *handle)
{
    struct trap *trap = (struct trap *)handle;
    trap->loop->live--;
    mem_free(trap);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct trap *trap = (struct trap *)handle;
    trap->call(trap->arg, number);
}

struct trap *trap_new(struct loop *loop, int number, trap_call *call, void *arg)
{
    struct trap *trap = mem_alloc(sizeof *trap);
    trap->loop = loop;
    trap->call = call;
    trap->arg = arg;
    uv_signal_init(&loop->uv, &trap->uv);
    uv_signal_start(&trap->uv, on_signal, number);
    loop->live++;
    return trap;
}

void trap_free(struct trap *trap)
{
    if (trap)
        uv_close((uv_handle_t *)&trap->uv, on_close);
}
