#include "prim/tar_ground.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/tar_in.h"
#include "prim/tar_place.h"

enum { LATE_MAX_BYTES = 512 << 20 };

struct late_dir {
    char *path;
    size_t turn;
    unsigned mode;
    long long mtime;
};

struct tar_ground {
    char *dir;
    int root;
    const atomic_bool *stop;
    unsigned long long ways, ways_max;
    char *parent; /* the directory that was used last, and its descriptor; NULL = none */
    int parent_fd;
    struct late_dir *late;
    size_t late_count, late_room, late_bytes;
};

struct tar_ground *tar_ground_open(const char *dir, unsigned long long ways_max,
                                   const atomic_bool *stop, struct err *err)
{
    int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        err_system(err, errno, "cannot unpack into %s", dir);
        return NULL;
    }
    struct tar_ground *ground = mem_alloc(sizeof *ground);
    *ground = (struct tar_ground){.dir = mem_text(dir), .root = root, .stop = stop,
                                  .ways_max = ways_max, .parent_fd = -1};
    return ground;
}

static void forget_parent(struct tar_ground *ground)
{
    if (ground->parent_fd >= 0)
        close(ground->parent_fd);
    mem_free(ground->parent);
    ground->parent = NULL;
    ground->parent_fd = -1;
}

void tar_ground_close(struct tar_ground *ground)
{
    if (!ground)
        return;
    forget_parent(ground);
    close(ground->root);
    for (size_t i = 0; i < ground->late_count; i++)
        mem_free(ground->late[i].path);
    mem_free(ground->late);
    mem_free(ground->dir);
    mem_free(ground);
}

/* --- errors ----------------------------------------------------------------------------------- */

static bool leads_out(const struct tar_ground *ground, const char *path, struct err *err)
{
    char shown[TAR_SHOWN_SIZE];
    return err_set(err, ERR_FAILED, "entry '%s' leads out of %s and was refused",
                   tar_shown(path, shown), ground->dir);
}

static bool failed(const struct tar_ground *ground, const char *path, int number,
                   struct err *err)
{
    char shown[TAR_SHOWN_SIZE];
    if (number == EXDEV || number == ELOOP)
        return leads_out(ground, path, err);
    return err_system(err, number, "cannot unpack '%s' into %s", tar_shown(path, shown),
                      ground->dir);
}

char *tar_ground_name(const struct tar_ground *ground, const char *path, struct err *err)
{
    if (path[0] && !path_is_inner(path)) {
        leads_out(ground, path, err);
        return NULL;
    }
    return path_clean(path);
}

/* --- ways ------------------------------------------------------------------------------------- */

/* Removes whatever has the name in the directory fd, which may be closed by that. */
static bool make_room(struct tar_ground *ground, int fd, const char *name, const char *path,
                      struct err *err)
{
    struct stat st;
    bool good;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || failed(ground, path, errno, err);
    if (S_ISDIR(st.st_mode)) {
        struct buf full;
        buf_init(&full, 1 << 16);
        buf_format(&full, "/proc/self/fd/%d/%s", fd, name);
        good = tree_remove(full.data, ground->stop, err);
        buf_fini(&full);
    } else {
        good = unlinkat(fd, name, 0) == 0 || failed(ground, path, errno, err);
    }
    forget_parent(ground); /* the way may have led through it */
    return good;
}

