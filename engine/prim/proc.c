#include "prim/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/proc_birth.h"

enum {
    CHUNK = 64 << 10,
    GRACE_MS = 5000,
    DRAIN_MS = 2000, /* how long a grandchild may hold the pipes open after the child's end */
    SHIM_MS = 12000, /* what the shim may take beyond the grace before it is killed itself */
    SHIM_ARGS = 5,
};

struct outlet {
    struct proc *proc;
    struct watch *watch; /* NULL once at its end */
    int fd;
    enum proc_stream stream;
};

struct proc {
    struct loop *loop;
    struct proc_spec spec; /* output, split, grace_ms only; the rest was the caller's */
    char *program;         /* path */
    bool found;            /* there is such a file, whether or not it can be run */
    proc_done *done;
    void *arg;
    pid_t pid;
    int pidfd;
    struct watch *exit_watch; /* NULL once the child is reaped */
    struct outlet outlets[2];
    struct watch *input_watch;
    int input_fd;
    int control_fd, status_fd; /* the shim's, -1 without one */
    char *input;
    size_t input_len, input_sent;
    struct timer *kill_timer, *timeout_timer, *quiet_timer, *drain_timer;
    uint64_t started, last_output;
    struct proc_result result;
    bool paused;
};

/* --- endings ------------------------------------------------------------------------------------ */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void outlet_close(struct outlet *outlet)
{
    watch_free(outlet->watch);
    outlet->watch = NULL;
    close_fd(&outlet->fd);
}

static void input_close(struct proc *proc)
{
    watch_free(proc->input_watch);
    proc->input_watch = NULL;
    close_fd(&proc->input_fd);
    mem_wipe(proc->input, proc->input_len); /* it may have been a credential */
    proc->input = NULL;
}

static void drop_timer(struct timer **timer)
{
    timer_cancel(*timer);
    *timer = NULL;
}

static void release(struct proc *proc)
{
    input_close(proc);
    outlet_close(&proc->outlets[0]);
    outlet_close(&proc->outlets[1]);
    watch_free(proc->exit_watch);
    close_fd(&proc->pidfd);
    close_fd(&proc->control_fd);
    close_fd(&proc->status_fd);
    drop_timer(&proc->kill_timer);
    drop_timer(&proc->timeout_timer);
    drop_timer(&proc->quiet_timer);
    drop_timer(&proc->drain_timer);
    mem_free(proc->program);
    mem_free(proc);
}

static void finish_if_over(struct proc *proc)
{
    if (proc->exit_watch || proc->outlets[0].watch || proc->outlets[1].watch)
        return;
    proc_done *done = proc->done;
    void *arg = proc->arg;
    struct proc_result result = proc->result;
    release(proc);
    done(arg, &result);
}

static void on_drained(void *arg)
{
    struct proc *proc = arg;
    proc->drain_timer = NULL;
    outlet_close(&proc->outlets[0]);
    outlet_close(&proc->outlets[1]);
    finish_if_over(proc);
}

/* After the child's end its pipes are read for a limited time, which runs while they are read. */
static void limit_drain(struct proc *proc)
{
    drop_timer(&proc->drain_timer);
    if (!proc->exit_watch && !proc->paused)
        proc->drain_timer = timer_start(proc->loop, DRAIN_MS, on_drained, proc);
}

