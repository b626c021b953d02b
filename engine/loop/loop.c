#include "loop/loop.h"

#include <sys/resource.h>
#include <time.h>

#include <uv.h>

#include "base/mem.h"
#include "loop/core.h"

enum { LOOK_MS = 100 }; /* between two looks at the processor time, which cost a system call */

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
        loop->looked = loop_clock(loop);
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

static uint64_t processor_ms(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * 1000 + (uint64_t)spent.tv_nsec / 1000000;
}

/* Until when this program was at work: now, or the last look when it was stopped since. */
static uint64_t look(struct loop *loop)
{
    const uint64_t now = loop_clock(loop), last = loop->looked, passed = now - last;
    if (passed < LOOK_MS)
        return now;
    const uint64_t before = loop->spent;
    loop->looked = now;
    loop->spent = processor_ms();
    return passed > LATE_MS && loop->spent - before < passed / 2 ? last : now;
}

void loop_turn(struct loop *loop, bool wait)
{
    loop->turn = look(loop);
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    look(loop);
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
