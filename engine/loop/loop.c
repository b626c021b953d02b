#include "loop/loop.h"

#include <sys/resource.h>

#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"

/* select(2) users among the libraries do not exist, so more than 1,024 descriptors hurt nobody. */
static unsigned long raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    unsigned long before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return before;
}

struct loop *loop_new(struct err *err)
{
    struct loop *loop = mem_alloc(sizeof *loop);
    int number = uv_loop_init(&loop->uv);
    if (number == 0) {
        loop->file_limit = raise_file_limit();
        return loop;
    }
    mem_free(loop);
    err_set(err, ERR_IO, "cannot make an event loop: %s", uv_strerror(number));
    return NULL;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (uv_run(&loop->uv, UV_RUN_NOWAIT) && loop->live > 0)
        ;
    uv_loop_close(&loop->uv);
    mem_free(loop);
}

void loop_turn(struct loop *loop, bool wait)
{
    loop->turn = loop_clock(loop);
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

unsigned loop_live(const struct loop *loop)
{
    return loop->live;
}

unsigned long loop_file_limit(const struct loop *loop)
{
    return loop->file_limit;
}

uint64_t loop_now(struct loop *loop)
{
    return uv_now(&loop->uv);
}

uint64_t loop_clock(struct loop *loop)
{
    uv_update_time(&loop->uv);
    return uv_now(&loop->uv);
}
