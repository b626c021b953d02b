/* What a step is to run. */
#ifndef SHIM_REQUEST_H
#define SHIM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "shim/wire.h"

struct request {
    /* where its end is told too, for who has lost the connection; "": nowhere */
    char *ended;
    long grace_ms, timeout_ms, quiet_ms; /* 0: no limit */
    /* how long orch may say nothing before it is taken for dead; 0: no limit */
    long silence_ms;
    bool split;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t group_count;
    char **argv, **env; /* ended by NULL */
    int input;          /* descriptor of its standard input */
};

/* Takes the frame r, reads i… and g into the same one, and goes to the directory named there.
   ERR_CANCELLED: nobody asks any more. */
bool request_take(struct request *request, struct wire_frame *frame, struct err *err);
/* The same of a file that holds the frame r, without an input; the file is removed. */
bool request_read(struct request *request, const char *path, struct err *err);
/* In the process that is to become the program, between vfork and exec: takes its user and groups
   on. 0, or why not. */
int request_become(const struct request *request);
/* Leaves nothing of it in memory; the input is whose it was given to. */
void request_fini(struct request *request);
/* Path of the program: argv[0], or where env's PATH has it. NULL and err when there is none. */
char *request_program(const struct request *request, struct err *err);

#endif
