#include "prim/session_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/twins.h"

enum { ENTRIES_MAX = 10 * 1000 * 1000, NAMES_MAX = 1 << 30 /* bytes of all names */ };

#define NONE UINT32_MAX

/* What is remembered of an entry. */
struct node {
    uint32_t parent; /* NONE at the top */
    uint32_t name;   /* in names; behind it a NUL */
    bool file;       /* a regular one that was not asked for yet */
};

struct walk {
    struct walk_spec spec;
    struct buf names;
    struct node *nodes;
    size_t node_count, node_room;
    uint32_t above[DESCENT_DEPTH_MAX + 1]; /* of each depth, the directory that the walk is in */
    struct twins twins;
};

static bool remember(struct walk *walk, const struct descent_entry *entry, struct err *err)
{
    if (walk->node_count >= ENTRIES_MAX)
        return err_set(err, ERR_LIMIT, "%s has more than %d entries", walk->spec.shown,
            ENTRIES_MAX);
    if (walk->node_count == walk->node_room) {
        walk->node_room = walk->node_room ? walk->node_room * 2 : 256;
        walk->nodes = mem_grow(walk->nodes, walk->node_room * sizeof *walk->nodes);
    }
    const uint32_t parent = walk->above[entry->depth];
    if (S_ISDIR(entry->st->st_mode))
        walk->above[entry->depth + 1] = (uint32_t)walk->node_count;
    walk->nodes[walk->node_count++] =
        (struct node){parent, (uint32_t)walk->names.len, S_ISREG(entry->st->st_mode)};
    const char *name = path_base(entry->path);
    return buf_add(&walk->names, name, strlen(name) + 1) ||
           err_set(err, ERR_LIMIT, "the names in %s are longer than %d bytes", walk->spec.shown,
                   NAMES_MAX);
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

static bool on_entry(void *arg, const struct descent_entry *entry, struct err *err)
{
    struct walk *walk = arg;
    char target[PATH_MAX], *twin_path = NULL;
    struct walk_entry told = {entry->path, entry->st, NULL, entry->dir, entry->name};
    const mode_t mode = entry->st->st_mode;
    if (S_ISLNK(mode)) {
        const ssize_t len = readlinkat(entry->dir, entry->name, target, sizeof target - 1);
        if (len < 0)
            return errno == ENOENT || err_system(err, errno, "cannot read the symbolic link %s/%s",
                                                 walk->spec.shown, entry->path);
        target[len] = '\0';
        told.link = target;
    } else if (!S_ISDIR(mode)) {
        const uint32_t twin = twins_find(&walk->twins, entry->st, (uint32_t)walk->node_count);
        if (twin != TWIN_NONE)
            told.link = twin_path = walk_path(walk, twin);
    }
    const bool good = remember(walk, entry, err) && walk->spec.entry(walk->spec.arg, &told, err);
    mem_free(twin_path);
    return good;
}

static enum descent_verdict judge(void *arg, const char *path, const struct stat *st,
                                  const void *above, void *state)
{
    struct walk *walk = arg;
    if (S_ISSOCK(st->st_mode))
        return DESCENT_SKIP; /* nothing that an image could hold */
    return filter_judge(walk->spec.filter, path, S_ISDIR(st->st_mode), above, state);
}

struct walk *walk_new(const struct walk_spec *spec)
{
    struct walk *walk = mem_alloc(sizeof *walk);
    walk->spec = *spec;
    walk->above[0] = NONE;
    buf_init(&walk->names, NAMES_MAX);
    return walk;
}

void walk_free(struct walk *walk)
{
    if (!walk)
        return;
    mem_free(walk->nodes);
    twins_fini(&walk->twins);
    buf_fini(&walk->names);
    mem_free(walk);
}

bool walk_run(struct walk *walk, struct err *err)
{
    const struct descent_spec descent = {
        .root = walk->spec.root, .shown = walk->spec.shown, .doing = "sending",
        .stop = walk->spec.stop, .state_size = filter_state_size(walk->spec.filter),
        .judge = judge, .entry = on_entry, .arg = walk,
    };
    return descent_run(&descent, err);
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
