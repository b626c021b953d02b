#include "prim/session_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    DEPTH_MAX = 1000,
    ENTRIES_MAX = 10 * 1000 * 1000,
    NAMES_MAX = 1 << 30, /* bytes of all names */
    TWINS_MAX = 1000 * 1000, /* hard linked files remembered; more are sent as files */
};

#define NONE UINT32_MAX

/* What is remembered of an entry. */
struct node {
    uint32_t parent; /* NONE at the top */
    uint32_t name;   /* in names; behind it a NUL */
    bool file;       /* a regular one that was not asked for yet */
};

/* A directory on the way down. */
struct level {
    int fd;
    char **names;
    size_t count, next, path_len;
    uint32_t node; /* NONE while its entry is not told */
    struct stat st;
    bool *state;
};

struct twin {
    dev_t dev;
    ino_t ino;
    uint32_t node;
    bool used;
};

struct walk {
    struct walk_spec spec;
    struct err *err;
    struct level *levels;
    size_t depth;
    struct buf path, names;
    struct node *nodes;
    size_t node_count, node_room;
    struct twin *twins; /* a hash table */
    size_t twin_count, twin_room;
};

static bool failed(struct walk *walk, int number, const char *what)
{
    return err_system(walk->err, number, "cannot %s %s/%s", what, walk->spec.shown,
                      walk->path.len ? walk->path.data : ".");
}

/* --- hard links ------------------------------------------------------------------------------------------ */

static struct twin *twin_place(struct walk *walk, const struct stat *st)
{
    size_t i = (size_t)(st->st_ino * 0x9E3779B97F4A7C15u ^ st->st_dev);
    for (;; i++) {
        struct twin *twin = &walk->twins[i & (walk->twin_room - 1)];
        if (!twin->used || (twin->ino == st->st_ino && twin->dev == st->st_dev))
            return twin;
    }
}

static void twins_grow(struct walk *walk)
{
    struct twin *old = walk->twins;
    const size_t room = walk->twin_room;
    walk->twin_room = room ? room * 2 : 64;
    walk->twins = mem_alloc(walk->twin_room * sizeof *walk->twins);
    for (size_t i = 0; i < room; i++)
        if (old[i].used) {
            const struct stat st = {.st_dev = old[i].dev, .st_ino = old[i].ino};
            *twin_place(walk, &st) = old[i];
        }
    mem_free(old);
}

/* The earlier entry of the same file, or NONE; then the one that comes next is remembered. */
static uint32_t twin_of(struct walk *walk, const struct stat *st)
{
    if (st->st_nlink < 2 || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode))
        return NONE;
    if (walk->twin_count * 2 >= walk->twin_room)
        twins_grow(walk);
    struct twin *twin = twin_place(walk, st);
    if (twin->used)
        return twin->node;
    if (walk->twin_count < TWINS_MAX) {
        *twin = (struct twin){st->st_dev, st->st_ino, (uint32_t)walk->node_count, true};
        walk->twin_count++;
    }
    return NONE;
}

/* --- entries ---------------------------------------------------------------------------------------------- */

static bool remember(struct walk *walk, uint32_t parent, const char *name, const struct stat *st)
{
    if (walk->node_count >= ENTRIES_MAX)
        return err_set(walk->err, ERR_LIMIT, "%s has more than %d entries", walk->spec.shown,
                       ENTRIES_MAX);
    if (walk->node_count == walk->node_room) {
        walk->node_room = walk->node_room ? walk->node_room * 2 : 256;
        walk->nodes = mem_grow(walk->nodes, walk->node_room * sizeof *walk->nodes);
    }
    walk->nodes[walk->node_count++] =
        (struct node){parent, (uint32_t)walk->names.len, S_ISREG(st->st_mode)};
    return buf_add(&walk->names, name, strlen(name) + 1) ||
           err_set(walk->err, ERR_LIMIT, "the names in %s are longer than %d bytes",
                   walk->spec.shown, NAMES_MAX);
}

