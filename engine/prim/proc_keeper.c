#include "prim/proc_keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/proc_birth.h"
#include "prim/proc_parcel.h"

enum {
    FREE_MAX = 32,       /* keepers that wait for the next program */
    BODY_MAX = 16 << 20, /* more than the kernel takes as arguments and environment */
    END_MS = 1000,       /* that the end of the nursery is waited for */
};

struct keepers {
    struct loop *loop;
    const char *shim;
    pid_t nursery; /* 0: none runs */
    int socket;    /* the nursery's */
    struct watch *watch;
    uint32_t generation; /* how many nurseries there have been */
    uint32_t names;
    struct keeper *free;
    size_t free_count, busy_count;
    struct buf body;
    bool closing;
};

struct keeper {
    struct keepers *keepers;
    struct keeper *next; /* among the free */
    int socket;
    uint32_t name, generation;
    struct watch *watch;
    keeper_told *told; /* NULL while it is free */
    void *arg;
    bool quiet; /* the program is all that it was told of, and it has said nothing yet */
};

/* --- the nursery ------------------------------------------------------------------------------ */

static bool open_pair(int pair[2], struct err *err)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ||
           err_system(err, errno, "cannot make a socket for a program's parent");
}

static void keeper_free(struct keeper *keeper)
{
    watch_free(keeper->watch);
    close(keeper->socket);
    mem_free(keeper);
}

static void free_idle(struct keepers *keepers)
{
    for (struct keeper *next, *keeper = keepers->free; keeper; keeper = next) {
        next = keeper->next;
        keeper_free(keeper);
    }
    keepers->free = NULL;
    keepers->free_count = 0;
}

static void end_nursery(struct keepers *keepers)
{
    if (!keepers->nursery)
        return;
    watch_free(keepers->watch);
    close(keepers->socket);
    kill(keepers->nursery, SIGCONT); /* somebody may have stopped it */
    struct pollfd end = {.fd = pidfd_open(keepers->nursery, 0), .events = POLLIN};
    if (end.fd >= 0 && poll(&end, 1, END_MS) == 1)
        waitpid(keepers->nursery, NULL, 0);
    if (end.fd >= 0)
        close(end.fd);
    keepers->nursery = 0;
}

/* Somebody killed it. Its keepers live, but what one of them would leave has nobody. */
static void on_nursery(void *arg, int events)
{
    (void)events;
    struct keepers *keepers = arg;
    end_nursery(keepers);
    free_idle(keepers);
}

static bool start_nursery(struct keepers *keepers, struct err *err)
{
    static const char *const argv[] = {"orch-shim", "nursery", NULL}, *const env[] = {NULL};
    int pair[2];
    if (!open_pair(pair, err))
        return false;
    struct birth birth = {.path = keepers->shim, .argv = (char *const *)argv,
                          .env = (char *const *)env, .in = pair[1], .out = -1, .err = -1,
                          .file_limit = loop_file_limit(keepers->loop)};
    keepers->nursery = birth_give(&birth);
    const int number = keepers->nursery < 0 ? errno : birth.error;
    close(pair[1]);
    if (number == 0) {
        keepers->socket = pair[0];
        keepers->generation++;
        keepers->watch = watch_new(keepers->loop, pair[0], on_nursery, keepers);
        watch_count(keepers->watch, false);
        watch_set(keepers->watch, WATCH_READ);
        return true;
    }
    close(pair[0]);
    if (keepers->nursery > 0)
        waitpid(keepers->nursery, NULL, 0);
    keepers->nursery = 0;
    return err_system(err, number, "cannot run %s, the parent of programs", keepers->shim);
}

/* One that somebody killed is followed by another: its keepers have outlived it. */
static bool ask_nursery(struct keepers *keepers, const struct parcel *parcel, struct err *err)
{
    int number = EPIPE;
    for (int tries = 0; number == EPIPE && tries < 2; tries++) {
        if (!keepers->nursery && !start_nursery(keepers, err))
            return false;
        number = parcel_send(keepers->socket, parcel);
        if (number == EPIPE)
            on_nursery(keepers, 0);
    }
    return number == 0 || err_system(err, number, "cannot ask for a program's parent");
}

