#include "shim/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/order.h"
#include "shim/keeper.h"
#include "shim/tree.h"

enum { LOOK_MS = 15 };

struct nursery {
    int socket;        /* -1: orch is gone */
    pid_t *keepers;
    uint32_t *names;   /* as orch knows them */
    size_t count, room;
    bool orphans;      /* a keeper was killed, and may have left some */
};

static void forget(struct nursery *nursery, size_t at)
{
    nursery->count--;
    nursery->keepers[at] = nursery->keepers[nursery->count];
    nursery->names[at] = nursery->names[nursery->count];
}

static void remember(struct nursery *nursery, pid_t keeper, uint32_t name)
{
    if (nursery->count == nursery->room) {
        nursery->room = nursery->room * 2 + 16;
        nursery->keepers =
            mem_grow(nursery->keepers, nursery->room * sizeof *nursery->keepers);
        nursery->names = mem_grow(nursery->names, nursery->room * sizeof *nursery->names);
    }
    nursery->keepers[nursery->count] = keeper;
    nursery->names[nursery->count++] = name;
}

/* --- what orch asks for ----------------------------------------------------------------------- */

static void make_keeper(struct nursery *nursery, uint32_t name, int socket)
{
    pid_t keeper = fork();
    if (keeper == 0) {
        close(nursery->socket);
        keeper_serve(socket);
    }
    if (keeper > 0) {
        remember(nursery, keeper, name);
    } else {
        struct report report = {.kind = REPORT_FORK, .value = errno, .over = 1};
        (void)!send(socket, &report, sizeof report, MSG_NOSIGNAL);
    }
    close(socket);
}

static void signal_keeper(const struct nursery *nursery, uint32_t name, int number)
{
    for (size_t i = 0; i < nursery->count; i++)
        if (nursery->names[i] == name)
            kill(nursery->keepers[i], number);
}

/* Its keepers see that, too, unless somebody stopped them. */
static void lose_orch(struct nursery *nursery)
{
    close(nursery->socket);
    nursery->socket = -1;
    for (size_t i = 0; i < nursery->count; i++)
        kill(nursery->keepers[i], SIGCONT);
}

static void obey(struct nursery *nursery)
{
    struct order order;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &order, .iov_len = sizeof order};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t len = recvmsg(nursery->socket, &message, MSG_CMSG_CLOEXEC);
    if (len < 0 && errno == EINTR)
        return;
    if (len != sizeof order) {
        lose_orch(nursery);
        return;
    }
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int socket;
    if (order.kind != ORDER_KEEPER) {
        signal_keeper(nursery, order.number, order.kind == ORDER_KILL ? SIGKILL : SIGCONT);
    } else if (head && head->cmsg_type == SCM_RIGHTS) {
        memcpy(&socket, CMSG_DATA(head), sizeof socket);
        make_keeper(nursery, order.number, socket);
    }
}

/* --- what dies -------------------------------------------------------------------------------- */

static void reap(struct nursery *nursery)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < nursery->count; i++)
            if (nursery->keepers[i] == pid) {
                forget(nursery, i);
                nursery->orphans |= WIFSIGNALED(status);
                break;
            }
}

/* No grace for them: their step is told to be over already. */
static void end_orphans(struct nursery *nursery)
{
    if (nursery->orphans)
        nursery->orphans = tree_signal_except(SIGKILL, nursery->keepers, nursery->count) > 0;
}

static void on_child(int number)
{
    (void)number; /* only interrupts ppoll */
}

static void prepare(struct nursery *nursery)
{
    nursery->socket = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    for (int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = 0; fd < 3; fd++)
        dup2(null, fd);
    /* Held back, not ignored, which programs would inherit. KILL only ends it, and its keepers. */
    struct sigaction wake = {.sa_handler = on_child};
    sigset_t held;
    sigfillset(&held);
    sigaction(SIGCHLD, &wake, NULL);
    sigprocmask(SIG_BLOCK, &held, NULL);
    /* the socket tells of orch's death, and leaves time for the trees */
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int nursery_main(void)
{
    struct nursery nursery = {0};
    sigset_t awake;
    prepare(&nursery);
    sigfillset(&awake);
    sigdelset(&awake, SIGCHLD);
    while (nursery.socket >= 0 || nursery.count > 0 || nursery.orphans) {
        struct pollfd poll = {.fd = nursery.socket, .events = POLLIN};
        struct timespec limit = {.tv_nsec = LOOK_MS * 1000000L};
        if (ppoll(&poll, 1, nursery.orphans ? &limit : NULL, &awake) > 0)
            obey(&nursery);
        reap(&nursery);
        end_orphans(&nursery);
    }
    return 0;
}
