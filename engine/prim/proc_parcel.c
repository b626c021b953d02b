#include "prim/proc_parcel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD_TRIES = 1000 }; /* of a millisecond each, for what is on its way to be taken */

int parcel_send(int socket, const struct parcel *parcel)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(ORDER_FILES * sizeof(int))];
    } control = {0};
    struct iovec parts[2] = {
        {.iov_base = (void *)&parcel->order, .iov_len = sizeof parcel->order},
        {.iov_base = (void *)parcel->body, .iov_len = parcel->body ? parcel->order.len : 0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = parcel->body ? 2 : 1};
    const size_t size = parcel->file_count * sizeof(int);
    if (size) {
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), parcel->files, size);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
    }
    for (int tries = 0;; tries++) {
        if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        const bool crowd = errno == EAGAIN || /* many keepers are asked for at once */
                           errno == ETOOMANYREFS; /* of all descriptors that this user has sent */
        if (crowd && tries < CROWD_TRIES)
            poll(&(struct pollfd){.fd = socket, .events = errno == EAGAIN ? POLLOUT : 0}, 1, 1);
        else if (errno != EINTR)
            return errno == ECONNRESET ? EPIPE : errno;
    }
}

static bool write_all(int file, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(file, data, len);
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

int parcel_send_apart(int socket, const struct parcel *parcel)
{
    struct parcel apart = *parcel;
    int file = memfd_create("orch-order", MFD_CLOEXEC);
    if (file < 0)
        return errno;
    apart.body = NULL;
    apart.order.has |= ORDER_HAS_BODY;
    apart.files[apart.file_count++] = file;
    int number = write_all(file, parcel->body, parcel->order.len) ? parcel_send(socket, &apart)
                                                                  : errno;
    close(file);
    return number;
}