/* --- keepers ---------------------------------------------------------------------------------- */

static void free_if_closed(struct keepers *keepers)
{
    if (!keepers->closing || keepers->busy_count)
        return;
    end_nursery(keepers);
    buf_fini(&keepers->body);
    mem_free(keepers);
}

static void give_back(struct keeper *keeper)
{
    struct keepers *keepers = keeper->keepers;
    keeper->told = NULL;
    keepers->busy_count--;
    watch_count(keeper->watch, false);
    if (keepers->closing || keepers->free_count == FREE_MAX ||
        keeper->generation != keepers->generation || !keepers->nursery) {
        keeper_free(keeper);
        free_if_closed(keepers);
        return;
    }
    keeper->next = keepers->free;
    keepers->free = keeper;
    keepers->free_count++;
}

static void forget(struct keeper *keeper)
{
    struct keepers *keepers = keeper->keepers;
    for (struct keeper **at = &keepers->free; *at; at = &(*at)->next)
        if (*at == keeper) {
            *at = keeper->next;
            keepers->free_count--;
            break;
        }
    if (keeper->told)
        keepers->busy_count--;
    keeper_free(keeper);
    free_if_closed(keepers);
}

/* It died. Where its last order is left unread, the system says so: then the program never ran. */
static void tell_death(struct keeper *keeper, bool unread)
{
    static const struct report unborn = {.kind = REPORT_LOST, .over = 1};
    keeper_told *told = keeper->told;
    void *arg = keeper->arg;
    const bool never_ran = unread && keeper->quiet;
    forget(keeper);
    if (told)
        told(arg, never_ran ? &unborn : NULL);
}

static void on_report(void *arg, int events)
{
    (void)events;
    struct keeper *keeper = arg;
    struct report report;
    ssize_t len = recv(keeper->socket, &report, sizeof report, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len != sizeof report) {
        tell_death(keeper, len < 0 && errno == ECONNRESET);
        return;
    }
    keeper_told *told = keeper->told;
    void *told_arg = keeper->arg;
    keeper->quiet = false;
    if (told && report.over)
        give_back(keeper);
    if (told)
        told(told_arg, &report);
}

static struct keeper *make_keeper(struct keepers *keepers, struct err *err)
{
    int pair[2];
    if (!open_pair(pair, err))
        return NULL;
    const struct parcel parcel = {.order = {.kind = ORDER_KEEPER, .number = ++keepers->names},
                                  .files = {pair[1]}, .file_count = 1};
    bool good = ask_nursery(keepers, &parcel, err);
    close(pair[1]);
    if (!good) {
        close(pair[0]);
        return NULL;
    }
    struct keeper *keeper = mem_alloc(sizeof *keeper);
    *keeper = (struct keeper){.keepers = keepers, .socket = pair[0], .name = keepers->names,
                              .generation = keepers->generation};
    keeper->watch = watch_new(keepers->loop, keeper->socket, on_report, keeper);
    watch_count(keeper->watch, false);
    watch_set(keeper->watch, WATCH_READ);
    return keeper;
}

/* A free one, or a new one; nobody's any more. */
static struct keeper *take_keeper(struct keepers *keepers, struct err *err)
{
    struct keeper *keeper = keepers->free;
    if (!keeper)
        return make_keeper(keepers, err);
    keepers->free = keeper->next;
    keepers->free_count--;
    return keeper;
}

