#include "prim/proc_inlet.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"

static void on_writable(void *arg, int events)
{
    (void)events;
    struct inlet *inlet = arg;
    ssize_t n = write(inlet->fd, inlet->text + inlet->sent, inlet->len - inlet->sent);
    if (n > 0)
        inlet->sent += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        inlet->sent = inlet->len;
    if (inlet->sent == inlet->len)
        inlet_close(inlet);
}

void inlet_feed(struct inlet *inlet, struct loop *loop, const char *text, size_t len)
{
    if (inlet->fd < 0)
        return;
    inlet->text = mem_textn(text, len);
    inlet->len = len;
    inlet->watch = watch_new(loop, inlet->fd, on_writable, inlet);
    watch_set(inlet->watch, WATCH_WRITE);
}

void inlet_close(struct inlet *inlet)
{
    watch_free(inlet->watch);
    inlet->watch = NULL;
    if (inlet->fd >= 0)
        close(inlet->fd);
    inlet->fd = -1;
    mem_wipe(inlet->text, inlet->len); /* it may have been a credential */
    inlet->text = NULL;
}
