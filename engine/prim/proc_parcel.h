/* An order on its way to a keeper or to the nursery. For proc_keeper.c only. */
#ifndef PRIM_PROC_PARCEL_H
#define PRIM_PROC_PARCEL_H

#include <stddef.h>

#include "base/order.h"

struct parcel {
    struct order order;
    const void *body; /* order.len bytes; NULL: none */
    int files[ORDER_FILES];
    size_t file_count;
};

/* 0, or why not: EPIPE when nobody is at the other end. */
int parcel_send(int socket, const struct parcel *parcel);
/* Likewise, with the body in a file in memory: it may be of any size. */
int parcel_send_apart(int socket, const struct parcel *parcel);

#endif
