/* Our end of a pipe that a program prints to. For proc.c only. */
#ifndef PRIM_PROC_OUTLET_H
#define PRIM_PROC_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"
#include "prim/proc.h"

struct outlet {
    int fd; /* -1: none, or at its end; closed by outlet_close */
    enum proc_stream stream;
    /* From the loop: a piece of at most 64 KiB, and the end, before which it has been closed. */
    void (*piece)(void *arg, enum proc_stream stream, const char *data, size_t len);
    void (*ended)(void *arg);
    void *arg;
    struct watch *watch;
    bool paused;
};

/* Pieces come from now on. Safe twice. */
void outlet_watch(struct outlet *outlet, struct loop *loop);
/* false: no piece comes until it is set to true again. */
void outlet_flow(struct outlet *outlet, bool on);
bool outlet_is_open(const struct outlet *outlet);
/* Reads at once what is there, and closes it at its end without a word. */
void outlet_read_rest(struct outlet *outlet);
/* Safe twice. */
void outlet_close(struct outlet *outlet);

#endif
