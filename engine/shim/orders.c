#include "shim/orders.h"

#include <errno.h>
#include <unistd.h>

#include "shim/wire.h"

/* Of as much as its head tells, or of the head. */
static size_t size_of(const struct orders *orders)
{
    const unsigned char *head = (const unsigned char *)orders->bytes;
    if (orders->len < WIRE_HEAD)
        return WIRE_HEAD;
    if (head[1] || head[2] || head[3] || head[4] > ORDER_MAX - WIRE_HEAD)
        return 0;
    return WIRE_HEAD + (size_t)head[4];
}

int orders_take(struct orders *orders, char *argument)
{
    const ssize_t n = read(STDIN_FILENO, orders->bytes + orders->len,
                           size_of(orders) - orders->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return ORDERS_END;
    orders->len += (size_t)n;
    const size_t size = size_of(orders);
    if (size == 0)
        return ORDERS_END;
    if (orders->len < WIRE_HEAD || orders->len < size)
        return 0;
    *argument = size > WIRE_HEAD ? orders->bytes[WIRE_HEAD] : 0;
    orders->len = 0;
    return orders->bytes[0];
}
