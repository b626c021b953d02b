/* orch-shim: the small static program between orch and the programs that it runs.

   `nursery` is the first process below orch. It forks keepers; a keeper runs one program after
   another, each in a group of its own, and outlives every descendant of it, also those that forked
   twice, changed their session or were stopped: as a subreaper it inherits them. The tree is ended
   (TERM, grace, KILL) on request, or when the other end of the keeper's socket closes, which
   happens however orch dies: nobody waits for the tree then, and a resumed run may be about to do
   the same, so that its grace is short, or over if it had begun. What a program leaves running when
   it exits is ended too. The orders are in base/order.h.

   In a container it lies on a volume, and has more lives: `hold` is the main process, `serve` runs
   programs, and reads and writes files, one request after another, as frames on standard input and
   output say (shim/wire.h); `listen` and `relay` make a socket whose other end is orch
   (shim/relay.h); `enter FILE` is the parent of a program that a person is at, or that stands in a
   pipe (shim/enter.h); `end` ends those of these that an earlier session has left. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shim/enter.h"
#include "shim/nursery.h"
#include "shim/orphans.h"
#include "shim/relay.h"
#include "shim/serve.h"

/* The container lives as long as this does. */
static int hold(void)
{
    int number;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return sigwait(&ends, &number);
}

static const struct {
    const char *name;
    int (*live)(void);
} lives[] = {{"nursery", nursery_main}, {"hold", hold},
             {"serve", serve_main},     {"listen", relay_listen_main},
             {"relay", relay_main},     {"end", orphans_main}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof lives / sizeof lives[0]; i++)
        if (strcmp(argv[1], lives[i].name) == 0)
            return lives[i].live();
    if (argc == 3 && strcmp(argv[1], "enter") == 0)
        return enter_main(argv[2]);
    fputs("usage: orch-shim nursery|hold|serve|listen|relay|enter FILE|end\n", stderr);
    return 2;
}
