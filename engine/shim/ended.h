/* How a step's end is told. */
#ifndef SHIM_ENDED_H
#define SHIM_ENDED_H

#include <stdbool.h>
#include <sys/resource.h>

#include "shim/orders.h"

struct ended {
    const char *path; /* of a file; "": none */
    const char *why;  /* it was made to end: "cancelled", "timeout", "quiet"; else "" */
    int status;       /* as of wait4 */
    struct rusage usage;
    long oom_kills;   /* meanwhile, in the container */
    bool lost;        /* nobody is at the other end */
};

/* To the file first, since whoever loses the connection finds it there; then as a d frame, unless
   nobody listens. */
void ended_tell(const struct ended *ended);
/* Waits until orch says that it has the end, and the file goes: the daemon may drop what is on its
   way once the process is gone. False when it closes instead, or says nothing. */
bool ended_wait(const char *path, struct orders *orders);

#endif
