/* Shared by task.c and bind_task.c only: what a task is. */
#ifndef BIND_TASK_H
#define BIND_TASK_H

#include "bind/bind.h"
#include "bind/host.h"

#define TASK "orch.task"

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DRAINING, TASK_DEAD };

/* A userdata, kept alive by the registry reference self_ref until it is dead. */
struct task {
    struct host *host; /* the extra space of the coroutine leads here */
    lua_State *L; /* the coroutine; anchored as the userdata's user value */
    enum task_state state;
    struct task *parent, *child, *prev, *next; /* siblings */
    struct task *ready_next;
    struct wait *wait;    /* what it waits for while WAITING */
    struct join *joiner;  /* who waits for its end */
    struct hold *holds;
    int self_ref;
    int reason_ref;       /* the cancellation's error value, LUA_NOREF if not cancelled */
    unsigned shields;     /* clean-up scopes it is in */
    struct timer *shield_timer; /* of the outermost one */
    bool shield_over;     /* its deadline has passed */
    /* started in the parent's scope, which holds cancellations back from it too */
    bool sheltered;
    bool interrupted;     /* the wait it is in was asked to end by a cancellation */
    bool unparked;        /* unpark came before park */
    bool parked;          /* the wait it is in is a park */
    int nargs;            /* on L's stack for the first resume */
    bool failed;          /* the one result is an error value */
    int nresults;
};

struct join {
    struct wait wait;
    struct task *task; /* NULL once it has ended */
    struct timer *timer;
};

/* Makes a task of the function and its nargs arguments on top of L's stack, below parent (NULL: a
   root), and puts its userdata in their place. */
struct task *task_start(lua_State *L, struct host *host, struct task *parent, int nargs);
/* Is a cancellation due to be raised at its next wait? */
bool task_must_raise(const struct task *task);
/* Raises the reason of the task's cancellation. */
int task_raise_reason(lua_State *L, struct task *task);
/* Cancels the task and all below it. The reason is the value on top of L; popped. The first one
   stays. */
void task_cancel(lua_State *L, struct task *task);
/* The clean-up scope is over: what the task started in it gets the cancellation that was held
   back. */
void task_end_shelter(lua_State *L, struct task *task);
/* The time of its clean-up scope is over: cancellations reach it and all that it shelters. */
void task_expire(struct task *task);
/* Ends all that it holds. */
void hold_end_all(struct task *task);
/* Dead once its function has returned and everything that it started or holds has ended; then its
   parent may be. */
void task_settle(struct task *task);

#endif
