#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"
#include "loop/loop.h"

enum { HEAVY_MAX = 32 }; /* at once, each with a few descriptors of its own */

struct work {
    union { /* first: libuv gives pool back */
        uv_work_t pool;
        struct {
            uv_thread_t id;
            struct bell *bell;
        } thread;
    };
    struct loop *loop;
    struct work_spec spec;
    atomic_bool stop;
    bool waiting; /* for its turn; next is then good */
    struct work *next;
};

static void begin_thread(struct work *work);

static void next_heavy(struct loop *loop)
{
    struct work *next = loop->heavy_first;
    if (!next || loop->heavy == HEAVY_MAX)
        return;
    loop->heavy_first = next->next;
    if (!loop->heavy_first)
        loop->heavy_last = NULL;
    next->waiting = false;
    loop->heavy++;
    begin_thread(next);
}

static void finish(struct work *work, bool cancelled)
{
    const struct work_spec spec = work->spec;
    struct loop *loop = work->loop;
    loop->live--;
    if (spec.heavy && !work->waiting) {
        loop->heavy--;
        next_heavy(loop);
    }
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

static void begin_thread(struct work *work)
{
    work->thread.bell = bell_new(work->loop, thread_done, work);
    if (uv_thread_create(&work->thread.id, thread_run, work) != 0)
        /* no thread to be had: told as cancelled */
        timer_start(work->loop, 0, thread_missing, work);
}

static void not_begun(void *arg)
{
    finish(arg, true);
}

/* Takes it out of the queue. */
static void give_up_turn(struct work *work)
{
    struct loop *loop = work->loop;
    struct work *before = NULL;
    for (struct work *each = loop->heavy_first; each != work; each = each->next)
        before = each;
    if (before)
        before->next = work->next;
    else
        loop->heavy_first = work->next;
    if (loop->heavy_last == work)
        loop->heavy_last = before;
    timer_start(loop, 0, not_begun, work);
}

struct work *work_start(struct loop *loop, const struct work_spec *spec)
{
    struct work *work = mem_alloc(sizeof *work);
    work->loop = loop;
    work->spec = *spec;
    loop->live++;
    if (spec->heavy) {
        work->waiting = true;
        if (loop->heavy_last)
            loop->heavy_last->next = work;
        else
            loop->heavy_first = work;
        loop->heavy_last = work;
        next_heavy(loop);
    } else if (spec->own_thread) {
        begin_thread(work);
    } else {
        uv_queue_work(&loop->uv, &work->pool, pool_run, pool_done);
    }
    return work;
}

void work_cancel(struct work *work)
{
    if (!work || work->stop)
        return;
    work->stop = true;
    if (work->waiting)
        give_up_turn(work);
    else if (!work->spec.own_thread && !work->spec.heavy)
        uv_cancel((uv_req_t *)&work->pool);
}
