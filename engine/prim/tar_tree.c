#include "prim/tar_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "prim/tar_place.h"

enum {
    CHUNK = 128 << 10,
    DEPTH_MAX = 1000,
    PATH_LIMIT = 64 << 10,
    ENTRIES_MAX = 10 * 1000 * 1000,
    TWINS_MAX = 1000 * 1000, /* hard linked files remembered; more are written as files */
    CAPABILITY_MAX = 64,     /* the kernel's vfs_ns_cap_data has 24 bytes */
};

/* A directory on the way down. */
struct level {
    int fd;
    char **names;
    size_t count, next;
    size_t path_len; /* of the directory's path, without a slash */
    bool written;    /* its entry is in the archive */
    struct stat st;
    void *state;
};

/* First path of a file with several names. */
struct twin {
    dev_t dev;
    ino_t ino;
    char *path; /* NULL = free place */
};

struct tree {
    const struct tree_spec *spec;
    struct tree_count *count;
    struct err *err;
    struct level *levels;
    size_t depth;
    struct buf path;
    struct twin *twins; /* a hash table */
    size_t twin_count, twin_room;
    char *chunk;
};

static const char *shown(const struct tree *tree)
{
    return tree->path.len ? tree->path.data : ".";
}

static bool failed(struct tree *tree, int number, const char *what)
{
    return err_system(tree->err, number, "cannot %s %s in %s", what, shown(tree),
                      tree->spec->root);
}

static bool changed(struct tree *tree)
{
    return err_set(tree->err, ERR_CONFLICT, "%s/%s changed while it was being read",
                   tree->spec->root, shown(tree));
}

static bool stopped(struct tree *tree)
{
    return tree->spec->stop && *tree->spec->stop;
}

static bool go_on(struct tree *tree)
{
    return !stopped(tree) || err_set(tree->err, ERR_CANCELLED, "packing %s was cancelled",
                                     tree->spec->root);
}

/* --- hard links -------------------------------------------------------------------------------------- */

static struct twin *twin_place(struct tree *tree, const struct stat *st)
{
    size_t i = (size_t)(st->st_ino * 0x9E3779B97F4A7C15u ^ st->st_dev);
    for (;; i++) {
        struct twin *twin = &tree->twins[i & (tree->twin_room - 1)];
        if (!twin->path || (twin->ino == st->st_ino && twin->dev == st->st_dev))
            return twin;
    }
}

static void twins_grow(struct tree *tree)
{
    struct twin *old = tree->twins;
    size_t room = tree->twin_room;
    tree->twin_room = room ? room * 2 : 64;
    tree->twins = mem_alloc(tree->twin_room * sizeof *tree->twins);
    for (size_t i = 0; i < room; i++)
        if (old[i].path) {
            struct stat st = {.st_dev = old[i].dev, .st_ino = old[i].ino};
            *twin_place(tree, &st) = old[i];
        }
    mem_free(old);
}

/* The earlier path of the same file, or NULL; then this one is remembered. */
static const char *twin_of(struct tree *tree, const struct stat *st)
{
    if (st->st_nlink < 2 || !S_ISREG(st->st_mode))
        return NULL;
    if (tree->twin_count * 2 >= tree->twin_room)
        twins_grow(tree);
    struct twin *twin = twin_place(tree, st);
    if (twin->path)
        return twin->path;
    if (tree->twin_count < TWINS_MAX) {
        *twin = (struct twin){st->st_dev, st->st_ino, mem_text(tree->path.data)};
        tree->twin_count++;
    }
    return NULL;
}

/* --- entries ------------------------------------------------------------------------------------------- */

static bool write_entry(struct tree *tree, const struct stat *st, const struct tar_entry *more)
{
    struct stat fixed = *st;
    if (tree->spec->fixed_mtime)
        fixed.st_mtim.tv_sec = tree->spec->mtime;
    if (++tree->count->entries > ENTRIES_MAX)
        return err_set(tree->err, ERR_LIMIT, "%s has more than %d entries", tree->spec->root,
                       ENTRIES_MAX);
    if (tree->spec->names && !S_ISDIR(st->st_mode) &&
        !tar_names_add(tree->spec->names, tree->path.data))
        return err_set(tree->err, ERR_LIMIT, "the paths in %s are longer than %zu bytes",
                       tree->spec->root, tree->spec->names->text.max);
    struct tar_entry entry = more ? *more : (struct tar_entry){0};
    entry.path = tree->path.data;
    entry.st = &fixed;
    return tar_out_entry(tree->spec->out, &entry, tree->err);
}

