#include "shim/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shim/ended.h"
#include "shim/oom.h"
#include "shim/orders.h"
#include "shim/request.h"
#include "shim/signals.h"
#include "shim/tree.h"
#include "shim/wire.h"

enum {
    CHUNK = 32 << 10,
    STRAY_GRACE_MS = 500, /* for what is left when the program itself has exited */
    KILL_LIMIT_MS = 10000,
    DRAIN_MS = 2000, /* how long somebody outside the tree may hold its output open, in silence */
    BEAT_MS = 10000,
    EXEC_FAILED = 127,
};

struct outlet {
    int fd; /* -1 at its end */
    char type;
};

struct step {
    struct request request;
    pid_t program;
    volatile int error; /* shared with the child until it is another program */
    bool exited, childless;
    const char *why;    /* it was made to end: "cancelled", "timeout", "quiet"; else "" */
    long deadline;      /* of the ending that goes on; 0: none does */
    bool killing, lost; /* lost: nobody is at the other end */
    long started, last_output, childless_since, last_heard, last_beat;
    long oom_kills;     /* of the container, before it began */
    int status;
    struct rusage usage;
    struct outlet outlets[2];
    char out[WIRE_HEAD + CHUNK];
    size_t out_len, out_sent;
    struct orders orders;
};

/* --- the program: between vfork and exec nothing but system calls ----------------------------- */

static void become(struct step *step, const char *path, int out, int err)
{
    const struct request *request = &step->request;
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGCHLD, &usual, NULL);
    sigaction(SIGPIPE, &usual, NULL);
    sigaction(SIGTERM, &usual, NULL);
    setpgid(0, 0);
    dup2(request->input, 0);
    dup2(out, 1);
    dup2(err, 2);
    sigprocmask(SIG_SETMASK, &none, NULL);
    step->error = request_become(request);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (step->error == 0) {
        execve(path, request->argv, request->env);
        step->error = errno;
    }
    _exit(EXEC_FAILED);
}

static bool open_outlets(struct step *step, int inner[2], struct err *err)
{
    step->outlets[0] = (struct outlet){.fd = -1, .type = 'o'};
    step->outlets[1] = (struct outlet){.fd = -1, .type = 'x'};
    for (int i = 0; i <= step->request.split; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return err_system(err, errno, "cannot make a pipe");
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        step->outlets[i].fd = ends[0];
        inner[i] = ends[1];
    }
    if (!step->request.split)
        inner[1] = inner[0];
    return true;
}

static bool start(struct step *step, struct err *err)
{
    int inner[2];
    char *path = request_program(&step->request, err);
    if (!path || !open_outlets(step, inner, err))
        return false;
    step->started = step->last_output = step->last_heard = step->last_beat = now_ms();
    step->oom_kills = oom_kills();
    step->program = vfork();
    if (step->program == 0)
        become(step, path, inner[0], inner[1]);
    close(inner[0]);
    if (inner[1] != inner[0])
        close(inner[1]);
    close(step->request.input);
    if (step->program < 0)
        return err_system(err, errno, "cannot start %s", path);
    if (step->error == ENOENT && access(path, F_OK) == 0)
        return err_set(err, ERR_MISSING,
                       "cannot run %s: the interpreter that its first line names is not there",
                           path);
    if (step->error != 0)
        return err_system(err, step->error, "cannot run %s", path);
    mem_free(path);
    return true;
}

/* --- its end ---------------------------------------------------------------------------------- */

static void end(struct step *step, const char *why, long grace_ms)
{
    if (!step->why[0])
        step->why = why;
    if (step->deadline)
        return;
    tree_signal(SIGTERM);
    step->deadline = now_ms() + grace_ms;
}

static void press(struct step *step)
{
    if (!step->deadline || step->childless || now_ms() < step->deadline)
        return;
    if (!step->killing)
        step->deadline = now_ms();
    step->killing = true;
    tree_signal(SIGKILL);
}

static bool beyond_help(const struct step *step)
{
    return step->killing && now_ms() > step->deadline + KILL_LIMIT_MS;
}

static void reap(struct step *step)
{
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) != 0;) {
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0) {
            if (!step->childless)
                step->childless_since = now_ms();
            step->childless = true;
            break;
        }
        if (pid != step->program)
            continue;
        step->exited = true;
        step->status = status;
        step->usage = usage;
    }
    if (step->exited && !step->childless)
        end(step, "", STRAY_GRACE_MS);
}

static void watch_time(struct step *step)
{
    const struct request *request = &step->request;
    const long now = now_ms();
    /* A daemon that was killed closes nothing: its runtime holds our ends open for the next one. */
    if (request->silence_ms && !step->lost && now >= step->last_heard + request->silence_ms) {
        step->lost = true;
        end(step, "cancelled", request->grace_ms);
    }
    if (signals_asked_to_end())
        end(step, "cancelled", request->grace_ms);
    if (step->exited || step->deadline)
        return;
    if (step->out_len)
        step->last_output = now; /* it is the reader who is slow */
    if (request->timeout_ms && now >= step->started + request->timeout_ms)
        end(step, "timeout", request->grace_ms);
    else if (request->quiet_ms && now >= step->last_output + request->quiet_ms)
        end(step, "quiet", request->grace_ms);
}

/* --- what goes in and out --------------------------------------------------------------------- */