static bool pack(struct buf *body, const struct errand *errand, struct parcel *parcel)
{
    uint32_t argc = 0, envc = 0;
    bool good = buf_add(body, errand->path, strlen(errand->path) + 1);
    for (; errand->argv[argc]; argc++)
        good = good && buf_add(body, errand->argv[argc], strlen(errand->argv[argc]) + 1);
    for (; errand->env[envc]; envc++)
        good = good && buf_add(body, errand->env[envc], strlen(errand->env[envc]) + 1);
    const bool has_err = errand->err != errand->out, has_in = errand->in >= 0;
    *parcel = (struct parcel){
        .order = {.kind = ORDER_RUN, .argc = argc, .envc = envc, .len = (uint32_t)body->len,
                  .number = errand->grace_ms < INT32_MAX ? (uint32_t)errand->grace_ms : INT32_MAX,
                  .has = (has_err ? ORDER_HAS_ERR : 0) | (has_in ? ORDER_HAS_IN : 0)},
        .body = body->data,
        .files = {errand->cwd, errand->out},
        .file_count = 2};
    if (has_err)
        parcel->files[parcel->file_count++] = errand->err;
    if (has_in)
        parcel->files[parcel->file_count++] = errand->in;
    return good;
}

/* Gives the parcel to a keeper; a free one may have been killed meanwhile, and another is taken. */
static struct keeper *hand_over(struct keepers *keepers, const struct parcel *parcel,
                                struct err *err)
{
    for (struct keeper *keeper; (keeper = take_keeper(keepers, err));) {
        int number = EMSGSIZE;
        if (parcel->order.len <= ORDER_BODY_MAX)
            number = parcel_send(keeper->socket, parcel);
        if (number == EMSGSIZE || number == ENOBUFS)
            number = parcel_send_apart(keeper->socket, parcel);
        if (number == 0)
            return keeper;
        keeper_free(keeper);
        if (number == EPIPE)
            continue;
        err_system(err, number, "cannot tell a program's parent what to run");
        break;
    }
    return NULL;
}

struct keeper *keeper_run(struct keepers *keepers, const struct errand *errand,
                          keeper_told *told, void *arg, struct err *err)
{
    struct parcel parcel;
    struct keeper *keeper = NULL;
    if (pack(&keepers->body, errand, &parcel))
        keeper = hand_over(keepers, &parcel, err);
    else
        err_system(err, E2BIG, "cannot start %s", errand->argv[0]);
    explicit_bzero(keepers->body.data, keepers->body.len); /* an environment may hold secrets */
    buf_clear(&keepers->body);
    if (!keeper)
        return NULL;
    keeper->told = told;
    keeper->arg = arg;
    keeper->quiet = true;
    keepers->busy_count++;
    watch_count(keeper->watch, true);
    return keeper;
}

void keeper_order(struct keeper *keeper, enum order_kind kind, int number)
{
    const struct parcel parcel = {.order = {.kind = kind, .number = (uint32_t)number}};
    keeper->quiet = false;
    if (parcel_send(keeper->socket, &parcel) != 0)
        return; /* it has ended, and its end is about to be seen */
}

/* To its own nursery: another one does not know it, nor need it answer while that is stopped. */
static void tell_nursery(const struct keeper *keeper, enum order_kind kind)
{
    const struct keepers *keepers = keeper->keepers;
    const struct parcel parcel = {.order = {.kind = kind, .number = keeper->name}};
    if (!keepers->nursery || keeper->generation != keepers->generation)
        return;
    kill(keepers->nursery, SIGCONT);
    (void)parcel_send(keepers->socket, &parcel);
}

void keeper_end(struct keeper *keeper)
{
    tell_nursery(keeper, ORDER_WAKE);
    keeper_order(keeper, ORDER_END, 0);
}

void keeper_kill(struct keeper *keeper)
{
    tell_nursery(keeper, ORDER_KILL);
    shutdown(keeper->socket, SHUT_RDWR); /* its end is seen, whether or not it comes */
}

struct keepers *keepers_new(struct loop *loop, const char *shim)
{
    struct keepers *keepers = mem_alloc(sizeof *keepers);
    keepers->loop = loop;
    keepers->shim = shim;
    buf_init(&keepers->body, BODY_MAX);
    return keepers;
}

void keepers_free(struct keepers *keepers)
{
    if (!keepers)
        return;
    keepers->closing = true;
    free_idle(keepers);
    free_if_closed(keepers);
}
