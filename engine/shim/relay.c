#include "shim/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "shim/wire.h"

enum { CHUNK = 32 << 10, BACKLOG = 64, ASKERS_MAX = 32, DIR_MODE = 0755 };

static bool address_of(const char *path, struct sockaddr_un *address, struct err *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path)
        return err_set(err, ERR_USAGE, "%s is too long for a socket", path);
    memcpy(address->sun_path, path, strlen(path) + 1);
    return true;
}

static bool make_parent(const char *path, struct err *err)
{
    char *dir = mem_text(path), *slash = strrchr(dir, '/');
    bool good = true;
    if (slash && slash != dir) {
        *slash = '\0';
        good = dir_make(dir, DIR_MODE, err);
    }
    mem_free(dir);
    return good;
}

/* Only its owner may connect. */
static int listen_at(const char *path, uid_t uid, gid_t gid, struct err *err)
{
    struct sockaddr_un address;
    if (!address_of(path, &address, err) || !make_parent(path, err))
        return -1;
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path); /* of an earlier session */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const mode_t umask_before = umask(0177);
    const bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                      lchown(path, uid, gid) == 0 && listen(fd, BACKLOG) == 0;
    umask(umask_before);
    if (good)
        return fd;
    err_system(err, errno, "cannot listen at %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* --- the one that listens --------------------------------------------------------------------- */

static bool hand_over(int asker, int fd)
{
    char byte = 'b';
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {{0}};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                             .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(asker, &message, MSG_NOSIGNAL) == 1;
}

struct desk {
    int socket, questions;
    int askers[ASKERS_MAX];
    int count;
};

static void take_asker(struct desk *desk)
{
    int fd = accept4(desk->questions, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        desk->askers[desk->count++] = fd;
}

/* To whoever has waited longest and is still there. */
static void take_connection(struct desk *desk)
{
    int fd = accept4(desk->socket, NULL, NULL, SOCK_CLOEXEC);
    bool handed = fd < 0;
    while (!handed && desk->count > 0) {
        handed = hand_over(desk->askers[0], fd);
        close(desk->askers[0]);
        memmove(desk->askers, desk->askers + 1, (size_t)--desk->count * sizeof *desk->askers);
    }
    if (fd >= 0)
        close(fd);
}

static void serve(struct desk *desk)
{
    for (;;) {
        struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = desk->count < ASKERS_MAX ? desk->questions : -1,
                                  .events = POLLIN},
                                 {.fd = desk->count > 0 ? desk->socket : -1, .events = POLLIN}};
        if (poll(polls, 3, -1) < 0 && errno != EINTR)
            return;
        if (polls[0].revents)
            return;
        if (polls[1].revents)
            take_asker(desk);
        if (polls[2].revents)
            take_connection(desk);
    }
}

int relay_listen_main(void)
{
    struct wire_frame frame = {0};
    struct err err;
    if (!wire_take(&frame) || frame.type != 'r')
        return 1;
    const char *path = wire_text(&frame);
    const uid_t uid = (uid_t)wire_number(&frame);
    const gid_t gid = (gid_t)wire_number(&frame);
    const char *questions = wire_text(&frame);
    struct desk desk = {.socket = listen_at(path, uid, gid, &err)};
    desk.questions = desk.socket < 0 ? -1 : listen_at(questions, 0, 0, &err);
    if (desk.questions < 0)
        return wire_error(&err) ? 0 : 1;
    if (wire_send('k', "", 0))
        serve(&desk);
    unlink(path);
    unlink(questions);
    return 0;
}

/* --- the ones that pass on -------------------------------------------------------------------- */

static int ask(const char *path, struct err *err)
{
    struct sockaddr_un address;
    if (!address_of(path, &address, err))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    err_system(err, errno, "cannot ask at %s", path);
    return -1;
}

/* The connection, or -1 when orch or the one that listens is gone. */
static int receive(int desk)
{
    struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = desk, .events = POLLIN}};
    while (poll(polls, 2, -1) < 0)
        if (errno != EINTR)
            return -1;
    if (polls[0].revents)
        return -1;
    char byte;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(desk, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

static void pass_in(int fd)
{
    struct wire_frame frame = {0};
    while (wire_take(&frame))
        if (frame.type == 'g')
            shutdown(fd, SHUT_WR);
        else if (frame.type == 'w' && !fd_write(fd, frame.data, frame.len))
            break;
    shutdown(fd, SHUT_RDWR);
    _exit(0);
}

static void pass_out(int fd)
{
    static char chunk[CHUNK];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && !wire_send('o', chunk, (size_t)n))
            return;
    struct pollfd closed = {.fd = fd};
    if (wire_send('d', "", 0))
        while (poll(&closed, 1, -1) < 0 && errno == EINTR)
            continue;
}

int relay_main(void)
{
    struct wire_frame frame = {0};
    struct err err;
    if (!wire_take(&frame) || frame.type != 'r')
        return 1;
    int desk = ask(wire_text(&frame), &err);
    if (desk < 0)
        return wire_error(&err) ? 0 : 1;
    int fd = receive(desk);
    if (fd < 0 || !wire_send('b', "", 0))
        return 0;
    signal(SIGPIPE, SIG_IGN);
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pass_in(fd);
    }
    if (child > 0)
        pass_out(fd);
    return 0;
}
