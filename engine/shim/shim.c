/* orch-shim GRACE_MS CONTROL_FD STATUS_FD PATH ARGV0 [ARG]… — the parent of every step's process.

   Runs PATH in a process group of its own and outlives every descendant of it, also those that forked twice,
   changed their session or were stopped: as a subreaper it inherits them. The tree is ended (TERM, grace,
   KILL) when a zero byte comes on CONTROL_FD or its other end closes, which happens however orch dies: nobody
   waits for the tree then, and a resumed run may be about to do the same, so that its grace is short, or over if
   it had begun. Any other byte is a signal for the group. What the program leaves running when it exits is ended
   too.

   STATUS_FD (a pipe or a file) gets one line: "exit CODE …", "signal NUMBER …" or "exec ERRNO …", then user
   and system microseconds and the largest resident set in KiB.

   In a container it is copied in, and has more lives: `orch-shim hold` is the main process, `step` runs one
   program and `files` reads and writes files, both as frames on standard input and output say (shim/wire.h);
   `end` ends those that a dead orch has left. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/files.h"
#include "shim/orphans.h"
#include "shim/step.h"
#include "shim/tree.h"

enum {
    STRAY_GRACE_MS = 500, /* for what is left when the program itself has exited, or orch */
    KILL_LIMIT_MS = 10000,
    EXEC_FAILED = 127,
};

struct shim {
    pid_t program;
    int control, status;
    long grace_ms;
    bool exited; /* the program has been reaped */
    bool childless;
    bool alone; /* orch is gone */
};

static void say(int fd, const char *word, long value, const struct rusage *usage)
{
    char line[128];
    int len = snprintf(line, sizeof line, "%s %ld %lld %lld %ld\n", word, value,
                       usage->ru_utime.tv_sec * 1000000LL + usage->ru_utime.tv_usec,
                       usage->ru_stime.tv_sec * 1000000LL + usage->ru_stime.tv_usec,
                       usage->ru_maxrss);
    if (write(fd, line, (size_t)len) < 0)
        return; /* nobody reads it any more */
}

/* --- the tree ------------------------------------------------------------------------------------ */

static void reap(struct shim *shim)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0)
            shim->childless = errno == ECHILD;
        if (pid <= 0)
            return;
        if (pid != shim->program)
            continue;
        shim->exited = true;
        if (WIFSIGNALED(status))
            say(shim->status, "signal", WTERMSIG(status), &usage);
        else
            say(shim->status, "exit", WEXITSTATUS(status), &usage);
    }
}

/* Until a child changes, or control, unless -1, has an order: true. */
static bool wait_for_child(int control, int ms)
{
    sigset_t none;
    sigemptyset(&none);
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    struct pollfd poll = {.fd = control, .events = POLLIN};
    return ppoll(&poll, 1, &limit, &none) > 0;
}

/* The next order; 0, which ends the tree, also when orch is gone. */
static int read_order(struct shim *shim)
{
    unsigned char order = 0;
    ssize_t len = read(shim->control, &order, 1);
    if (len == 0)
        shim->alone = true;
    return len < 0 ? -1 : order;
}

static void end_tree(struct shim *shim, long grace_ms)
{
    bool alone = shim->alone;
    tree_signal(SIGTERM);
    for (long deadline = now_ms() + grace_ms; !shim->childless && now_ms() < deadline;) {
        reap(shim);
        if (!shim->childless && wait_for_child(alone ? -1 : shim->control, 20))
            read_order(shim); /* it ends already */
        if (shim->alone && !alone)
            break;
    }
    for (long deadline = now_ms() + KILL_LIMIT_MS; !shim->childless && now_ms() < deadline;) {
        tree_signal(SIGKILL);
        reap(shim);
        if (!shim->childless)
            wait_for_child(-1, 10);
    }
}

/* --- the program --------------------------------------------------------------------------------- */

static void on_child(int number)
{
    (void)number; /* only interrupts ppoll */
}

static void start(struct shim *shim, char **argv)
{
    pid_t parent = getpid();
    shim->program = vfork();
    if (shim->program != 0)
        return;
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGCHLD, &usual, NULL);
    sigaction(SIGPIPE, &usual, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXEC_FAILED);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(argv[0], argv + 1);
    say(shim->status, "exec", errno, &(struct rusage){0});
    _exit(EXEC_FAILED);
}

static void obey(struct shim *shim)
{
    int order = read_order(shim);
    if (order == 0)
        end_tree(shim, shim->alone && shim->grace_ms > STRAY_GRACE_MS ? STRAY_GRACE_MS : shim->grace_ms);
    else if (order > 0)
        kill(-shim->program, order);
}

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

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold();
    if (argc == 2 && strcmp(argv[1], "step") == 0)
        return step_main();
    if (argc == 2 && strcmp(argv[1], "files") == 0)
        return files_main();
    if (argc == 2 && strcmp(argv[1], "end") == 0)
        return orphans_main();
    if (argc < 6) {
        fputs("usage: orch-shim GRACE_MS CONTROL_FD STATUS_FD PATH ARGV0 [ARG]...\n", stderr);
        return 2;
    }
    struct shim shim = {.grace_ms = strtol(argv[1], NULL, 10),
                        .control = (int)strtol(argv[2], NULL, 10),
                        .status = (int)strtol(argv[3], NULL, 10)};
    fcntl(shim.control, F_SETFD, FD_CLOEXEC);
    fcntl(shim.status, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, 0); /* the control pipe tells of orch's death, and leaves time for the tree */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction wake = {.sa_handler = on_child}, ignore = {.sa_handler = SIG_IGN};
    sigset_t held, none;
    sigemptyset(&held);
    sigaddset(&held, SIGCHLD);
    sigemptyset(&none);
    sigaction(SIGCHLD, &wake, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* orch may be dead when the status is told, and the tree is not yet */
    sigprocmask(SIG_BLOCK, &held, NULL);
    start(&shim, argv + 4);
    for (int null = open("/dev/null", O_RDWR), fd = 0; fd < 3; fd++)
        dup2(null, fd); /* the ends of its pipes are the program's alone */
    while (!shim.exited && !shim.childless) {
        struct pollfd poll = {.fd = shim.control, .events = POLLIN};
        if (ppoll(&poll, 1, NULL, &none) > 0)
            obey(&shim);
        reap(&shim);
    }
    if (!shim.childless)
        end_tree(&shim, STRAY_GRACE_MS);
    return 0;
}