static double seconds_of(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void take_wait_status(struct proc *proc, int status, const struct rusage *usage)
{
    struct proc_result *result = &proc->result;
    result->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result->user = seconds_of(usage->ru_utime);
    result->system = seconds_of(usage->ru_stime);
    result->max_rss = (long long)usage->ru_maxrss * 1024;
}

/* The line of engine/shim/shim.c. None: somebody killed the shim, and the wait status is all there is. */
static bool take_shim_status(struct proc *proc)
{
    char line[128], word[16];
    long long value, user, system, max_rss;
    ssize_t len = read(proc->status_fd, line, sizeof line - 1);
    line[len > 0 ? len : 0] = '\0';
    if (sscanf(line, "%15s %lld %lld %lld %lld", word, &value, &user, &system, &max_rss) != 5)
        return false;
    struct proc_result *result = &proc->result;
    result->code = strcmp(word, "exit") == 0 ? (int)value : -1;
    result->signal = strcmp(word, "signal") == 0 ? (int)value : 0;
    result->user = (double)user / 1e6;
    result->system = (double)system / 1e6;
    result->max_rss = max_rss * 1024;
    if (strcmp(word, "exec") == 0 && result->err.kind == ERR_NONE)
        birth_program_error(proc->program, proc->found, (int)value, &result->err);
    return true;
}

static void on_exit_seen(void *arg, int events)
{
    (void)events;
    struct proc *proc = arg;
    int status;
    struct rusage usage;
    if (wait4(proc->pid, &status, WNOHANG, &usage) != proc->pid)
        return;
    watch_free(proc->exit_watch);
    proc->exit_watch = NULL;
    drop_timer(&proc->timeout_timer);
    drop_timer(&proc->quiet_timer);
    drop_timer(&proc->kill_timer);
    if (proc->status_fd < 0 && proc->result.err.kind != ERR_NONE)
        kill(-proc->pid, SIGKILL); /* what of the group outlived its leader's TERM */
    if (proc->status_fd < 0 || !take_shim_status(proc))
        take_wait_status(proc, status, &usage);
    proc->result.seconds = (double)(loop_clock(proc->loop) - proc->started) / 1000;
    input_close(proc);
    limit_drain(proc);
    finish_if_over(proc);
}

static void on_output(void *arg, int events)
{
    (void)events;
    struct outlet *outlet = arg;
    struct proc *proc = outlet->proc;
    char chunk[CHUNK];
    ssize_t n = read(outlet->fd, chunk, sizeof chunk);
    if (n > 0) {
        proc->last_output = loop_now(proc->loop);
        proc->spec.output(proc->arg, outlet->stream, chunk, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        outlet_close(outlet);
        finish_if_over(proc);
    }
}

static void on_input(void *arg, int events)
{
    (void)events;
    struct proc *proc = arg;
    ssize_t n = write(proc->input_fd, proc->input + proc->input_sent,
                      proc->input_len - proc->input_sent);
    if (n > 0)
        proc->input_sent += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        proc->input_sent = proc->input_len; /* it does not read: its right */
    if (proc->input_sent == proc->input_len)
        input_close(proc);
}

static void on_grace_over(void *arg)
{
    struct proc *proc = arg;
    proc->kill_timer = NULL;
    kill(-proc->pid, SIGKILL);
}

/* To the group, or to the shim, for which 0 means the end of the tree. */
static void send_signal(struct proc *proc, int number)
{
    unsigned char order = (unsigned char)number;
    if (proc->control_fd < 0)
        kill(-proc->pid, number ? number : SIGTERM);
    else if (write(proc->control_fd, &order, 1) < 0)
        return; /* it has ended, and its exit is about to be seen */
}

static void stop(struct proc *proc, enum err_kind kind, const char *why)
{
    proc_flow(proc, true);
    if (!proc->exit_watch || proc->result.err.kind != ERR_NONE)
        return;
    err_set(&proc->result.err, kind, "%s", why);
    send_signal(proc, 0);
    if (proc->control_fd < 0)
        kill(-proc->pid, SIGCONT); /* a stopped process sees TERM only when it goes on */
    proc->kill_timer =
        timer_start(proc->loop, proc->spec.grace_ms + (proc->control_fd < 0 ? 0 : SHIM_MS),
                    on_grace_over, proc);
}

static void on_timeout(void *arg)
{
    struct proc *proc = arg;
    proc->timeout_timer = NULL;
    stop(proc, ERR_TIMEOUT, "the program took too long and was stopped");
}

static void on_quiet(void *arg)
{
    struct proc *proc = arg;
    uint64_t quiet = loop_now(proc->loop) - proc->last_output;
    proc->quiet_timer = NULL;
    if (quiet < proc->spec.quiet_ms)
        proc->quiet_timer =
            timer_start(proc->loop, proc->spec.quiet_ms - quiet, on_quiet, proc);
    else
        stop(proc, ERR_TIMEOUT, "too long with no output");
}

/* --- starting ------------------------------------------------------------------------------------ */

static bool make_pipe(int ends[2], int ours, struct err *err)
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_system(err, errno, "cannot make a pipe");
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    return true;
}

static bool open_ends(struct proc *proc, const struct proc_spec *spec, struct birth *birth,
                      struct err *err)
{
    int ends[2];
    if (spec->shim) {
        if (!make_pipe(ends, 1, err))
            return false;
        birth->control = ends[0];
        proc->control_fd = ends[1];
        if (!make_pipe(ends, 0, err))
            return false;
        proc->status_fd = ends[0];
        birth->status = ends[1];
    }
    if (spec->inherit)
        return true;
    if (spec->input) {
        if (!make_pipe(ends, 1, err))
            return false;
        birth->in = ends[0];
        proc->input_fd = ends[1];
    } else if ((birth->in = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        return err_system(err, errno, "cannot open /dev/null");
    }
    if (!make_pipe(ends, 0, err))
        return false;
    proc->outlets[0].fd = ends[0];
    birth->out = birth->err = ends[1];
    if (spec->split) {
        if (!make_pipe(ends, 0, err))
            return false;
        proc->outlets[1].fd = ends[0];
        birth->err = ends[1];
    }
    return true;
}

static void watch_ends(struct proc *proc, const struct proc_spec *spec)
{
    proc->exit_watch = watch_new(proc->loop, proc->pidfd, on_exit_seen, proc);
    watch_set(proc->exit_watch, WATCH_READ);
    for (int i = 0; i < 2; i++) {
        struct outlet *outlet = &proc->outlets[i];
        if (outlet->fd < 0)
            continue;
        outlet->watch = watch_new(proc->loop, outlet->fd, on_output, outlet);
        watch_set(outlet->watch, WATCH_READ);
    }
    if (proc->input_fd >= 0) {
        proc->input = mem_copy(spec->input, spec->input_len ? spec->input_len : 1);
        proc->input_len = spec->input_len;
        proc->input_watch = watch_new(proc->loop, proc->input_fd, on_input, proc);
        watch_set(proc->input_watch, WATCH_WRITE);
    }
    proc->last_output = proc->started;
    if (spec->quiet_ms)
        proc->quiet_timer = timer_start(proc->loop, spec->quiet_ms, on_quiet, proc);
    if (spec->timeout_ms)
        proc->timeout_timer = timer_start(proc->loop, spec->timeout_ms, on_timeout, proc);
}

/* "orch-shim GRACE CONTROL STATUS PATH ARGV…", for the caller to free; text is where numbers go. */
static const char **shim_argv(const struct proc *proc, const struct proc_spec *spec,
                              const struct birth *birth, char text[3][24])
{
    size_t count = 0;
    while (spec->argv[count])
        count++;
    const char **argv = mem_alloc((count + SHIM_ARGS + 1) * sizeof *argv);
    snprintf(text[0], sizeof text[0], "%llu", (unsigned long long)proc->spec.grace_ms);
    snprintf(text[1], sizeof text[1], "%d", birth->control);
    snprintf(text[2], sizeof text[2], "%d", birth->status);
    argv[0] = "orch-shim";
    for (int i = 0; i < 3; i++)
        argv[i + 1] = text[i];
    argv[4] = proc->program;
    memcpy(argv + SHIM_ARGS, spec->argv, count * sizeof *argv);
    return argv;
}

static bool give_life(struct proc *proc, const struct proc_spec *spec, struct birth *birth,
                      struct err *err)
{
    char numbers[3][24];
    const char **argv = spec->shim ? shim_argv(proc, spec, birth, numbers) : NULL;
    birth->path = spec->shim ? spec->shim : proc->program;
    birth->argv = (char *const *)(argv ? argv : spec->argv);
    proc->started = loop_clock(proc->loop);
    proc->pid = birth_give(birth);
    mem_free(argv);
    if (proc->pid < 0)
        return err_system(err, errno, "cannot start %s", spec->argv[0]);
    if (birth->error != 0) {
        waitpid(proc->pid, NULL, 0);
        return birth_error(birth, spec->argv[0], birth->error, err);
    }
    proc->pidfd = pidfd_open(proc->pid, 0);
    if (proc->pidfd >= 0)
        return true;
    err_system(err, errno, "cannot watch %s", spec->argv[0]);
    kill(-proc->pid, SIGKILL);
    waitpid(proc->pid, NULL, 0);
    return false;
}

static struct proc *make(struct loop *loop, const struct proc_spec *spec,
                         const char *const *env, struct err *err)
{
    int base = spec->cwd ? open(spec->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
    if (spec->cwd && base < 0) {
        err_system(err, errno, "cannot run %s in directory %s", spec->argv[0], spec->cwd);
        return NULL;
    }
    char *program = birth_find_program(spec->argv[0], env, base, err);
    bool found = program && faccessat(base, program, F_OK, 0) == 0;
    if (spec->cwd)
        close(base);
    if (!program)
        return NULL;
    struct proc *proc = mem_alloc(sizeof *proc);
    *proc = (struct proc){.loop = loop, .spec = *spec, .program = program, .found = found,
                          .pidfd = -1, .input_fd = -1, .control_fd = -1, .status_fd = -1};
    return proc;
}

struct proc *proc_start(struct loop *loop, const struct proc_spec *spec, proc_done *done,
                        void *arg, struct err *err)
{
    const char *const *env = spec->env ? spec->env : (const char *const *)environ;
    struct proc *proc = make(loop, spec, env, err);
    if (!proc)
        return NULL;
    proc->done = done;
    proc->arg = arg;
    proc->outlets[0] = (struct outlet){.proc = proc, .fd = -1, .stream = PROC_STDOUT};
    proc->outlets[1] = (struct outlet){.proc = proc, .fd = -1, .stream = PROC_STDERR};
    if (proc->spec.grace_ms == 0)
        proc->spec.grace_ms = GRACE_MS;
    struct birth birth = {.env = (char *const *)env, .cwd = spec->cwd,
                          .in = -1, .out = -1, .err = -1, .control = -1, .status = -1,
                          .file_limit = loop_file_limit(loop)};
    bool good = open_ends(proc, spec, &birth, err) && give_life(proc, spec, &birth, err);
    if (birth.err != birth.out)
        close_fd(&birth.err);
    close_fd(&birth.in);
    close_fd(&birth.out);
    close_fd(&birth.control);
    close_fd(&birth.status);
    if (!good) {
        release(proc);
        return NULL;
    }
    watch_ends(proc, spec);
    return proc;
}

void proc_cancel(struct proc *proc)
{
    stop(proc, ERR_CANCELLED, "cancelled");
}

void proc_signal(struct proc *proc, int number)
{
    if (proc->exit_watch && number > 0)
        send_signal(proc, number);
}

void proc_flow(struct proc *proc, bool on)
{
    if (proc->paused == !on)
        return;
    proc->paused = !on;
    for (int i = 0; i < 2; i++)
        if (proc->outlets[i].watch)
            watch_set(proc->outlets[i].watch, on ? WATCH_READ : 0);
    limit_drain(proc);
}

int proc_pid(const struct proc *proc)
{
    return proc->pid;
}
