#include "prim/tar_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

static int walk(int root, const char *path, int flags)
{
    char *copy = mem_text(path), *p = copy;
    int at = -1;
    for (bool last = false; !last;) {
        size_t len = strcspn(p, "/");
        last = p[len] == '\0';
        p[len] = '\0';
        int from = at < 0 ? root : at, fd = -1;
        if (strcmp(p, "..") == 0 || (len == 0 && p == copy))
            errno = EXDEV;
        else
            fd = openat(from, len ? p : ".", O_NOFOLLOW | O_CLOEXEC |
                                                 (last ? flags : O_PATH | O_DIRECTORY));
        int number = errno;
        if (at >= 0)
            close(at);
        errno = number;
        at = fd;
        if (fd < 0)
            break;
        p += len + 1;
    }
    int number = errno;
    mem_free(copy);
    errno = number;
    return at;
}

int place_open(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned long long)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOSYS && errno != EPERM))
            return (int)fd;
        /* EPERM: seccomp filters older than the call answer so */
        if (errno == ENOSYS || errno == EPERM)
            return walk(root, path, flags);
        if (tries == 100) /* EAGAIN: something was renamed on the way */
            return -1;
    }
}
