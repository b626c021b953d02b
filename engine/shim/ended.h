/* How a step's end is told. */
#ifndef SHIM_ENDED_H
#define SHIM_ENDED_H

#include <stdbool.h>
#include <sys/resource.h>

struct ended {
    const char *path; /* of a file; "": none */
    const char *why;  /* it was made to end: "cancelled", "timeout", "quiet"; else "" */
    int status;       /* as of wait4 */
    struct rusage usage;
    long oom_kills;   /* meanwhile, in the container */
    bool lost;        /* nobody is at the other end */
};

/* To the file first, since whoever loses the connection finds it there; then as a d frame, unless nobody listens. */
void ended_tell(const struct ended *ended);
/* Waits until orch closes: the daemon may drop what is on its way once the process is gone. The file goes when orch
   says that it has the end. */
void ended_wait(const char *path);

#endif
