#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct bell {
    uv_async_t uv;
    struct loop *loop;
    loop_call *call;
    void *arg;
};

static void on_close(uv_handle_t *handle)
{
    struct bell *bell = (struct bell *)handle;
    bell->loop->live--;
    mem_free(bell);
}

static void on_ring(uv_async_t *handle)
{
    struct bell *bell = (struct bell *)handle;
    bell->call(bell->arg);
}

struct bell *bell_new(struct loop *loop, loop_call *call, void *arg)
{
    struct bell *bell = mem_alloc(sizeof *bell);
    bell->loop = loop;
    bell->call = call;
    bell->arg = arg;
    uv_async_init(&loop->uv, &bell->uv, on_ring);
    loop->live++;
    return bell;
}

void bell_ring(struct bell *bell)
{
    uv_async_send(&bell->uv);
}

void bell_free(struct bell *bell)
{
    if (bell)
        uv_close((uv_handle_t *)&bell->uv, on_close);
}
