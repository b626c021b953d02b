#include "shim/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/order.h"
#include "shim/tree.h"

enum {
    STRAY_GRACE_MS = 500, /* for what is left when the program itself has exited, or orch */
    KILL_LIMIT_MS = 10000,
    EXEC_FAILED = 127,
};

struct keeper {
    int socket;
    pid_t self, program;
    bool exited, childless;
    bool over;            /* and told so */
    bool lost;            /* nobody is at the other end */
    struct order order;   /* that runs */
    int files[ORDER_FILES];
    size_t file_count;
    char **texts;         /* arguments and environment, each with its NULL */
    size_t text_room;
    volatile int error;   /* shared with the child until it is another program */
    volatile bool in_cwd;
    char body[ORDER_BODY_MAX];
};

/* --- what goes in and out --------------------------------------------------------------------- */

static void tell(struct keeper *keeper, const struct report *report)
{
    keeper->over |= report->over;
    if (send(keeper->socket, report, sizeof *report, MSG_NOSIGNAL) < 0)
        return; /* nobody reads it any more */
}

static void close_files(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->file_count; i++)
        close(keeper->files[i]);
    keeper->file_count = 0;
}

static void take_files(struct keeper *keeper, struct msghdr *message)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (!head || head->cmsg_type != SCM_RIGHTS)
        return;
    keeper->file_count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(keeper->files, CMSG_DATA(head), keeper->file_count * sizeof(int));
}

