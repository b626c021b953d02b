#include "prim/tar_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/twins.h"
#include "prim/tar_place.h"

enum {
    CHUNK = 128 << 10,
    ENTRIES_MAX = 10 * 1000 * 1000,
    TWIN_PATHS_MAX = 1 << 30, /* bytes of the paths of hard linked files */
    CAPABILITY_MAX = 64,      /* the kernel's vfs_ns_cap_data has 24 bytes */
};

struct tree {
    const struct tree_spec *spec;
    struct tree_count *count;
    struct err *err;
    int root;
    const struct descent_entry *at; /* what is being written */
    struct twins twins;
    struct buf twin_paths; /* first path of each, by its place here */
    char *chunk;
};

static bool failed(struct tree *tree, int number, const char *what)
{
    return err_system(tree->err, number, "cannot %s %s in %s", what, tree->at->path,
                      tree->spec->root);
}

static bool changed(struct tree *tree)
{
    return err_set(tree->err, ERR_CONFLICT, "%s/%s changed while it was being read",
                   tree->spec->root, tree->at->path);
}

/* --- entries ---------------------------------------------------------------------------------- */

/* The earlier path of the same file, or NULL; then this one is remembered. */
static const char *twin_of(struct tree *tree, const struct stat *st)
{
    const size_t remembered = tree->twins.count;
    const uint32_t place = twins_find(&tree->twins, st, (uint32_t)tree->twin_paths.len);
    if (place != TWIN_NONE)
        return tree->twin_paths.data + place;
    if (tree->twins.count > remembered)
        buf_add(&tree->twin_paths, tree->at->path, strlen(tree->at->path) + 1);
    return NULL;
}

static bool write_entry(struct tree *tree, const struct stat *st, const struct tar_entry *more)
{
    struct stat fixed = *st;
    if (tree->spec->fixed_mtime)
        fixed.st_mtim.tv_sec = tree->spec->mtime;
    if (++tree->count->entries > ENTRIES_MAX)
        return err_set(tree->err, ERR_LIMIT, "%s has more than %d entries", tree->spec->root,
                       ENTRIES_MAX);
    if (tree->spec->names && !S_ISDIR(st->st_mode) &&
        !tar_names_add(tree->spec->names, tree->at->path))
        return err_set(tree->err, ERR_LIMIT, "the paths in %s are longer than %zu bytes",
                       tree->spec->root, tree->spec->names->text.max);
    struct tar_entry entry = more ? *more : (struct tar_entry){0};
    entry.path = tree->at->path;
    entry.st = &fixed;
    return tar_out_entry(tree->spec->out, &entry, tree->err);
}

static bool write_content(struct tree *tree, int fd, const struct stat *st)
{
    const atomic_bool *stop = tree->spec->stop;
    off_t left = st->st_size;
    while (left > 0) {
        if (stop && *stop)
            return err_set(tree->err, ERR_CANCELLED, "packing %s was cancelled", tree->spec->root);
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

static bool write_file(struct tree *tree)
{
    struct stat st;
    int fd = openat(tree->at->dir, tree->at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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

static bool write_symlink(struct tree *tree)
{
    char *target = tree->chunk;
    ssize_t len = readlinkat(tree->at->dir, tree->at->name, target, CHUNK - 1);
    if (len < 0)
        return failed(tree, errno, "read the symbolic link");
    target[len] = '\0';
    return write_entry(tree, tree->at->st, &(struct tar_entry){.link = target});
}

static const char *type_name(mode_t mode)
{
    return S_ISSOCK(mode) ? "a socket" : S_ISFIFO(mode) ? "a fifo" : "a device";
}

static bool on_entry(void *arg, const struct descent_entry *entry, struct err *err)
{
    (void)err; /* is tree->err */
    struct tree *tree = arg;
    const mode_t mode = entry->st->st_mode;
    tree->at = entry;
    if (S_ISDIR(mode))
        return write_entry(tree, entry->st, NULL);
    if (!S_ISREG(mode) && !S_ISLNK(mode) && !tree->spec->special)
        return err_set(tree->err, ERR_FAILED, "%s/%s is %s, which an archive cannot hold",
                       tree->spec->root, entry->path, type_name(mode));
    tree->count->files++;
    return S_ISREG(mode)   ? write_file(tree)
           : S_ISLNK(mode) ? write_symlink(tree)
                           : write_entry(tree, entry->st, NULL);
}

/* --- the walk --------------------------------------------------------------------------------- */

static int through(void *arg, const char *path)
{
    const struct tree *tree = arg;
    return place_open(tree->root, path, O_RDONLY | O_DIRECTORY);
}

static enum descent_verdict judge(void *arg, const char *path, const struct stat *st,
                                  const void *above, void *state)
{
    const struct tree *tree = arg;
    const struct tree_spec *spec = tree->spec;
    const mode_t mode = st->st_mode;
    const enum descent_verdict verdict =
        spec->judge(spec->arg, path, S_ISDIR(mode), above, state);
    const bool entered = verdict == DESCENT_ENTER && (S_ISDIR(mode) || S_ISLNK(mode));
    if (verdict != DESCENT_KEEP && !entered)
        tree->count->skipped++;
    const bool unfit = (S_ISSOCK(mode) && spec->special) ||
                       (st->st_dev == spec->skip_dev && st->st_ino == spec->skip_ino);
    return unfit ? DESCENT_SKIP : verdict;
}

bool tree_write(const struct tree_spec *spec, struct tree_count *count, struct err *err)
{
    *count = (struct tree_count){0};
    struct tree tree = {.spec = spec, .count = count, .err = err};
    tree.root = open(spec->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree.root < 0)
        return err_system(err, errno, "cannot open %s", spec->root);
    buf_init(&tree.twin_paths, TWIN_PATHS_MAX);
    tree.chunk = mem_alloc(CHUNK);
    const struct descent_spec descent = {
        .root = tree.root, .shown = spec->root, .doing = "packing", .stop = spec->stop,
        .state_size = spec->state_size, .judge = judge, .entry = on_entry, .through = through,
        .arg = &tree,
    };
    const bool good = descent_run(&descent, err);
    close(tree.root);
    twins_fini(&tree.twins);
    buf_fini(&tree.twin_paths);
    mem_free(tree.chunk);
    return good;
}
