/* orch-shim GRACE_MS CONTROL_FD STATUS_FD PATH ARGV0 [ARG]… — the parent of every step's process.

   Runs PATH in a process group of its own and outlives every descendant of it, also those that forked twice,
   changed their session or were stopped: as a subreaper it inherits them. The tree is ended (TERM, grace,
   KILL) when a zero byte comes on CONTROL_FD or its other end closes, which happens however orch dies; any
   other byte is a signal for the group. What the program leaves running when it exits is ended too.

   STATUS_FD (a pipe or a file) gets one line: "exit CODE …", "signal NUMBER …" or "exec ERRNO …", then user
   and system microseconds and the largest resident set in KiB. */
#include <dirent.h>
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

enum {
    PROCESSES_MAX = 65536,
    STRAY_GRACE_MS = 500, /* for what is left when the program itself has exited */
    KILL_LIMIT_MS = 10000,
    EXEC_FAILED = 127,
};

struct shim {
    pid_t program;
    int control, status;
    long grace_ms;
    bool exited; /* the program has been reaped */
    bool childless;
};

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

static pid_t parent_of(const char *pid_text)
{
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid_text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[len > 0 ? len : 0] = '\0';
    const char *after_name = strrchr(stat, ')'); /* the name may hold anything */
    return after_name ? (pid_t)strtol(after_name + 4, NULL, 10) : -1;
}

static size_t list_processes(pid_t *pids, pid_t *parents)
{
    DIR *proc = opendir("/proc");
    size_t count = 0;
    for (struct dirent *entry; proc && count < PROCESSES_MAX && (entry = readdir(proc));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        pids[count] = (pid_t)strtol(entry->d_name, NULL, 10);
        parents[count++] = parent_of(entry->d_name);
    }
    if (proc)
        closedir(proc);
    return count;
}

/* Signals every descendant. A parent may be listed after its child: go round until nothing is new. */
static void signal_tree(int number)
{
    static pid_t pids[PROCESSES_MAX], parents[PROCESSES_MAX];
    static bool ours[PROCESSES_MAX];
    const pid_t self = getpid();
    size_t count = list_processes(pids, parents);
    memset(ours, 0, count);
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < count; i++) {
            bool below = parents[i] == self;
            for (size_t k = 0; k < count && !below && !ours[i]; k++)
                below = ours[k] && pids[k] == parents[i];
            if (ours[i] || !below)
                continue;
            ours[i] = grown = true;
            kill(pids[i], number);
            if (number != SIGKILL)
                kill(pids[i], SIGCONT); /* a stopped process acts only when it goes on */
        }
    }
}

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

static void wait_for_child(int ms)
{
    sigset_t none;
    sigemptyset(&none);
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    ppoll(NULL, 0, &limit, &none);
}

static void end_tree(struct shim *shim, long grace_ms)
{
    signal_tree(SIGTERM);
    for (long deadline = now_ms() + grace_ms; !shim->childless && now_ms() < deadline;) {
        reap(shim);
        if (!shim->childless)
            wait_for_child(20);
    }
    for (long deadline = now_ms() + KILL_LIMIT_MS; !shim->childless && now_ms() < deadline;) {
        signal_tree(SIGKILL);
        reap(shim);
        if (!shim->childless)
            wait_for_child(10);
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
    unsigned char order;
    ssize_t len = read(shim->control, &order, 1);
    if (len < 0)
        return;
    if (len == 0 || order == 0)
        end_tree(shim, shim->grace_ms);
    else
        kill(-shim->program, order);
}

int main(int argc, char **argv)
{
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
