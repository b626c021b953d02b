/* A child process: own group, one pipe for its output, an end that is never lost. */
#ifndef PRIM_PROC_H
#define PRIM_PROC_H

#include <stddef.h>

#include "base/err.h"
#include "loop/loop.h"

struct proc;
struct keepers;

enum proc_stream { PROC_STDOUT = 1, PROC_STDERR = 2 };

struct proc_spec {
    const char *const *argv; /* argv[0] is looked up in env's PATH unless it holds a '/' */
    const char *const *env;  /* "NAME=value"…; NULL = this process's own */
    const char *cwd;         /* NULL = this process's own */
    /* from which it gets a parent that keeps its whole tree (proc_keeper.h); NULL = it is our own
       child, and only its group is ended */
    struct keepers *keepers;
    const void *input;       /* written to its standard input, then closed; NULL = /dev/null */
    size_t input_len;
    bool split;          /* stderr apart; default: both through one pipe, in the order written */
    bool inherit;        /* standard input, output and error are this process's; no output calls */
    /* with inherit, and our own child: it stays in our group, so that a shell can take the terminal
       that we have, and what is typed at it ends it as it ends us; asked to end by HUP, which an
       interactive shell heeds. What it leaves running is its own affair. */
    bool foreground;
    uint64_t grace_ms;   /* between TERM and KILL when cancelled; 0 = 5,000 */
    uint64_t timeout_ms; /* cancelled with kind timeout after that long; 0 = never */
    uint64_t quiet_ms;   /* likewise, after that long without output; 0 = never */
    /* Called with each piece as it comes (at most 64 KiB); data is borrowed. */
    void (*output)(void *arg, enum proc_stream stream, const char *data, size_t len);
    /* Called when proc_pid was asked too early and knows now; not at all if the program ends
       before. */
    void (*born)(void *arg);
};

struct proc_result {
    struct err err;  /* kind ERR_NONE when the child ended by itself, whatever its status */
    int code;        /* exit status, -1 if ended by a signal */
    int signal;      /* 0 if it exited */
    bool parent_killed; /* somebody killed orch-shim, its parent, and so it; signal is KILL */
    double seconds, user, system;
    long long max_rss; /* bytes */
};

/* Comes once, after the child has ended and its output was read to the end. */
typedef void proc_done(void *arg, const struct proc_result *result);

/* NULL and err when there is no such program or directory, or no process to be had. */
struct proc *proc_start(struct loop *loop, const struct proc_spec *spec, proc_done *done,
                        void *arg, struct err *err);
/* TERM to the whole tree, KILL after the grace. Safe at any time before done; again does
   nothing. */
void proc_cancel(struct proc *proc);
/* Sends a signal to the program's group. */
void proc_signal(struct proc *proc, int number);
/* false: stop reading, so that the child waits for its reader; true: go on. */
void proc_flow(struct proc *proc, bool on);
/* 0 while it is not known: spec.born tells when it is. */
int proc_pid(struct proc *proc);

#endif