static void obey(struct step *step)
{
    char argument;
    const int order = orders_take(&step->orders, &argument);
    if (order == ORDERS_END)
        step->lost = true;
    else
        step->last_heard = now_ms();
    if (order == ORDERS_END || order == 'c')
        end(step, "cancelled", step->request.grace_ms);
    else if (order == 's' && argument && !step->exited)
        kill(-step->program, argument);
}

static void send_out(struct step *step)
{
    ssize_t n = write(STDOUT_FILENO, step->out + step->out_sent, step->out_len - step->out_sent);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        step->lost = true; /* and the end of the input is about to come */
    if (n > 0)
        step->out_sent += (size_t)n;
    if (step->lost || step->out_sent == step->out_len)
        step->out_len = step->out_sent = 0;
}

static void take_output(struct step *step, struct outlet *outlet)
{
    ssize_t n = read(outlet->fd, step->out + WIRE_HEAD, CHUNK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close(outlet->fd);
        outlet->fd = -1;
        return;
    }
    step->last_output = now_ms();
    wire_head(step->out, outlet->type, (size_t)n);
    step->out_len = WIRE_HEAD + (size_t)n;
    send_out(step);
}

/* So that orch knows a daemon that is gone from a program that has nothing to say. */
static void beat(struct step *step)
{
    if (step->lost || step->out_len || now_ms() < step->last_beat + BEAT_MS)
        return;
    step->last_beat = now_ms();
    wire_head(step->out, 'h', 0);
    step->out_len = WIRE_HEAD;
    send_out(step);
}

static long sooner(long next, long from, long limit, long now)
{
    if (limit == 0)
        return next;
    const long left = from + limit - now;
    return left < 0 ? 0 : left < next ? left : next;
}

static int next_limit(const struct step *step)
{
    const struct request *request = &step->request;
    const long now = now_ms();
    if (step->deadline || (step->childless && !step->out_len))
        return 15;
    long next = BEAT_MS;
    if (!step->out_len)
        next = sooner(next, step->last_beat, BEAT_MS, now);
    next = sooner(next, step->started, request->timeout_ms, now);
    next = sooner(next, step->last_output, request->quiet_ms, now);
    return (int)sooner(next, step->last_heard, request->silence_ms, now);
}

static void wait_a_bit(struct step *step)
{
    struct pollfd polls[4] = {{.fd = step->lost ? -1 : STDIN_FILENO, .events = POLLIN},
                              {.fd = step->out_len ? STDOUT_FILENO : -1, .events = POLLOUT}};
    for (int i = 0; i < 2; i++)
        polls[i + 2] = (struct pollfd){.fd = step->out_len ? -1 : step->outlets[i].fd,
                                       .events = POLLIN};
    sigset_t none;
    sigemptyset(&none);
    const int ms = next_limit(step);
    const struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    if (ppoll(polls, 4, ms < 0 ? NULL : &limit, &none) <= 0)
        return;
    if (polls[0].revents)
        obey(step);
    if (polls[1].revents)
        send_out(step);
    for (int i = 0; i < 2; i++)
        if (polls[i + 2].revents && step->out_len == 0)
            take_output(step, &step->outlets[i]);
}

static bool all_told(const struct step *step)
{
    if (!step->childless)
        return beyond_help(step);
    if (step->out_len)
        return false;
    if (step->outlets[0].fd < 0 && step->outlets[1].fd < 0)
        return true;
    const long quiet_since = step->last_output > step->childless_since ? step->last_output
                                                                      : step->childless_since;
    return now_ms() > quiet_since + DRAIN_MS;
}

static void tell_begin(const struct step *step)
{
    char text[24];
    const int len = snprintf(text, sizeof text, "%d", (int)step->program);
    wire_send('b', text, (size_t)len + 1);
}

static void set_waiting(int fd, bool waits)
{
    const int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, waits ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static void run(struct step *step)
{
    set_waiting(STDIN_FILENO, false);
    set_waiting(STDOUT_FILENO, false);
    while (!all_told(step)) {
        wait_a_bit(step);
        reap(step);
        watch_time(step);
        press(step);
        beat(step);
    }
    set_waiting(STDIN_FILENO, true);
    set_waiting(STDOUT_FILENO, true);
    for (int i = 0; i < 2; i++)
        if (step->outlets[i].fd >= 0)
            close(step->outlets[i].fd);
}

static bool serve(struct step *step, struct wire_frame *first)
{
    struct err err;
    const bool good = request_take(&step->request, first, &err);
    if (!good && err.kind == ERR_CANCELLED)
        return false;
    signals_hold();
    if (good && start(step, &err)) {
        tell_begin(step);
        run(step);
        ended_tell(&(struct ended){.path = step->request.ended, .why = step->why,
                                   .lost = step->lost, .status = step->status,
                                   .usage = step->usage,
                                   .oom_kills = oom_kills() - step->oom_kills});
    } else {
        wire_error(&err);
    }
    signals_release();
    return !step->lost && ended_wait(step->request.ended, &step->orders) && step->childless &&
           !signals_asked_to_end();
}

bool step_serve(struct wire_frame *first)
{
    static struct step step;
    step = (struct step){.why = ""};
    const bool more = serve(&step, first);
    request_fini(&step.request);
    return more;
}
