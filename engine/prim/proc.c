#include "prim/proc.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/proc_birth.h"
#include "prim/proc_ends.h"
#include "prim/proc_inlet.h"
#include "prim/proc_keeper.h"
#include "prim/proc_outlet.h"

enum {
    GRACE_MS = 5000,
    HEAR_MS = 5,     /* until its output is watched: what ends sooner is heard once, at its end */
    DRAIN_MS = 2000, /* how long a grandchild may hold the pipes open after the child's end */
    KEEPER_MS = 12000, /* what a keeper may take beyond the grace before it is killed itself */
};

struct proc {
    struct loop *loop;
    struct proc_spec spec; /* texts and tables in it were the caller's */
    char *program, *cwd;   /* paths; cwd NULL: ours */
    bool found;            /* there is such a file, whether or not it can be run */
    proc_done *done;
    void *arg;
    struct keeper *keeper; /* NULL without one, and at the end */
    pid_t pid;             /* 0: not known */
    int pidfd, group;      /* without a keeper; group: for kill, its own, or it alone in ours */
    struct watch *exit_watch;
    bool ended;     /* and what it left running, too */
    bool told;      /* result has its status */
    bool asked_pid;
    struct outlet outlets[2];
    struct inlet inlet;
    struct timer *hear_timer, *kill_timer, *timeout_timer, *quiet_timer, *drain_timer;
    uint64_t started, last_output;
    struct proc_result result;
    bool paused;
};

/* --- endings ---------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void drop_timer(struct timer **timer)
{
    timer_cancel(*timer);
    *timer = NULL;
}

static void release(struct proc *proc)
{
    inlet_close(&proc->inlet);
    outlet_close(&proc->outlets[0]);
    outlet_close(&proc->outlets[1]);
    watch_free(proc->exit_watch);
    close_fd(&proc->pidfd);
    drop_timer(&proc->hear_timer);
    drop_timer(&proc->kill_timer);
    drop_timer(&proc->timeout_timer);
    drop_timer(&proc->quiet_timer);
    drop_timer(&proc->drain_timer);
    mem_free(proc->program);
    mem_free(proc->cwd);
    mem_free(proc);
}

static void finish_if_over(void *arg)
{
    struct proc *proc = arg;
    if (!proc->ended || outlet_is_open(&proc->outlets[0]) || outlet_is_open(&proc->outlets[1]))
        return;
    proc_done *done = proc->done;
    void *done_arg = proc->arg;
    struct proc_result result = proc->result;
    release(proc);
    done(done_arg, &result);
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
    if (proc->ended && !proc->paused)
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

static void on_piece(void *arg, enum proc_stream stream, const char *data, size_t len)
{
    struct proc *proc = arg;
    proc->last_output = loop_now(proc->loop);
    proc->spec.output(proc->arg, stream, data, len);
}

static void hear(void *arg)
{
    struct proc *proc = arg;
    proc->hear_timer = NULL;
    outlet_watch(&proc->outlets[0], proc->loop);
    outlet_watch(&proc->outlets[1], proc->loop);
}

static void end_seen(struct proc *proc)
{
    proc->ended = true;
    drop_timer(&proc->hear_timer);
    drop_timer(&proc->timeout_timer);
    drop_timer(&proc->quiet_timer);
    drop_timer(&proc->kill_timer);
    proc->result.seconds = (double)(loop_clock(proc->loop) - proc->started) / 1000;
    inlet_close(&proc->inlet);
    outlet_read_rest(&proc->outlets[0]); /* what most have printed is there by now */
    outlet_read_rest(&proc->outlets[1]);
    hear(proc);
    if (outlet_is_open(&proc->outlets[0]) || outlet_is_open(&proc->outlets[1]))
        limit_drain(proc);
    finish_if_over(proc);
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
    if (proc->result.err.kind != ERR_NONE && !proc->spec.foreground)
        kill(-proc->pid, SIGKILL); /* what of the group outlived its leader's TERM */
    take_wait_status(proc, status, &usage);
    end_seen(proc);
}

/* --- what the keeper tells -------------------------------------------------------------------- */

