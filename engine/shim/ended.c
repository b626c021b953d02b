#include "shim/ended.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "shim/wire.h"

enum { TEXT_MAX = 512, CLOSE_MS = 60000 };

static long long microseconds(const struct timeval *time)
{
    return time->tv_sec * 1000000LL + time->tv_usec;
}

void ended_tell(const struct ended *ended)
{
    const bool killed = WIFSIGNALED(ended->status);
    struct err err;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_format(&text, "%s%c%d%c%lld%c%lld%c%ld%c%s%c%ld%c", killed ? "signal" : "exit", 0,
               killed ? WTERMSIG(ended->status) : WEXITSTATUS(ended->status), 0,
               microseconds(&ended->usage.ru_utime), 0, microseconds(&ended->usage.ru_stime), 0,
               ended->usage.ru_maxrss, 0, ended->why, 0, ended->oom_kills, 0);
    if (ended->path[0])
        file_replace(&(struct file_spec){.path = ended->path, .data = text.data, .len = text.len,
                                         .mode = 0600}, &err);
    if (!ended->lost)
        wire_send('d', text.data, text.len);
    buf_fini(&text);
}

bool ended_wait(const char *path, struct orders *orders)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (int ready; (ready = poll(&input, 1, CLOSE_MS)) != 0;) {
        if (ready < 0 && errno != EINTR)
            return false;
        char argument;
        const int order = ready > 0 ? orders_take(orders, &argument) : 0;
        if (order == ORDERS_END)
            return false;
        if (order != 'k')
            continue;
        if (path[0])
            unlink(path);
        return true;
    }
    return false;
}
