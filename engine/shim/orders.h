/* The short frames by which orch orders a running step about. */
#ifndef SHIM_ORDERS_H
#define SHIM_ORDERS_H

#include <stddef.h>

enum { ORDER_MAX = 64, ORDERS_END = -1 };

struct orders {
    char bytes[ORDER_MAX]; /* of one that is not whole yet */
    size_t len;
};

/* Reads what is there of an order, and nothing of what follows it: its type once it is whole, with
   the first byte of its payload, if any, in argument; 0 before that; ORDERS_END at the end of the
   input, or when it is no order. */
int orders_take(struct orders *orders, char *argument);

#endif