static void take_report(struct proc *proc, const struct report *report)
{
    struct proc_result *result = &proc->result;
    proc->told = true;
    result->code = report->kind == REPORT_EXIT ? report->value : -1;
    result->signal = report->kind == REPORT_SIGNAL ? report->value : 0;
    result->user = (double)report->user_us / 1e6;
    result->system = (double)report->system_us / 1e6;
    result->max_rss = (long long)report->max_rss_kib * 1024;
}

static void take_failure(struct proc *proc, const struct report *report)
{
    struct err *err = &proc->result.err;
    proc->told = true;
    if (err->kind != ERR_NONE)
        return;
    if (report->kind == REPORT_EXEC)
        birth_program_error(proc->program, proc->found, report->value, err);
    else if (report->kind == REPORT_CWD)
        err_system(err, report->value, "cannot run %s in directory %s", proc->program,
                   proc->cwd ? proc->cwd : ".");
    else if (report->kind == REPORT_LOST)
        err_set(err, ERR_IO, "cannot start %s: somebody killed orch-shim, the parent of programs",
                proc->program);
    else
        err_system(err, report->value, "cannot start %s", proc->program);
}

static void on_told(void *arg, const struct report *report)
{
    struct proc *proc = arg;
    if (!report && !proc->told) { /* somebody killed the keeper, and so all below it */
        proc->result.code = -1;
        proc->result.signal = SIGKILL;
        proc->result.parent_killed = true;
    } else if (report && report->kind == REPORT_BORN) {
        proc->pid = report->value;
        if (proc->spec.born)
            proc->spec.born(proc->arg);
    } else if (report && (report->kind == REPORT_EXIT || report->kind == REPORT_SIGNAL)) {
        take_report(proc, report);
    } else if (report && report->kind != REPORT_OVER) {
        take_failure(proc, report);
    }
    if (report && !report->over)
        return;
    proc->keeper = NULL;
    end_seen(proc);
}

static void on_grace_over(void *arg)
{
    struct proc *proc = arg;
    proc->kill_timer = NULL;
    if (proc->keeper)
        keeper_kill(proc->keeper);
    else
        kill(proc->group, SIGKILL);
}

/* Without a keeper no SIGCONT: it takes back the SIGSTOP by which a tracer takes hold of a process,
   and LeakSanitizer, which does so at a program's end, then waits for ever. */
static void end_tree(struct proc *proc)
{
    if (proc->keeper)
        keeper_end(proc->keeper);
    else
        kill(proc->group, proc->spec.foreground ? SIGHUP : SIGTERM);
}

