#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct timer {
    uv_timer_t uv;
    struct loop *loop;
    uint64_t armed, due;
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

static void on_time(uv_timer_t *handle);

static void arm(struct timer *timer, uint64_t now, uint64_t ms)
{
    timer->armed = now;
    timer->due = now + ms;
    uv_timer_start(&timer->uv, on_time, ms, 0);
}

/* What it had left when the loop began to wait; 0 when it is not late, or the loop was: then it was
   Lua that took its time. */
static uint64_t left(const struct timer *timer, uint64_t now)
{
    const uint64_t turn = timer->loop->turn;
    const uint64_t awake = turn > timer->armed ? turn : timer->armed;
    return now > timer->due + LATE_MS && timer->due > awake ? timer->due - awake : 0;
}

static void on_time(uv_timer_t *handle)
{
    struct timer *timer = (struct timer *)handle;
    const uint64_t now = uv_now(&timer->loop->uv), more = left(timer, now);
    if (more > 0) {
        arm(timer, now, more);
        return;
    }
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
    arm(timer, uv_now(&loop->uv), ms);
    loop->live++;
    return timer;
}

void timer_cancel(struct timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, on_close);
}
