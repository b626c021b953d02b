#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct eve {
    uv_prepare_t uv;
    struct loop *loop;
    loop_call *call;
    void *arg;
};

static void on_close(uv_handle_t *handle)
{
    struct eve *eve = (struct eve *)handle;
    eve->loop->live--;
    mem_free(eve);
}

static void on_eve(uv_prepare_t *handle)
{
    struct eve *eve = (struct eve *)handle;
    uv_prepare_stop(handle);
    eve->call(eve->arg);
}

struct eve *eve_new(struct loop *loop, loop_call *call, void *arg)
{
    struct eve *eve = mem_alloc(sizeof *eve);
    eve->loop = loop;
    eve->call = call;
    eve->arg = arg;
    uv_prepare_init(&loop->uv, &eve->uv);
    loop->live++;
    return eve;
}

void eve_set(struct eve *eve)
{
    uv_prepare_start(&eve->uv, on_eve);
}

void eve_free(struct eve *eve)
{
    if (eve)
        uv_close((uv_handle_t *)&eve->uv, on_close);
}
