/* Our end of a pipe that a program reads from. For proc.c only. */
#ifndef PRIM_PROC_INLET_H
#define PRIM_PROC_INLET_H

#include <stddef.h>

#include "loop/loop.h"

struct inlet {
    int fd; /* -1: none, or all is written; closed by inlet_close */
    struct watch *watch;
    char *text;
    size_t len, sent;
};

/* Copies the text, writes it as the program reads, and closes the pipe after it. A program that
   does not read to the end has a right to that. */
void inlet_feed(struct inlet *inlet, struct loop *loop, const char *text, size_t len);
/* Wipes what is left of the text. Safe twice. */
void inlet_close(struct inlet *inlet);

#endif