/* The directories above that wait for something below them. */
static bool write_parents(struct tree *tree)
{
    size_t len = tree->path.len;
    bool good = true;
    for (size_t i = 1; good && i < tree->depth; i++) {
        struct level *level = &tree->levels[i];
        if (level->written)
            continue;
        char cut = tree->path.data[level->path_len];
        tree->path.data[level->path_len] = '\0';
        tree->path.len = level->path_len;
        good = write_entry(tree, &level->st, NULL);
        tree->path.data[level->path_len] = cut;
        tree->path.len = len;
        level->written = true;
    }
    return good;
}

static bool write_content(struct tree *tree, int fd, const struct stat *st)
{
    off_t left = st->st_size;
    while (left > 0) {
        if (!go_on(tree))
            return false;
        ssize_t n = read(fd, tree->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(tree, errno, "read");
        if (n == 0)
            return changed(tree);
        if (!tar_out_data(tree->spec->out, tree->chunk, (size_t)n, tree->err))
            return false;
        left -= n;
    }
    struct stat now;
    if (fstat(fd, &now) != 0)
        return failed(tree, errno, "read");
    if (now.st_size != st->st_size || now.st_mtim.tv_sec != st->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != st->st_mtim.tv_nsec)
        return changed(tree);
    tree->count->bytes += (unsigned long long)st->st_size;
    return true;
}

static bool write_head(struct tree *tree, int fd, const struct stat *st)
{
    char capability[CAPABILITY_MAX];
    struct tar_entry entry = {0};
    const ssize_t len = tree->spec->capable
                            ? fgetxattr(fd, "security.capability", capability, sizeof capability)
                            : -1;
    if (len > 0) {
        entry.capability = capability;
        entry.capability_len = (size_t)len;
    }
    return write_entry(tree, st, &entry);
}

static bool write_file(struct tree *tree, int dir, const char *name)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return failed(tree, errno, "open");
    bool good = fstat(fd, &st) == 0 || failed(tree, errno, "read");
    if (good && !S_ISREG(st.st_mode))
        good = changed(tree);
    const struct tar_entry entry = {.twin = good ? twin_of(tree, &st) : NULL};
    good = good && (entry.twin ? write_entry(tree, &st, &entry)
                               : write_head(tree, fd, &st) && write_content(tree, fd, &st));
    close(fd);
    return good;
}

static bool write_symlink(struct tree *tree, int dir, const char *name, const struct stat *st)
{
    char *target = tree->chunk;
    ssize_t len = readlinkat(dir, name, target, CHUNK - 1);
    if (len < 0)
        return failed(tree, errno, "read the symbolic link");
    target[len] = '\0';
    return write_entry(tree, st, &(struct tar_entry){.link = target});
}

static const char *type_name(mode_t mode)
{
    return S_ISSOCK(mode) ? "a socket" : S_ISFIFO(mode) ? "a fifo" : "a device";
}

static bool write_leaf(struct tree *tree, int dir, const char *name, const struct stat *st)
{
    const struct tree_spec *spec = tree->spec;
    bool regular = S_ISREG(st->st_mode), link = S_ISLNK(st->st_mode);
    if (st->st_dev == spec->skip_dev && st->st_ino == spec->skip_ino)
        return true;
    if (S_ISSOCK(st->st_mode) && spec->special)
        return true;
    if (!regular && !link && !spec->special)
        return err_set(tree->err, ERR_FAILED, "%s/%s is %s, which an archive cannot hold",
                       spec->root, shown(tree), type_name(st->st_mode));
    if (!write_parents(tree))
        return false;
    tree->count->files++;
    return regular ? write_file(tree, dir, name)
           : link  ? write_symlink(tree, dir, name, st)
                   : write_entry(tree, st, NULL);
}

