#include "prim/repo_spot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum { DIR_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, PART_MAX = NAME_MAX + 1 };

void spot_init(struct spot *spot, const char *shown, int top, bool replace)
{
    *spot = (struct spot){.shown = shown, .top = top, .replace = replace, .fd = -1};
}

static void leave(struct spot *spot)
{
    if (spot->fd >= 0 && spot->fd != spot->top)
        close(spot->fd);
    spot->fd = -1;
    mem_free(spot->dir);
    spot->dir = NULL;
}

void spot_fini(struct spot *spot)
{
    leave(spot);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The directory `name` in fd; made when it is absent and make is set. -1 with errno. */
static int enter(struct spot *spot, int fd, const char *name, bool make)
{
    int next = openat(fd, name, DIR_FLAGS);
    if (next >= 0 || !make)
        return next;
    if ((errno == ENOTDIR || errno == ELOOP) && spot->replace)
        unlinkat(fd, name, 0);
    else if (errno != ENOENT)
        return -1;
    if (mkdirat(fd, name, 0777) != 0 && errno != EEXIST) /* another thread may be first */
        return -1;
    return openat(fd, name, DIR_FLAGS);
}

/* Goes to the directory of path. */
static bool go(struct spot *spot, const char *path, bool make)
{
    const size_t len = (size_t)(name_of(path) - path);
    if (spot->fd >= 0 && len == spot->len && memcmp(spot->dir, path, len) == 0)
        return true;
    leave(spot);
    int fd = spot->top;
    for (const char *p = path; p < path + len;) {
        char name[PART_MAX];
        size_t part = strcspn(p, "/");
        int next = -1;
        if (part < sizeof name) {
            memcpy(name, p, part);
            name[part] = '\0';
            next = enter(spot, fd, name, make);
        } else {
            errno = ENAMETOOLONG;
        }
        int number = errno;
        if (fd != spot->top)
            close(fd);
        errno = number;
        if (next < 0)
            return false;
        fd = next;
        p += part + 1;
    }
    spot->fd = fd;
    spot->dir = mem_textn(path, len);
    spot->len = len;
    return true;
}

static bool fail(struct spot *spot, const char *what, const char *path, struct err *err)
{
    int number = errno;
    if (number == ENOTDIR || number == ELOOP)
        return err_set(err, ERR_CONFLICT, "cannot %s %s%s: a part of its path is no directory",
            what,
                       spot->shown, path);
    return err_system(err, number, "cannot %s %s%s", what, spot->shown, path);
}

/* As git checkout --force: a file goes, and so does a directory with what git does not know in
   it. */
static bool clear(struct spot *spot, const char *path, struct err *err)
{
    if (unlinkat(spot->fd, name_of(path), 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return fail(spot, "replace", path, err);
    char inside[PART_MAX + 64];
    snprintf(inside, sizeof inside, "/proc/self/fd/%d/%s", spot->fd, name_of(path));
    return tree_remove(inside, NULL, err);
}

static bool write_file(struct spot *spot, const struct spot_file *file, struct stat *st)
{
    int fd = openat(spot->fd, name_of(file->path),
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    file->mode & 0100 ? 0777 : 0666);
    if (fd < 0)
        return false;
    bool good = fd_write(fd, file->data, file->len) && fstat(fd, st) == 0;
    int number = errno;
    if (close(fd) != 0 && good)
        return false;
    errno = number;
    return good;
}

static bool write_link(struct spot *spot, const struct spot_file *file, struct stat *st)
{
    if (file->len >= PATH_MAX || memchr(file->data, '\0', file->len)) {
        errno = ENAMETOOLONG;
        return false;
    }
    char *target = mem_textn(file->data, file->len);
    bool good = symlinkat(target, spot->fd, name_of(file->path)) == 0 &&
                fstatat(spot->fd, name_of(file->path), st, AT_SYMLINK_NOFOLLOW) == 0;
    mem_free(target);
    return good;
}

bool spot_write(struct spot *spot, const struct spot_file *file, struct stat *st, struct err *err)
{
    if (!go(spot, file->path, true))
        return fail(spot, "make the directory of", file->path, err);
    const char *name = name_of(file->path);
    memset(st, 0, sizeof *st);
    if (S_ISDIR(file->mode) || (file->mode & S_IFMT) == 0160000) {
        if (mkdirat(spot->fd, name, 0777) == 0 || errno == EEXIST)
            return true;
        return fail(spot, "make", file->path, err);
    }
    if (spot->replace && !clear(spot, file->path, err))
        return false;
    if (S_ISLNK(file->mode) ? write_link(spot, file, st) : write_file(spot, file, st))
        return true;
    return fail(spot, "write", file->path, err);
}

bool spot_look(struct spot *spot, const char *path, struct stat *st)
{
    return go(spot, path, false) &&
           fstatat(spot->fd, name_of(path), st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool spot_date(struct spot *spot, const char *path, const struct timespec *time, struct stat *st,
               struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *time};
    if (go(spot, path, false) &&
        utimensat(spot->fd, name_of(path), times, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(spot->fd, name_of(path), st, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    return fail(spot, "set the time of", path, err);
}

bool spot_remove(struct spot *spot, const char *path, struct err *err)
{
    if (!go(spot, path, false))
        return true; /* it is behind something that is no directory of the tree: not ours */
    if (unlinkat(spot->fd, name_of(path), 0) != 0 && errno != ENOENT) {
        if (errno != EISDIR && errno != EPERM)
            return fail(spot, "delete", path, err);
        if (unlinkat(spot->fd, name_of(path), AT_REMOVEDIR) != 0)
            return true; /* a directory that holds what git does not know */
    }
    char *above = mem_textn(path, (size_t)(name_of(path) - path));
    for (size_t len = strlen(above); len > 0; len = strlen(above)) {
        above[len - 1] = '\0';
        if (!go(spot, above, false) || unlinkat(spot->fd, name_of(above), AT_REMOVEDIR) != 0)
            break;
        above[name_of(above) - above] = '\0';
    }
    leave(spot); /* what it holds open may be deleted */
    mem_free(above);
    return true;
}
