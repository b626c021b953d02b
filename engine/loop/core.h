/* Shared inside engine/loop only: the struct behind loop.h. */
#ifndef LOOP_CORE_H
#define LOOP_CORE_H

#include <uv.h>

enum { LATE_MS = 1000 }; /* nobody is that late who is awake */

struct loop {
    uv_loop_t uv;
    unsigned live;
    uint64_t turn; /* when the last one began: from then on it was awake or waited */
    uint64_t looked, spent; /* the clock, and this thread's processor time, as last compared */
    unsigned long file_limit;
    struct work *heavy_first, *heavy_last; /* wait for their turn */
    unsigned heavy; /* that run */
};

#endif