char *walk_path(const struct walk *walk, uint32_t number)
{
    size_t at = 0;
    for (uint32_t i = number; i != NONE; i = walk->nodes[i].parent)
        at += strlen(walk->names.data + walk->nodes[i].name) + 1;
    char *path = mem_alloc(at);
    for (uint32_t i = number; i != NONE; i = walk->nodes[i].parent) {
        const char *name = walk->names.data + walk->nodes[i].name;
        const size_t len = strlen(name);
        at -= len + 1;
        memcpy(path + at, name, len);
        path[at + len] = i == number ? '\0' : '/';
    }
    return path;
}

static bool tell(struct walk *walk, const struct stat *st, const char *link, int dir,
                 const char *name)
{
    const struct walk_entry entry = {walk->path.data, st, link, dir, name};
    return walk->spec.entry(walk->spec.arg, &entry, walk->err);
}

/* The directories above that wait for something below them. */
static bool tell_parents(struct walk *walk)
{
    const size_t len = walk->path.len;
    bool good = true;
    for (size_t i = 1; good && i < walk->depth; i++) {
        struct level *level = &walk->levels[i], *above = &walk->levels[i - 1];
        if (level->node != NONE)
            continue;
        const char cut = walk->path.data[level->path_len];
        walk->path.data[level->path_len] = '\0';
        walk->path.len = level->path_len;
        level->node = (uint32_t)walk->node_count;
        good = remember(walk, above->node,
                        walk->path.data + above->path_len + (above->path_len > 0), &level->st) &&
               tell(walk, &level->st, NULL, level->fd, ".");
        walk->path.data[level->path_len] = cut;
        walk->path.len = len;
    }
    return good;
}

static bool keep(struct walk *walk, const char *name, const struct stat *st)
{
    struct level *level = &walk->levels[walk->depth - 1];
    char target[PATH_MAX], *twin_path = NULL;
    const char *link = NULL;
    if (S_ISSOCK(st->st_mode))
        return true; /* nothing that an image could hold */
    if (S_ISLNK(st->st_mode)) {
        const ssize_t len = readlinkat(level->fd, name, target, sizeof target - 1);
        if (len < 0)
            return errno == ENOENT || failed(walk, errno, "read the symbolic link");
        target[len] = '\0';
        link = target;
    }
    if (!tell_parents(walk))
        return false;
    const uint32_t twin = twin_of(walk, st);
    if (twin != NONE)
        link = twin_path = walk_path(walk, twin);
    const bool good =
        remember(walk, level->node, name, st) && tell(walk, st, link, level->fd, name);
    mem_free(twin_path);
    return good;
}

/* --- the walk --------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool read_names(struct walk *walk, struct level *level)
{
    const int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        failed(walk, errno, "read directory");
        if (fd >= 0)
            close(fd);
        return false;
    }
    size_t room = 0;
    for (struct dirent *entry; (errno = 0, entry = readdir(entries));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (level->count == room) {
            room = room ? room * 2 : 16;
            level->names = mem_grow(level->names, room * sizeof *level->names);
        }
        level->names[level->count++] = mem_text(entry->d_name);
        if (level->count > ENTRIES_MAX)
            break;
    }
    const int number = errno;
    closedir(entries);
    if (level->count > ENTRIES_MAX)
        return err_set(walk->err, ERR_LIMIT, "%s has more than %d entries", walk->spec.shown,
                       ENTRIES_MAX);
    if (level->count > 0)
        qsort(level->names, level->count, sizeof *level->names, compare);
    return number == 0 || failed(walk, number, "read directory");
}

static void pop(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];
    close(level->fd);
    for (size_t i = 0; i < level->count; i++)
        mem_free(level->names[i]);
    mem_free(level->names);
    mem_free(level->state);
}

/* Takes fd and state. */
static bool push(struct walk *walk, int fd, uint32_t node, bool *state)
{
    if (walk->depth == DEPTH_MAX) {
        close(fd);
        mem_free(state);
        return err_set(walk->err, ERR_LIMIT, "%s is deeper than %d directories",
                       walk->spec.shown, DEPTH_MAX);
    }
    struct level *level = &walk->levels[walk->depth++];
    *level = (struct level){.fd = fd, .path_len = walk->path.len, .node = node, .state = state};
    if (fstat(fd, &level->st) != 0)
        return failed(walk, errno, "read directory");
    return read_names(walk, level);
}

