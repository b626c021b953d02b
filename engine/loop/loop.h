/* The event loop of one OS thread, over libuv: everything here is called from that thread.

   What is started here lives on the heap, is counted (loop_live), calls back from the loop only,
   never from inside the starting function, and frees itself after its end. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;

struct loop *loop_new(struct err *err);
/* Everything started on it must have ended. NULL is good. */
void loop_free(struct loop *loop);
/* One turn: waits for something to happen when wait is set, then makes the calls that are due. */
void loop_turn(struct loop *loop, bool wait);
/* How many timers, watches, works and signals are open, those in closing included; a timer that has
   called is none of them. */
unsigned loop_live(const struct loop *loop);
/* The soft limit of descriptors as it was before loop_new raised it: what a child gets back. */
unsigned long loop_file_limit(const struct loop *loop);
/* Milliseconds of a monotonic clock, as of the last turn or loop_clock call. */
uint64_t loop_now(struct loop *loop);
/* As loop_now, read afresh. */
uint64_t loop_clock(struct loop *loop);

typedef void loop_call(void *arg);

/* Calls once after ms milliseconds, then frees itself. When this process was stopped meanwhile, and
   would call late, what it had left before that begins anew: what has come in that time is seen
   first. */
struct timer *timer_start(struct loop *loop, uint64_t ms, loop_call *call, void *arg);
/* No call comes any more. NULL is good; a timer that has called must not be cancelled. */
void timer_cancel(struct timer *timer);

enum { WATCH_READ = 1, WATCH_WRITE = 2 };
typedef void watch_call(void *arg, int events);

/* Watches a socket, pipe, pidfd or terminal (not a file) that stays the caller's and must stay open
   until watch_free. Starts watching nothing. */
struct watch *watch_new(struct loop *loop, int fd, watch_call *call, void *arg);
/* 0 = nothing for now. An error or hang-up of fd is told as all the events asked for. */
void watch_set(struct watch *watch, int events);
/* false: loop_live leaves it out, as it belongs to nothing that was started and must end. */
void watch_count(struct watch *watch, bool counted);
/* No call comes any more, not even one that is due. NULL is good. The fd may be closed at once. */
void watch_free(struct watch *watch);

typedef void trap_call(void *arg, int number);
/* Calls for each arrival of the signal until trap_free. */
struct trap *trap_new(struct loop *loop, int number, trap_call *call, void *arg);
void trap_free(struct trap *trap);

/* Work on another thread. run gets arg and a flag that work_cancel raises and that long work looks
   at per block; done comes from the loop, exactly once, after run returned (or when work_cancel
   came before run began: then run is never called and cancelled is true). */
struct work_spec {
    void (*run)(void *arg, const atomic_bool *stop);
    void (*done)(void *arg, bool cancelled);
    void *arg;
    bool own_thread; /* for work that blocks on a pipe or socket: never holds a place of the pool */
    /* for work of seconds: on a thread of its own too, so many at once; others wait in order */
    bool heavy;
};
struct work *work_start(struct loop *loop, const struct work_spec *spec);
void work_cancel(struct work *work);

/* Wakes the loop from any thread; call comes from the loop, several posts may be one call. */
struct bell *bell_new(struct loop *loop, loop_call *call, void *arg);
void bell_ring(struct bell *bell);
void bell_free(struct bell *bell);

#endif
