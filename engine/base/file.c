#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

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

bool file_read(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_system(err, errno, "cannot open %s", path);
    bool good = true;
    for (;;) {
        struct stat st;
        size_t want = fstat(fd, &st) == 0 && st.st_size > (off_t)out->len
                          ? (size_t)st.st_size - out->len + 1
                          : 4096;
        if (want > out->max - out->len)
            want = out->max - out->len;
        char probe, *room = want ? buf_room(out, want) : &probe;
        ssize_t n = read(fd, room, want ? want : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            good = err_system(err, errno, "cannot read %s", path);
        else if (n > 0 && want == 0)
            good = err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, out->max);
        else if (n > 0)
            buf_grew(out, (size_t)n);
        if (n <= 0 || !good)
            break;
    }
    close(fd);
    return good;
}

bool file_replace(const struct file_spec *spec, struct err *err)
{
    struct buf beside;
    buf_init(&beside, 1 << 16);
    buf_format(&beside, "%s.XXXXXX", spec->path);
    int fd = beside.data ? mkostemp(beside.data, O_CLOEXEC) : -1;
    if (fd < 0) {
        err_system(err, errno, "cannot write %s", spec->path);
        buf_fini(&beside);
        return false;
    }
    struct stat old;
    mode_t mask = umask(0);
    umask(mask);
    mode_t mode = stat(spec->path, &old) == 0 ? old.st_mode & 07777
                  : spec->mode                ? spec->mode
                                              : 0666 & ~mask;
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
    int fd = open(spec->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
                  spec->mode ? spec->mode : 0666);
    if (fd < 0)
        return err_system(err, errno, "cannot open %s", spec->path);
    bool good = fd_write(fd, spec->data, spec->len) && (!spec->durable || fdatasync(fd) == 0);
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