/* --- the walk ------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool read_names(struct tree *tree, struct level *level)
{
    int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        failed(tree, errno, "read directory");
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
    int number = errno;
    closedir(entries);
    if (level->count > ENTRIES_MAX)
        return err_set(tree->err, ERR_LIMIT, "directory %s in %s has more than %d entries",
                       shown(tree), tree->spec->root, ENTRIES_MAX);
    if (level->count > 0)
        qsort(level->names, level->count, sizeof *level->names, compare);
    return number == 0 || failed(tree, number, "read directory");
}

static void pop(struct tree *tree)
{
    struct level *level = &tree->levels[--tree->depth];
    close(level->fd);
    for (size_t i = 0; i < level->count; i++)
        mem_free(level->names[i]);
    mem_free(level->names);
    mem_free(level->state);
}

/* Takes fd and state. */
static bool push(struct tree *tree, int fd, bool written, void *state)
{
    if (tree->depth == DEPTH_MAX) {
        close(fd);
        mem_free(state);
        return err_set(tree->err, ERR_LIMIT, "%s is deeper than %d directories",
                       tree->spec->root, DEPTH_MAX);
    }
    struct level *level = &tree->levels[tree->depth++];
    *level = (struct level){.fd = fd, .path_len = tree->path.len, .written = written,
                            .state = state};
    if (fstat(fd, &level->st) != 0)
        return failed(tree, errno, "read directory");
    return read_names(tree, level);
}

static bool go_down(struct tree *tree, const char *name, const struct stat *st,
                    enum tree_verdict verdict, void *state)
{
    int dir = tree->levels[tree->depth - 1].fd, fd;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    bool keep = verdict == TREE_KEEP;
    if (keep && !(write_parents(tree) && write_entry(tree, st, NULL))) {
        mem_free(state);
        return false;
    }
    if (S_ISLNK(st->st_mode))
        fd = place_open(tree->levels[0].fd, tree->path.data, flags);
    else
        fd = openat(dir, name, flags | O_NOFOLLOW);
    if (fd >= 0)
        return push(tree, fd, keep, state);
    int number = errno;
    mem_free(state);
    if (number == ENOENT || (number == EACCES && !keep && !S_ISLNK(st->st_mode)))
        return true; /* nothing below an excluded directory is promised */
    if (number == EXDEV)
        return err_set(tree->err, ERR_FAILED, "%s/%s is a symbolic link out of %s",
                       tree->spec->root, shown(tree), tree->spec->root);
    return failed(tree, number, "open directory");
}

static bool visit(struct tree *tree, const char *name)
{
    const struct tree_spec *spec = tree->spec;
    struct level *level = &tree->levels[tree->depth - 1];
    struct stat st;
    tree->path.len = level->path_len;
    if (!(level->path_len == 0 || buf_char(&tree->path, '/')) || !buf_text(&tree->path, name))
        return err_set(tree->err, ERR_LIMIT, "a path in %s is longer than %d bytes", spec->root,
                       PATH_LIMIT);
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || failed(tree, errno, "look at");
    bool is_dir = S_ISDIR(st.st_mode);
    void *state = spec->state_size ? mem_alloc(spec->state_size) : NULL;
    enum tree_verdict verdict =
        spec->judge(spec->arg, tree->path.data, is_dir, level->state, state);
    if (verdict != TREE_SKIP && (is_dir || (verdict == TREE_ENTER && S_ISLNK(st.st_mode))))
        return go_down(tree, name, &st, verdict, state);
    mem_free(state);
    if (verdict == TREE_KEEP)
        return write_leaf(tree, level->fd, name, &st);
    tree->count->skipped++;
    return true;
}

bool tree_write(const struct tree_spec *spec, struct tree_count *count, struct err *err)
{
    *count = (struct tree_count){0};
    struct tree tree = {.spec = spec, .count = count, .err = err};
    buf_init(&tree.path, PATH_LIMIT);
    tree.levels = mem_alloc(DEPTH_MAX * sizeof *tree.levels);
    tree.chunk = mem_alloc(CHUNK);
    int root = open(spec->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = root >= 0 || err_system(err, errno, "cannot open %s", spec->root);
    good = good && push(&tree, root, true, NULL);
    while (good && tree.depth > 0) {
        struct level *level = &tree.levels[tree.depth - 1];
        if (!(good = go_on(&tree)))
            break;
        if (level->next < level->count)
            good = visit(&tree, level->names[level->next++]);
        else
            pop(&tree);
    }
    while (tree.depth > 0)
        pop(&tree);
    for (size_t i = 0; i < tree.twin_room; i++)
        mem_free(tree.twins[i].path);
    mem_free(tree.twins);
    mem_free(tree.levels);
    mem_free(tree.chunk);
    buf_fini(&tree.path);
    return good;
}
