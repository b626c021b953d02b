#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

enum { PIPE_WAIT_MS = 10000 };

bool fd_write(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

const char *file_kind(mode_t mode)
{
    return S_ISREG(mode)    ? NULL
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

static bool no_file(const char *path, mode_t mode, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "%s is %s, not a file", path, file_kind(mode));
}

bool file_replaceable(const char *path, struct err *err)
{
    struct stat st;
    return stat(path, &st) != 0 || S_ISREG(st.st_mode) || no_file(path, st.st_mode, err);
}

/* One of the descriptors that this process was given, as a shell names them for <(command). */
static bool is_descriptor(const char *path)
{
    static const char *const dirs[] = {"/dev/fd/", "/proc/self/fd/"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        const size_t len = strlen(dirs[i]);
        if (strncmp(path, dirs[i], len) == 0)
            return path[len] && !path[len + strspn(path + len, "0123456789")];
    }
    return strcmp(path, "/dev/stdin") == 0;
}

int file_open(const char *path, struct err *err)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENXIO && stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        no_file(path, st.st_mode, err);
    } else if (fd < 0 || fstat(fd, &st) != 0) {
        err_system(err, errno, "cannot open %s", path);
    } else if (S_ISDIR(st.st_mode) || (S_ISFIFO(st.st_mode) && !is_descriptor(path))) {
        no_file(path, st.st_mode, err);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A pipe that this process was given is waited for, but not without end. */
static bool await_bytes(int fd, const char *path, struct err *err)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    if (!is_descriptor(path))
        return err_system(err, EAGAIN, "cannot read %s", path);
    if (poll(&wanted, 1, PIPE_WAIT_MS) != 0)
        return true;
    return err_set(err, ERR_TIMEOUT, "nothing came from %s for %d s", path, PIPE_WAIT_MS / 1000);
}

bool file_read(const char *path, struct buf *out, struct err *err)
{
    const int fd = file_open(path, err);
    bool good = fd >= 0;
    for (bool more = good; more;) {
        struct stat st;
        size_t want = fstat(fd, &st) == 0 && st.st_size > (off_t)out->len
                          ? (size_t)st.st_size - out->len + 1
                          : 4096;
        if (want > out->max - out->len)
            want = out->max - out->len;
        char probe, *room = want ? buf_room(out, want) : &probe;
        const ssize_t n = read(fd, room, want ? want : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            good = errno == EAGAIN ? await_bytes(fd, path, err)
                                   : err_system(err, errno, "cannot read %s", path);
        else if (n > 0 && want == 0)
            good = err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, out->max);
        else if (n > 0)
            buf_grew(out, (size_t)n);
        more = good && n != 0;
    }
    if (fd >= 0)
        close(fd);
    return good;
}

bool file_replace(const struct file_spec *spec, struct err *err)
{
    struct buf beside;
    struct stat old;
    const bool there = stat(spec->path, &old) == 0;
    if (there && S_ISCHR(old.st_mode)) /* /dev/null stays what it is */
        return file_append(spec, err);
    if (there && !S_ISREG(old.st_mode))
        return no_file(spec->path, old.st_mode, err);
    buf_init(&beside, 1 << 16);
    buf_format(&beside, "%s.XXXXXX", spec->path);
    int fd = beside.data ? mkostemp(beside.data, O_CLOEXEC) : -1;
    if (fd < 0) {
        err_system(err, errno, "cannot write %s", spec->path);
        buf_fini(&beside);
        return false;
    }
    mode_t mask = umask(0);
    umask(mask);
    mode_t mode = there ? old.st_mode & 07777 : spec->mode ? spec->mode : 0666 & ~mask;
    bool good = fchmod(fd, mode) == 0 && fd_write(fd, spec->data, spec->len) &&
                (!spec->durable || fdatasync(fd) == 0);
    int number = errno;
    if (close(fd) != 0 && good) {
        number = errno;
        good = false;
    }
    if (good && rename(beside.data, spec->path) != 0) {
        number = errno;
        good = false;
    }
    if (!good) {
        unlink(beside.data);
        err_system(err, number, "cannot write %s", spec->path);
    }
    buf_fini(&beside);
    return good;
}

bool file_append(const struct file_spec *spec, struct err *err)
{
    struct stat st;
    if (stat(spec->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        return no_file(spec->path, st.st_mode, err);
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const int fd = open(spec->path, flags, spec->mode ? spec->mode : 0666);
    if (fd < 0)
        return err_system(err, errno, "cannot open %s", spec->path);
    const bool good = fd_write(fd, spec->data, spec->len) &&
                      (!spec->durable || fdatasync(fd) == 0 || errno == EINVAL);
    if (!good)
        err_system(err, errno, "cannot write %s", spec->path);
    close(fd);
    return good;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* path is clean; parents are looked at only when they are missing. */
static bool make_with_parents(char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0)
        return true;
    if (errno == EEXIST)
        return is_directory(path) ||
               err_set(err, ERR_CONFLICT, "%s is there and is no directory", path);
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path)
        return err_system(err, errno, "cannot make directory %s", path);
    *slash = '\0';
    bool good = make_with_parents(path, 0777, err);
    *slash = '/';
    if (!good || mkdir(path, mode) == 0 || (errno == EEXIST && is_directory(path)))
        return good;
    return err_system(err, errno, "cannot make directory %s", path);
}

bool dir_make(const char *path, mode_t mode, struct err *err)
{
    char *copy = path_clean(path);
    bool good = make_with_parents(copy, mode, err);
    mem_free(copy);
    return good;
}

static bool remove_at(int dir, const char *name, const char *shown, const atomic_bool *stop,
                      struct err *err);

static bool empty_at(int dir, const char *name, const char *shown, const atomic_bool *stop,
                     struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        err_system(err, errno, "cannot open %s", shown);
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            good = remove_at(fd, entry->d_name, shown, stop, err);
    closedir(entries);
    return good;
}

static bool remove_at(int dir, const char *name, const char *shown, const atomic_bool *stop,
                      struct err *err)
{
    if (stop && *stop)
        return err_set(err, ERR_CANCELLED, "deleting %s was cancelled", shown);
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno == EACCES && dir != AT_FDCWD && fchmod(dir, 0700) == 0 &&
        unlinkat(dir, name, 0) == 0)
        return true;
    if (errno != EISDIR && errno != EPERM && errno != ENOTEMPTY)
        return err_system(err, errno, "cannot delete %s in %s", name, shown);
    if (!empty_at(dir, name, shown, stop, err))
        return false;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    return err_system(err, errno, "cannot delete %s in %s", name, shown);
}

bool tree_remove(const char *path, const atomic_bool *stop, struct err *err)
{
    return remove_at(AT_FDCWD, path, path, stop, err);
}
