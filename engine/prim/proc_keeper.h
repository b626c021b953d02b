/* Keepers: the parents of programs (engine/shim), made once and used for one program after another.
   For proc.c, and for who makes them. */
#ifndef PRIM_PROC_KEEPER_H
#define PRIM_PROC_KEEPER_H

#include <stdint.h>

#include "base/err.h"
#include "base/order.h"
#include "loop/loop.h"

struct keepers;
struct keeper;

/* shim: path of orch-shim. The first process starts with the first program. */
struct keepers *keepers_new(struct loop *loop, const char *shim);
/* Ends those that are free and waits a moment for their end; those that are not end with their
   programs. NULL is good. */
void keepers_free(struct keepers *keepers);

/* What is borrowed is copied by keeper_run, and descriptors stay the caller's. */
struct errand {
    const char *path;
    const char *const *argv, *const *env; /* ended by NULL */
    int cwd, out, err;  /* err: may be out */
    int in;             /* -1: nothing is read */
    uint64_t grace_ms;  /* between TERM and KILL */
};

/* From the loop, for each report. NULL: the keeper was killed, and its tree with it. After that, or
   a report with over set, the keeper is not the program's any more. */
typedef void keeper_told(void *arg, const struct report *report);

/* NULL and err when there is no keeper to be had. That the program cannot run is told. */
struct keeper *keeper_run(struct keepers *keepers, const struct errand *errand,
                          keeper_told *told, void *arg, struct err *err);
/* ORDER_SIGNAL with its number, or ORDER_TELL. */
void keeper_order(struct keeper *keeper, enum order_kind kind, int number);
/* ORDER_END, also for one that somebody stopped. */
void keeper_end(struct keeper *keeper);
/* It did not do what it was told in time, and is killed: told comes with NULL. */
void keeper_kill(struct keeper *keeper);

#endif
