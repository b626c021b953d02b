/* Shared inside engine/loop only: the struct behind loop.h. */
#ifndef LOOP_CORE_H
#define LOOP_CORE_H

#include <uv.h>

struct loop {
    uv_loop_t uv;
    unsigned live;
    uint64_t turn; /* when the last one began: from then on it was awake or waited */
    unsigned long file_limit;
    struct work *heavy_first, *heavy_last; /* wait for their turn */
    unsigned heavy; /* that run */
};

#endif
