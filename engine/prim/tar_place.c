#include "prim/tar_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* One step that follows no link; a link is ELOOP. */
static int step(int from, const char *name, int flags)
{
    struct stat st;
    if (strcmp(name, "..") == 0) {
        errno = EXDEV;
        return -1;
    }
    int fd = openat(from, name, flags | O_NOFOLLOW | O_CLOEXEC);
    int number = errno;
    if (fd >= 0 && (flags & O_PATH) && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        close(fd);
        errno = ELOOP;
        return -1;
    }
    if (fd < 0 && number == ENOTDIR && fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode))
        number = ELOOP;
    errno = number;
    return fd;
}

static int walk(int root, const char *path, int flags)
{
    if (*path == '/' || *path == '\0') {
        errno = EXDEV;
        return -1;
    }
    char *copy = mem_text(path), *name = copy;
    int at = -1;
    for (bool last = false; !last;) {
        size_t len = strcspn(name, "/");
        last = name[len] == '\0';
        name[len] = '\0';
        int fd = step(at < 0 ? root : at, len ? name : ".", last ? flags : O_PATH | O_DIRECTORY);
        int number = errno;
        if (at >= 0)
            close(at);
        errno = number;
        at = fd;
        if (fd < 0)
            break;
        name += len + 1;
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
