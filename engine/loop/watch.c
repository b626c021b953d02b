#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct watch {
    uv_poll_t uv;
    struct loop *loop;
    watch_call *call;
    void *arg;
    int events;
    bool uncounted;
};

static void on_close(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;
    watch->loop->live--;
    mem_free(watch);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = (struct watch *)handle;
    int seen = (events & UV_READABLE ? WATCH_READ : 0) | (events & UV_WRITABLE ? WATCH_WRITE : 0);
    if (status < 0)
        seen = watch->events;
    if (seen)
        watch->call(watch->arg, seen);
}

struct watch *watch_new(struct loop *loop, int fd, watch_call *call, void *arg)
{
    struct watch *watch = mem_alloc(sizeof *watch);
    watch->loop = loop;
    watch->call = call;
    watch->arg = arg;
    if (uv_poll_init(&loop->uv, &watch->uv, fd) != 0) {
        mem_free(watch);
        return NULL;
    }
    loop->live++;
    return watch;
}

void watch_set(struct watch *watch, int events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    if (events == 0)
        uv_poll_stop(&watch->uv);
    else
        uv_poll_start(&watch->uv,
                      (events & WATCH_READ ? UV_READABLE : 0) |
                          (events & WATCH_WRITE ? UV_WRITABLE : 0),
                      on_poll);
}

void watch_count(struct watch *watch, bool counted)
{
    if (watch->uncounted != counted)
        return;
    watch->uncounted = !counted;
    if (counted)
        watch->loop->live++;
    else
        watch->loop->live--;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch_count(watch, true); /* until it is closed */
    uv_poll_stop(&watch->uv);
    uv_close((uv_handle_t *)&watch->uv, on_close);
}
