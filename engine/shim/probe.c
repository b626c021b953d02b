#include "shim/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

enum { REPLY_MAX = 4096 };

static bool wait_for(int fd, short events, int ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return poll(&poll_fd, 1, ms) > 0;
}

static socklen_t read_address(const char *text, long port, struct sockaddr_storage *to)
{
    struct sockaddr_in *four = (struct sockaddr_in *)to;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        return sizeof *six;
    }
    return 0;
}

static int connected(const struct sockaddr_storage *to, socklen_t len, int ms)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int number = 0;
    socklen_t size = sizeof number;
    if (connect(fd, (const struct sockaddr *)to, len) != 0)
        number = errno;
    if (number == EINPROGRESS && !wait_for(fd, POLLOUT, ms))
        number = ETIMEDOUT;
    else if (number == EINPROGRESS)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
    if (number == 0)
        return fd;
    close(fd);
    errno = number;
    return -1;
}

bool probe_port(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    const char *text = wire_text(frame);
    const long port = wire_number(frame);
    const int ms = (int)wire_number(frame);
    const char *words = wire_text(frame);
    struct sockaddr_storage to;
    const socklen_t len = read_address(text, port, &to);
    if (!len)
        return err_set(err, ERR_USAGE, "%s is no address", text);
    int fd = connected(&to, len, ms);
    if (fd < 0)
        return err_system(err, errno, "cannot reach %s port %ld", text, port);
    char bytes[REPLY_MAX];
    if (*words && fd_write(fd, words, strlen(words)) && wait_for(fd, POLLIN, ms)) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n > 0)
            buf_add(reply, bytes, (size_t)n);
    }
    close(fd);
    return true;
}
