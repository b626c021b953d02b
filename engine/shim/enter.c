#include "shim/enter.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "shim/request.h"
#include "shim/tree.h"

enum {
    CANNOT_RUN = 126, /* as shells say it */
    SIGNALLED = 128,
    GRACE_MS = 2000,
    STRAY_GRACE_MS = 500, /* for what is left when the program itself has exited */
    KILL_LIMIT_MS = 10000, /* what the kernel does not let go is left */
    SIZE_LIMIT_MS = 2000,  /* where ours has none either, there is none to come */
    POLL_MS = 20,
};

/* What a terminal sends to all in its foreground is the program's. */
static const int typed[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};

static void handle_typed(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++)
        sigaction(typed[i], &action, NULL);
}

static void hold_signals(sigset_t *held)
{
    sigemptyset(held);
    sigaddset(held, SIGCHLD);
    sigaddset(held, SIGTERM);
    sigaddset(held, SIGHUP);
    sigprocmask(SIG_BLOCK, held, NULL);
    handle_typed(SIG_IGN);
}

static _Noreturn void become(const struct request *request, const char *path)
{
    sigset_t none;
    sigemptyset(&none);
    handle_typed(SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    errno = request_become(request);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* which another user would take back */
    if (errno == 0)
        execve(path, request->argv, request->env);
    perror(path);
    _exit(CANNOT_RUN);
}

/* Until the program has ended: true; or until we are asked to end: false. */
static bool attend(pid_t program, const sigset_t *held, int *status)
{
    for (;;) {
        int one;
        for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
            if (pid != program)
                continue;
            *status = one;
            return true;
        }
        const int number = sigwaitinfo(held, NULL);
        if (number == SIGTERM || number == SIGHUP)
            return false;
    }
}

/* Ends all that is left below us. */
static void end_rest(pid_t program, int *status, int number, long grace_ms)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    const long deadline = now_ms() + grace_ms;
    tree_signal(number);
    while (now_ms() < deadline + KILL_LIMIT_MS) {
        int one;
        const pid_t pid = waitpid(-1, &one, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return;
        if (pid == program)
            *status = one;
        if (pid > 0)
            continue;
        if (now_ms() > deadline)
            tree_signal(SIGKILL);
        nanosleep(&pause, NULL);
    }
}

static int say(const struct err *err)
{
    fprintf(stderr, "orch: %s\n", err->message);
    return CANNOT_RUN;
}

/* The terminal, or the pipes, were made for us, and are the program's: its user may open them by
   name, as /dev/stdout is. Where that cannot be they are what they are. */
static void give_streams(const struct request *request)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat stream;
        if (fstat(fd, &stream) == 0 && (isatty(fd) || S_ISFIFO(stream.st_mode)))
            (void)!fchown(fd, request->uid, (gid_t)-1);
    }
}

/* A terminal that the daemon has just made has no size until orch has told it. */
static void await_size(void)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    const long deadline = now_ms() + SIZE_LIMIT_MS;
    struct winsize size;
    while (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col == 0 &&
           now_ms() < deadline)
        nanosleep(&pause, NULL);
}

int enter_main(const char *path)
{
    struct err err;
    struct request request = {0};
    sigset_t held;
    int status = SIGKILL; /* as wait has it, until it is known */
    if (!request_read(&request, path, &err))
        return say(&err);
    char *program = request_program(&request, &err);
    if (!program)
        return say(&err);
    give_streams(&request);
    await_size();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    hold_signals(&held);
    const pid_t pid = fork();
    if (pid == 0)
        become(&request, program);
    request_fini(&request);
    mem_free(program);
    if (pid < 0)
        return perror("orch: cannot start a program"), CANNOT_RUN;
    if (attend(pid, &held, &status))
        end_rest(pid, &status, SIGTERM, STRAY_GRACE_MS);
    else
        end_rest(pid, &status, SIGHUP, GRACE_MS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}
