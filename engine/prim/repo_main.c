/* The program orch-repo: one git operation, asked for on standard input (prim/repo_talk.h).

   It is two processes: the worker, which may be killed at any moment, and its keeper, which kills
   it when asked to end and then deletes what it left half done. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prim/repo_checkout.h"
#include "prim/repo_info.h"
#include "prim/repo_lib.h"
#include "prim/repo_talk.h"

static bool run(const struct ask *ask, struct err *err)
{
    if (strcmp(ask->op, "checkout") == 0)
        return checkout_run(ask, err);
    if (strcmp(ask->op, "info") == 0)
        return info_run(ask, err);
    return err_set(err, ERR_USAGE, "no operation '%s'", ask->op);
}

static int work(struct ask *ask)
{
    struct err err = {.kind = ERR_NONE};
    lib_init();
    if (run(ask, &err))
        err.kind = ERR_NONE;
    talk_end(&err);
    ask_fini(ask);
    git_libgit2_shutdown();
    return 0;
}

/* Returns the worker's exit code; does not return when asked to end. */
static int keep(struct ask *ask, pid_t worker, const sigset_t *signals)
{
    for (int number, status; sigwait(signals, &number) == 0;) {
        if (number == SIGCHLD) {
            if (waitpid(worker, &status, WNOHANG) != worker)
                continue;
            if (WIFEXITED(status)) {
                ask_fini(ask);
                return WEXITSTATUS(status);
            }
        } else {
            kill(worker, SIGTERM); /* it holds TERM back while it moves what is whole */
            waitpid(worker, &status, 0);
        }
        break;
    }
    if (strcmp(ask->op, "checkout") == 0) {
        lib_init();
        checkout_sweep(ask);
    }
    ask_fini(ask);
    return 128 + SIGTERM;
}

int main(void)
{
    struct ask ask;
    struct err err;
    if (!ask_read(STDIN_FILENO, &ask, &err)) {
        talk_end(&err);
        ask_fini(&ask);
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    pid_t keeper = getpid(), worker = fork();
    if (worker == 0) {
        sigset_t none;
        sigemptyset(&none);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper)
            _exit(1);
        sigprocmask(SIG_SETMASK, &none, NULL);
        return work(&ask);
    }
    if (worker < 0) {
        err_set(&err, ERR_LIMIT, "no process to be had for git");
        talk_end(&err);
        ask_fini(&ask);
        return 1;
    }
    return keep(&ask, worker, &signals);
}