static void stop(struct proc *proc, enum err_kind kind, const char *why)
{
    proc_flow(proc, true);
    if (proc->ended || proc->result.err.kind != ERR_NONE)
        return;
    err_set(&proc->result.err, kind, "%s", why);
    end_tree(proc);
    proc->kill_timer = timer_start(
        proc->loop, proc->spec.grace_ms + (proc->keeper ? KEEPER_MS : 0), on_grace_over, proc);
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

/* --- starting --------------------------------------------------------------------------------- */

static void watch_ends(struct proc *proc, const struct proc_spec *spec)
{
    if (proc->pidfd >= 0) {
        proc->group = spec->foreground ? proc->pid : -proc->pid;
        proc->exit_watch = watch_new(proc->loop, proc->pidfd, on_exit_seen, proc);
        watch_set(proc->exit_watch, WATCH_READ);
    }
    proc->hear_timer = timer_start(proc->loop, HEAR_MS, hear, proc);
    inlet_feed(&proc->inlet, proc->loop, spec->input, spec->input_len);
    if (spec->quiet_ms)
        proc->quiet_timer = timer_start(proc->loop, spec->quiet_ms, on_quiet, proc);
    if (spec->timeout_ms)
        proc->timeout_timer = timer_start(proc->loop, spec->timeout_ms, on_timeout, proc);
}

static bool start_kept(struct proc *proc, const struct proc_spec *spec,
                       const char *const *env, const struct ends *ends, struct err *err)
{
    const bool inherit = spec->inherit;
    const struct errand errand = {.path = proc->program, .argv = spec->argv, .env = env,
                                  .cwd = ends->cwd, .in = inherit ? STDIN_FILENO : ends->in,
                                  .out = inherit ? STDOUT_FILENO : ends->out,
                                  .err = inherit ? STDERR_FILENO : ends->err,
                                  .grace_ms = proc->spec.grace_ms};
    proc->keeper = keeper_run(spec->keepers, &errand, on_told, proc, err);
    return proc->keeper != NULL;
}

static bool start_child(struct proc *proc, const struct proc_spec *spec,
                        const char *const *env, const struct ends *ends, struct err *err)
{
    struct birth birth = {.path = proc->program, .argv = (char *const *)spec->argv,
                          .env = (char *const *)env, .cwd = spec->cwd, .in = ends->in,
                          .out = ends->out, .err = ends->err, .foreground = spec->foreground,
                          .file_limit = loop_file_limit(proc->loop)};
    return birth_watched(&birth, &proc->pid, &proc->pidfd, err);
}

static struct proc *make(struct loop *loop, const struct proc_spec *spec,
                         const char *const *env, int cwd, struct err *err)
{
    char *program = birth_find_program(spec->argv[0], env, cwd, err);
    if (!program)
        return NULL;
    struct proc *proc = mem_alloc(sizeof *proc);
    proc->loop = loop;
    proc->spec = *spec;
    proc->program = program;
    proc->found = faccessat(cwd, program, F_OK, 0) == 0;
    proc->cwd = mem_text(spec->cwd);
    proc->pidfd = proc->inlet.fd = -1;
    for (int i = 0; i < 2; i++)
        proc->outlets[i] = (struct outlet){.fd = -1, .stream = i == 0 ? PROC_STDOUT : PROC_STDERR,
                                           .piece = on_piece, .ended = finish_if_over, .arg = proc};
    if (proc->spec.grace_ms == 0)
        proc->spec.grace_ms = GRACE_MS;
    proc->started = proc->last_output = loop_clock(loop);
    return proc;
}

/* Everything opened is proc's and ends' to close, whatever happens. */
static bool start(struct proc *proc, const struct proc_spec *spec, const char *const *env,
                  struct ends *ends, struct err *err)
{
    const bool good = spec->inherit || ends_open(ends, spec, err);
    proc->inlet.fd = ends->our_in;
    proc->outlets[0].fd = ends->our_out;
    proc->outlets[1].fd = ends->our_err;
    if (!good)
        return false;
    return spec->keepers ? start_kept(proc, spec, env, ends, err)
                         : start_child(proc, spec, env, ends, err);
}

struct proc *proc_start(struct loop *loop, const struct proc_spec *spec, proc_done *done,
                        void *arg, struct err *err)
{
    const char *const *env = spec->env ? spec->env : (const char *const *)environ;
    struct ends ends;
    if (!ends_enter(&ends, spec, err))
        return NULL;
    struct proc *proc = make(loop, spec, env, ends.cwd, err);
    const bool good = proc && start(proc, spec, env, &ends, err);
    ends_close(&ends);
    if (good) {
        proc->done = done;
        proc->arg = arg;
        watch_ends(proc, spec);
        return proc;
    }
    if (proc)
        release(proc);
    return NULL;
}

void proc_cancel(struct proc *proc)
{
    stop(proc, ERR_CANCELLED, "cancelled");
}

void proc_signal(struct proc *proc, int number)
{
    if (proc->ended || number <= 0)
        return;
    if (proc->keeper)
        keeper_order(proc->keeper, ORDER_SIGNAL, number);
    else
        kill(proc->group, number);
}

void proc_flow(struct proc *proc, bool on)
{
    if (proc->paused == !on)
        return;
    proc->paused = !on;
    outlet_flow(&proc->outlets[0], on);
    outlet_flow(&proc->outlets[1], on);
    limit_drain(proc);
}

int proc_pid(struct proc *proc)
{
    if (proc->pid == 0 && proc->keeper && !proc->asked_pid)
        keeper_order(proc->keeper, ORDER_TELL, 0);
    proc->asked_pid = true;
    return proc->pid;
}
