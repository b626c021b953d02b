#include "prim/proc_outlet.h"

#include <errno.h>
#include <unistd.h>

enum {
    CHUNK = 64 << 10,
    REST_READS = 64, /* before others get their turn */
};

enum outcome { GOT_PIECE, GOT_NOTHING, GOT_END };

static enum outcome read_piece(struct outlet *outlet)
{
    char chunk[CHUNK];
    ssize_t n = read(outlet->fd, chunk, sizeof chunk);
    if (n > 0) {
        outlet->piece(outlet->arg, outlet->stream, chunk, (size_t)n);
        return GOT_PIECE;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? GOT_NOTHING : GOT_END;
}

static void on_readable(void *arg, int events)
{
    (void)events;
    struct outlet *outlet = arg;
    if (read_piece(outlet) != GOT_END)
        return;
    outlet_close(outlet);
    outlet->ended(outlet->arg);
}

void outlet_watch(struct outlet *outlet, struct loop *loop)
{
    if (outlet->fd < 0 || outlet->watch)
        return;
    outlet->watch = watch_new(loop, outlet->fd, on_readable, outlet);
    watch_set(outlet->watch, outlet->paused ? 0 : WATCH_READ);
}

void outlet_flow(struct outlet *outlet, bool on)
{
    outlet->paused = !on;
    if (outlet->watch)
        watch_set(outlet->watch, on ? WATCH_READ : 0);
}

bool outlet_is_open(const struct outlet *outlet)
{
    return outlet->fd >= 0;
}

void outlet_read_rest(struct outlet *outlet)
{
    enum outcome outcome = GOT_PIECE;
    for (int reads = 0; outcome == GOT_PIECE && reads < REST_READS; reads++)
        outcome = outlet_is_open(outlet) && !outlet->paused ? read_piece(outlet) : GOT_NOTHING;
    if (outcome == GOT_END)
        outlet_close(outlet);
}

void outlet_close(struct outlet *outlet)
{
    watch_free(outlet->watch);
    outlet->watch = NULL;
    if (outlet->fd >= 0)
        close(outlet->fd);
    outlet->fd = -1;
}
