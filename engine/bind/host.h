/* Shared by bind and main only: what the engine keeps between turns. */
#ifndef BIND_HOST_H
#define BIND_HOST_H

#include "bind/bind.h"

struct keepers;
struct termios;

struct host {
    struct host *self; /* the extra space of coroutines leads here, of a task's to task->host */
    struct loop *loop;
    lua_State *L; /* the main state */
    struct task *current;
    lua_State *inner; /* the coroutine of a recipe's own that runs in current; NULL = none */
    struct task *ready_first, *ready_last;
    unsigned tasks;      /* alive, those that drain included */
    const char *lib_dir; /* where the modules loaded on first use stand */
    const char *shim;    /* path of orch-shim */
    struct keepers *keepers; /* the parents of programs, made by bind_proc.c */
    const char *program; /* the running binary */
    const char *lua_tree; /* read in place of the embedded library; NULL = embedded */
    char *parting; /* written to parting_fd when the program ends at once; NULL = nothing */
    size_t parting_len;
    int parting_fd;
    /* of the terminal, to be restored when the program ends at once; NULL: it is as it was */
    const struct termios *mode;
    bool lent; /* the terminal is a program's now: what is typed there is not for us */
    int argc;
    char **argv;
};

/* Starts the function and its nargs arguments on top of L's stack as the root task. */
struct task *task_root(struct host *host, lua_State *L, int nargs);
/* Pushes the task's userdata, which lives as long as it stands on L's stack. */
void task_keep(lua_State *L, struct task *task);
/* Resumes some of what is ready; the rest after the loop has had its turn. */
void task_run_ready(struct host *host);
bool task_ended(const struct task *task);
/* Moves the results (true, …) or (false, error) of an ended task to L; returns how many. */
int task_results(struct task *task, lua_State *L);
/* Cancels the task and what it started, with err as the reason. */
void task_cancel_with(struct host *host, struct task *task, const struct err *err);

/* From a signal handler on the main thread: Lua that computes without ever waiting looks at the
   loop soon, and a cancellation is raised in it. */
void task_break_in(struct host *host);

/* Makes the coroutine library one that leaves tasks alone, and tells host->inner what runs. */
void bind_guard_coroutines(lua_State *L, struct host *host);
/* Openers of the modules linked into the program. */
void bind_open_all(lua_State *L, struct host *host);

#endif