static bool go_down(struct walk *walk, const char *name, const struct stat *st, bool kept,
                    bool *state)
{
    const int above = walk->levels[walk->depth - 1].fd;
    const int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    const int number = errno;
    if (fd >= 0 && (!kept || keep(walk, name, st)))
        return push(walk, fd, kept ? (uint32_t)walk->node_count - 1 : NONE, state);
    mem_free(state);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    /* gone meanwhile; or excluded, and nothing below it is promised */
    return number == ENOENT || number == ENOTDIR || (number == EACCES && !kept) ||
           failed(walk, number, "open directory");
}

static bool visit(struct walk *walk, const char *name)
{
    struct level *level = &walk->levels[walk->depth - 1];
    struct stat st;
    walk->path.len = level->path_len;
    if (!(level->path_len == 0 || buf_char(&walk->path, '/')) || !buf_text(&walk->path, name))
        return err_set(walk->err, ERR_LIMIT, "a path in %s is longer than %zu bytes",
                       walk->spec.shown, walk->path.max);
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || failed(walk, errno, "look at");
    const size_t size = filter_state_size(walk->spec.filter);
    bool *state = mem_alloc(size ? size : 1);
    const enum filter_verdict verdict = filter_judge(walk->spec.filter, walk->path.data,
                                                     S_ISDIR(st.st_mode), level->state, state);
    if (S_ISDIR(st.st_mode) && verdict != FILTER_SKIP)
        return go_down(walk, name, &st, verdict == FILTER_KEEP, state);
    mem_free(state);
    return verdict != FILTER_KEEP || keep(walk, name, &st);
}

struct walk *walk_new(const struct walk_spec *spec)
{
    struct walk *walk = mem_alloc(sizeof *walk);
    walk->spec = *spec;
    buf_init(&walk->path, 64 << 10);
    buf_init(&walk->names, NAMES_MAX);
    walk->levels = mem_alloc(DEPTH_MAX * sizeof *walk->levels);
    return walk;
}

void walk_free(struct walk *walk)
{
    if (!walk)
        return;
    while (walk->depth > 0)
        pop(walk);
    mem_free(walk->levels);
    mem_free(walk->nodes);
    mem_free(walk->twins);
    buf_fini(&walk->path);
    buf_fini(&walk->names);
    mem_free(walk);
}

bool walk_run(struct walk *walk, struct err *err)
{
    walk->err = err;
    const int fd = openat(walk->spec.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 || failed(walk, errno, "open");
    good = good && push(walk, fd, NONE, NULL);
    while (good && walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        if (*walk->spec.stop)
            good = err_set(err, ERR_CANCELLED, "sending %s was cancelled", walk->spec.shown);
        else if (level->next < level->count)
            good = visit(walk, level->names[level->next++]);
        else
            pop(walk);
    }
    return good;
}

int walk_open(struct walk *walk, uint32_t number, struct err *err)
{
    if (number >= walk->node_count || !walk->nodes[number].file) {
        err_set(err, ERR_REMOTE, "the daemon asked for a file that it was not told of, or twice");
        return -1;
    }
    walk->nodes[number].file = false;
    char *path = walk_path(walk, number);
    const struct open_how how = {
        .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd = syscall(SYS_openat2, walk->spec.root, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* an old kernel, an old seccomp filter */
        fd = openat(walk->spec.root, path, (int)how.flags);
    struct stat st;
    if (fd < 0) {
        err_system(err, errno, "cannot open %s/%s", walk->spec.shown, path);
    } else if (fstat((int)fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        err_set(err, ERR_CONFLICT, "%s/%s changed while it was being sent", walk->spec.shown, path);
        close((int)fd);
        fd = -1;
    }
    mem_free(path);
    return (int)fd;
}
