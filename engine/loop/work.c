#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

struct work {
    union {
        uv_work_t pool;
        struct {
            uv_thread_t id;
            struct bell *bell;
        } thread;
    };
    struct loop *loop;
    struct work_spec spec;
    atomic_bool stop;
};

static void finish(struct work *work, bool cancelled)
{
    struct work_spec spec = work->spec;
    work->loop->live--;
    mem_free(work);
    spec.done(spec.arg, cancelled);
}

static void pool_run(uv_work_t *request)
{
    struct work *work = (struct work *)request;
    work->spec.run(work->spec.arg, &work->stop);
}

static void pool_done(uv_work_t *request, int status)
{
    finish((struct work *)request, status == UV_ECANCELED);
}

static void thread_run(void *arg)
{
    struct work *work = arg;
    work->spec.run(work->spec.arg, &work->stop);
    bell_ring(work->thread.bell);
}

static void thread_done(void *arg)
{
    struct work *work = arg;
    uv_thread_join(&work->thread.id);
    bell_free(work->thread.bell);
    finish(work, false);
}

static void thread_missing(void *arg)
{
    struct work *work = arg;
    bell_free(work->thread.bell);
    finish(work, true);
}

struct work *work_start(struct loop *loop, const struct work_spec *spec)
{
    struct work *work = mem_alloc(sizeof *work);
    work->loop = loop;
    work->spec = *spec;
    loop->live++;
    if (!spec->own_thread) {
        uv_queue_work(&loop->uv, &work->pool, pool_run, pool_done);
        return work;
    }
    work->thread.bell = bell_new(loop, thread_done, work);
    if (uv_thread_create(&work->thread.id, thread_run, work) != 0)
        timer_start(loop, 0, thread_missing, work); /* no thread to be had: told as cancelled */
    return work;
}

void work_cancel(struct work *work)
{
    if (!work)
        return;
    work->stop = true;
    if (!work->spec.own_thread)
        uv_cancel((uv_req_t *)&work->pool);
}