/* The directory component `name` of path below fd, made if it is missing. -1 on an error. */
static int make_step(struct tar_ground *ground, int fd, const char *name, const char *prefix,
                     struct err *err)
{
    struct stat st;
    int next = place_open(ground->root, prefix, O_PATH | O_DIRECTORY);
    if (next >= 0)
        return next;
    int number = errno;
    bool there = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if ((number != ENOENT && number != ENOTDIR) || (there && S_ISLNK(st.st_mode))) {
        failed(ground, prefix, there && S_ISLNK(st.st_mode) ? ELOOP : number, err);
        return -1;
    }
    if (ground->ways++ == ground->ways_max)
        err_set(err, ERR_LIMIT, "the names of the entries have more than %llu directories in them",
                ground->ways_max);
    else if (there && unlinkat(fd, name, 0) != 0)
        failed(ground, prefix, errno, err);
    else if (mkdirat(fd, name, 0777) != 0)
        failed(ground, prefix, errno, err);
    else if ((next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        failed(ground, prefix, errno, err);
    return next;
}

static int make_way(struct tar_ground *ground, const char *parent, struct err *err)
{
    int fd = place_open(ground->root, parent, O_PATH | O_DIRECTORY);
    if (fd >= 0)
        return fd;
    char *copy = mem_text(parent), *name = copy;
    fd = dup(ground->root);
    for (bool last = false; fd >= 0 && !last;) {
        size_t len = strcspn(name, "/");
        last = name[len] == '\0';
        name[len] = '\0';
        int next = make_step(ground, fd, name, copy, err);
        close(fd);
        fd = next;
        name[len] = last ? '\0' : '/';
        name += len + 1;
    }
    mem_free(copy);
    return fd;
}

/* The descriptor of the directory that path's last component is in, borrowed; -1 on an error. path
   is clean. */
static int enter(struct tar_ground *ground, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ground->root;
    size_t len = (size_t)(slash - path);
    if (ground->parent && strlen(ground->parent) == len && memcmp(ground->parent, path, len) == 0)
        return ground->parent_fd;
    char *parent = mem_textn(path, len);
    forget_parent(ground);
    int fd = make_way(ground, parent, err);
    if (fd < 0) {
        mem_free(parent);
        return -1;
    }
    ground->parent = parent;
    ground->parent_fd = fd;
    return fd;
}

/* As enter, with nothing of path's name left in it. */
static int enter_free(struct tar_ground *ground, const char *path, struct err *err)
{
    int fd = enter(ground, path, err);
    if (fd < 0 || !make_room(ground, fd, path_base(path), path, err))
        return -1;
    return enter(ground, path, err);
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool remember(struct tar_ground *ground, const char *path, unsigned mode, long long mtime,
                     struct err *err)
{
    ground->late_bytes += sizeof *ground->late + strlen(path);
    if (ground->late_bytes > LATE_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "the directories' names are too long together");
    if (ground->late_count == ground->late_room) {
        ground->late_room = ground->late_room ? ground->late_room * 2 : 64;
        ground->late = mem_grow(ground->late, ground->late_room * sizeof *ground->late);
    }
    ground->late[ground->late_count] =
        (struct late_dir){mem_text(path), ground->late_count, mode, mtime};
    ground->late_count++;
    return true;
}

bool tar_ground_dir(struct tar_ground *ground, const char *path, unsigned mode, long long mtime,
                    struct err *err)
{
    struct stat st;
    if (strcmp(path, ".") == 0)
        return true; /* the directory itself is its owner's business */
    const char *name = path_base(path);
    int fd = enter(ground, path, err);
    if (fd < 0 || !remember(ground, path, mode & 01777, mtime, err))
        return false;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        bool open = (st.st_mode & 0700) == 0700; /* else it is opened, so that it can be filled */
        return open || fchmodat(fd, name, (st.st_mode | 0700) & 01777, 0) == 0 ||
               failed(ground, path, errno, err);
    }
    fd = enter_free(ground, path, err);
    if (fd < 0)
        return false;
    return mkdirat(fd, name, 0700) == 0 || failed(ground, path, errno, err);
}

int tar_ground_file(struct tar_ground *ground, const char *path, struct err *err)
{
    int fd = enter_free(ground, path, err);
    if (fd < 0)
        return -1;
    int file = openat(fd, path_base(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      0600);
    if (file < 0)
        failed(ground, path, errno, err);
    return file;
}

bool tar_ground_symlink(struct tar_ground *ground, const char *path, const char *target,
                        long long mtime, struct err *err)
{
    int fd = enter_free(ground, path, err);
    if (fd < 0)
        return false;
    if (symlinkat(target, fd, path_base(path)) != 0)
        return failed(ground, path, errno, err);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime}};
    utimensat(fd, path_base(path), times, AT_SYMLINK_NOFOLLOW);
    return true;
}

/* The directory of a hard link's target, which is a file, or a symbolic link that stays inside. */
static int enter_target(struct tar_ground *ground, const char *target, struct stat *st,
                        struct err *err)
{
    char *parent = path_dir(target), shown[TAR_SHOWN_SIZE];
    int fd = place_open(ground->root, parent, O_PATH | O_DIRECTORY);
    mem_free(parent);
    if (fd < 0 || fstatat(fd, path_base(target), st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            err_set(err, ERR_MISSING, "a hard link's target '%s' is not there",
                    tar_shown(target, shown));
        else
            failed(ground, target, errno, err);
    } else if (S_ISLNK(st->st_mode)) {
        int way = place_open(ground->root, target, O_PATH);
        if (way >= 0) {
            close(way);
            return fd;
        }
        leads_out(ground, target, err);
    } else if (S_ISREG(st->st_mode)) {
        return fd;
    } else {
        err_set(err, ERR_FAILED, "a hard link to '%s' was refused: it is no file",
                tar_shown(target, shown));
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool tar_ground_link(struct tar_ground *ground, const char *path, const char *target,
                     struct err *err)
{
    struct stat from, to;
    int source = enter_target(ground, target, &from, err);
    if (source < 0)
        return false;
    int fd = enter(ground, path, err);
    bool good = fd >= 0;
    bool same = good && fstatat(fd, path_base(path), &to, AT_SYMLINK_NOFOLLOW) == 0 &&
                to.st_dev == from.st_dev && to.st_ino == from.st_ino;
    if (good && !same) {
        fd = enter_free(ground, path, err);
        good = fd >= 0 && (linkat(source, path_base(target), fd, path_base(path), 0) == 0 ||
                           failed(ground, path, errno, err));
    }
    close(source);
    return good;
}

static int compare(const void *a, const void *b)
{
    const struct late_dir *one = a, *other = b;
    int order = strcmp(one->path, other->path);
    return order ? order : one->turn < other->turn ? -1 : 1;
}

bool tar_ground_finish(struct tar_ground *ground, struct err *err)
{
    if (ground->late_count > 0)
        qsort(ground->late, ground->late_count, sizeof *ground->late, compare);
    bool good = true;
    for (size_t i = ground->late_count; good && i-- > 0;) { /* what is below comes first */
        const struct late_dir *late = &ground->late[i];
        if (i + 1 < ground->late_count && strcmp(late->path, late[1].path) == 0)
            continue; /* a later entry has the say */
        int fd = place_open(ground->root, late->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd < 0)
            continue; /* replaced by something else since */
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = late->mtime}};
        futimens(fd, times);
        if (fchmod(fd, late->mode) != 0 && errno != EPERM)
            good = failed(ground, late->path, errno, err);
        close(fd);
    }
    return good;
}
