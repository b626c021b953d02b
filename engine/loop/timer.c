#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct timer {
    uv_timer_t uv;
    struct loop *loop;
    loop_call *call;
    void *arg;
};

static void on_close(uv_handle_t *handle)
{
    struct timer *timer = (struct timer *)handle;
    timer->loop->live--;
    mem_free(timer);
}

static void on_close_called(uv_handle_t *handle)
{
    mem_free(handle);
}

static void on_time(uv_timer_t *handle)
{
    struct timer *timer = (struct timer *)handle;
    timer->loop->live--; /* over now; libuv closes it a turn later, when a sleeper already looks */
    uv_close((uv_handle_t *)handle, on_close_called);
    timer->call(timer->arg);
}

struct timer *timer_start(struct loop *loop, uint64_t ms, loop_call *call, void *arg)
{
    struct timer *timer = mem_alloc(sizeof *timer);
    timer->loop = loop;
    timer->call = call;
    timer->arg = arg;
    uv_timer_init(&loop->uv, &timer->uv);
    uv_update_time(&loop->uv);
    uv_timer_start(&timer->uv, on_time, ms, 0);
    loop->live++;
    return timer;
}

void timer_cancel(struct timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, on_close);
}