/* Waits; false when nobody is at the other end. */
static bool take_order(struct keeper *keeper, struct order *order)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(ORDER_FILES * sizeof(int))];
    } control;
    struct iovec parts[2] = {{.iov_base = order, .iov_len = sizeof *order},
                             {.iov_base = keeper->body, .iov_len = sizeof keeper->body}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t len;
    do
        len = recvmsg(keeper->socket, &message, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    keeper->lost = len < (ssize_t)sizeof *order;
    if (!keeper->lost && order->kind == ORDER_RUN)
        take_files(keeper, &message);
    return !keeper->lost;
}

/* --- the tree --------------------------------------------------------------------------------- */

static void tell_end(struct keeper *keeper, int status, const struct rusage *usage)
{
    const bool killed = WIFSIGNALED(status);
    tell(keeper, &(struct report){
                     .kind = killed ? REPORT_SIGNAL : REPORT_EXIT,
                     .value = killed ? WTERMSIG(status) : WEXITSTATUS(status),
                     .user_us = usage->ru_utime.tv_sec * 1000000LL + usage->ru_utime.tv_usec,
                     .system_us = usage->ru_stime.tv_sec * 1000000LL + usage->ru_stime.tv_usec,
                     .max_rss_kib = usage->ru_maxrss,
                     .over = keeper->childless});
}

static void reap(struct keeper *keeper)
{
    struct rusage usage, each;
    int status = 0, number;
    bool ended = false;
    for (pid_t pid; (pid = wait4(-1, &number, WNOHANG, &each)) != 0;) {
        keeper->childless = pid < 0 && errno == ECHILD;
        if (pid < 0)
            break;
        if (pid != keeper->program)
            continue;
        keeper->exited = ended = true;
        status = number;
        usage = each;
    }
    if (ended)
        tell_end(keeper, status, &usage);
}

/* Until an order comes (where one is waited for), a child ends, or the time is over. */
static bool sleep_until(int socket, int ms)
{
    sigset_t others;
    sigfillset(&others);
    sigdelset(&others, SIGCHLD);
    struct pollfd poll = {.fd = socket, .events = POLLIN};
    struct timespec limit = {.tv_nsec = ms * 1000000L};
    return ppoll(&poll, 1, ms < 0 ? NULL : &limit, &others) > 0;
}

/* Takes an order; true when it is the end of the tree, which it also is when nobody is at the other
   end. */
static bool obey(struct keeper *keeper)
{
    struct order order;
    if (!take_order(keeper, &order) || order.kind == ORDER_END)
        return true;
    if (order.kind == ORDER_SIGNAL && !keeper->exited)
        kill(-keeper->program, (int)order.number);
    else if (order.kind == ORDER_TELL)
        tell(keeper, &(struct report){.kind = REPORT_BORN, .value = keeper->program});
    return false;
}

/* A grace is over when orch dies in it. */
static void end_tree(struct keeper *keeper, long grace_ms)
{
    const bool lost = keeper->lost;
    tree_signal(SIGTERM);
    for (long deadline = now_ms() + grace_ms;
         !keeper->childless && keeper->lost == lost && now_ms() < deadline;) {
        reap(keeper);
        if (!keeper->childless && sleep_until(lost ? -1 : keeper->socket, 20))
            obey(keeper);
    }
    for (long deadline = now_ms() + KILL_LIMIT_MS; !keeper->childless && now_ms() < deadline;) {
        tree_signal(SIGKILL);
        reap(keeper);
        if (!keeper->childless)
            sleep_until(-1, 10);
    }
}

/* --- the program: between vfork and exec nothing but system calls ----------------------------- */

static _Noreturn void become(struct keeper *keeper, char *path)
{
    const int *files = keeper->files;
    const uint32_t has = keeper->order.has;
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper->self)
        _exit(EXEC_FAILED);
    dup2(files[1], STDOUT_FILENO);
    dup2(has & ORDER_HAS_ERR ? files[2] : files[1], STDERR_FILENO);
    if (has & ORDER_HAS_IN)
        dup2(files[has & ORDER_HAS_ERR ? 3 : 2], STDIN_FILENO);
    if (fchdir(files[0]) != 0) {
        keeper->in_cwd = true;
        keeper->error = errno;
        _exit(EXEC_FAILED);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(path, keeper->texts, keeper->texts + keeper->order.argc + 1);
    keeper->error = errno;
    _exit(EXEC_FAILED);
}

static char *point(struct keeper *keeper, char *body)
{
    const struct order *order = &keeper->order;
    const size_t count = (size_t)order->argc + order->envc + 2;
    if (count > keeper->text_room) {
        keeper->text_room = count;
        keeper->texts = mem_grow(keeper->texts, count * sizeof *keeper->texts);
    }
    char *path = body, *text = body + strlen(body) + 1;
    for (size_t i = 0; i < count; i++) {
        const bool end = i == order->argc || i == count - 1;
        keeper->texts[i] = end ? NULL : text;
        text += end ? 0 : strlen(text) + 1;
    }
    return path;
}

static void report_unborn(struct keeper *keeper, uint32_t kind, int number)
{
    tell(keeper, &(struct report){.kind = kind, .value = number, .over = 1});
}

/* 0, or why there is no process. */
static int give_birth(struct keeper *keeper, char *path)
{
    keeper->error = 0;
    keeper->in_cwd = keeper->exited = keeper->childless = keeper->over = false;
    keeper->program = vfork();
    if (keeper->program == 0)
        become(keeper, path);
    return keeper->program < 0 ? errno : 0;
}

/* Where the texts of the order are. NULL and errno when they cannot be had. */
static char *open_body(struct keeper *keeper)
{
    if (!(keeper->order.has & ORDER_HAS_BODY))
        return keeper->body;
    void *body = mmap(NULL, keeper->order.len, PROT_READ, MAP_PRIVATE,
                      keeper->files[keeper->file_count - 1], 0);
    return body == MAP_FAILED ? NULL : body;
}

static void close_body(struct keeper *keeper, char *body)
{
    if (body == keeper->body)
        explicit_bzero(body, keeper->order.len); /* no secret of the environment stays here */
    else if (body)
        munmap(body, keeper->order.len);
}

static bool start(struct keeper *keeper)
{
    char *body = open_body(keeper);
    const int fork_error = body ? give_birth(keeper, point(keeper, body)) : errno;
    close_files(keeper); /* the ends of its pipes are the program's alone */
    close_body(keeper, body);
    if (fork_error)
        report_unborn(keeper, REPORT_FORK, fork_error);
    if (fork_error || keeper->error == 0)
        return !fork_error;
    waitpid(keeper->program, NULL, 0);
    report_unborn(keeper, keeper->in_cwd ? REPORT_CWD : REPORT_EXEC, keeper->error);
    return false;
}

/* Nobody waits for the tree of an orch that is gone. */
static long grace_of(const struct keeper *keeper)
{
    const long grace_ms = keeper->order.number;
    return keeper->lost && grace_ms > STRAY_GRACE_MS ? STRAY_GRACE_MS : grace_ms;
}

static void attend(struct keeper *keeper)
{
    while (!keeper->exited && !keeper->childless) {
        if (sleep_until(keeper->socket, -1) && obey(keeper))
            end_tree(keeper, grace_of(keeper));
        reap(keeper);
    }
}

_Noreturn void keeper_serve(int socket)
{
    struct keeper *keeper = mem_alloc(sizeof *keeper);
    keeper->socket = socket;
    keeper->self = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (take_order(keeper, &keeper->order)) {
        if (keeper->order.kind != ORDER_RUN || !start(keeper))
            continue; /* an order for the program before came too late */
        attend(keeper);
        if (!keeper->childless)
            end_tree(keeper, STRAY_GRACE_MS);
        if (!keeper->over)
            tell(keeper, &(struct report){.kind = REPORT_OVER, .over = 1});
        if (!keeper->childless || keeper->lost)
            break; /* with a child that not even KILL ends it is no good for another program */
    }
    _exit(0);
}
