#include "base/descent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PATH_LIMIT = 64 << 10, NAMES_MAX = 10 * 1000 * 1000 /* in one directory */ };

/* A directory on the way down. */
struct level {
    int fd;
    char **names;
    size_t count, next;
    size_t path_len; /* of the directory's path, without a slash */
    bool told;
    struct stat st;
    void *state;
};

struct descent {
    const struct descent_spec *spec;
    struct err *err;
    struct level *levels;
    size_t depth;
    struct buf path;
};

static bool failed(struct descent *descent, int number, const char *what)
{
    return err_system(descent->err, number, "cannot %s %s/%s", what, descent->spec->shown,
                      descent->path.len ? descent->path.data : ".");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool read_names(struct descent *descent, struct level *level)
{
    const int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        failed(descent, errno, "read directory");
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
        if (level->count > NAMES_MAX)
            break;
    }
    const int number = errno;
    closedir(entries);
    if (level->count > NAMES_MAX)
        return err_set(descent->err, ERR_LIMIT, "directory %s/%s has more than %d entries",
                       descent->spec->shown, descent->path.len ? descent->path.data : ".",
                           NAMES_MAX);
    if (level->count > 0)
        qsort(level->names, level->count, sizeof *level->names, compare);
    return number == 0 || failed(descent, number, "read directory");
}

static void pop(struct descent *descent)
{
    struct level *level = &descent->levels[--descent->depth];
    close(level->fd);
    for (size_t i = 0; i < level->count; i++)
        mem_free(level->names[i]);
    mem_free(level->names);
    mem_free(level->state);
}

/* Takes fd and state. */
static bool push(struct descent *descent, int fd, bool told, void *state)
{
    if (descent->depth == DESCENT_DEPTH_MAX) {
        close(fd);
        mem_free(state);
        return err_set(descent->err, ERR_LIMIT, "%s is deeper than %d directories",
                       descent->spec->shown, DESCENT_DEPTH_MAX);
    }
    struct level *level = &descent->levels[descent->depth++];
    *level = (struct level){.fd = fd, .path_len = descent->path.len, .told = told, .state = state};
    if (fstat(fd, &level->st) != 0)
        return failed(descent, errno, "read directory");
    return read_names(descent, level);
}

/* The directories above that wait for something below them. */
static bool tell_parents(struct descent *descent)
{
    const struct descent_spec *spec = descent->spec;
    bool good = true;
    for (size_t i = 1; good && i < descent->depth; i++) {
        struct level *level = &descent->levels[i];
        if (level->told)
            continue;
        char *end = descent->path.data + level->path_len;
        const char cut = *end;
        *end = '\0';
        const struct descent_entry entry = {descent->path.data, &level->st, i - 1, level->fd, "."};
        good = spec->entry(spec->arg, &entry, descent->err);
        *end = cut;
        level->told = true;
    }
    return good;
}

static bool tell(struct descent *descent, const char *name, const struct stat *st)
{
    const struct descent_spec *spec = descent->spec;
    const struct descent_entry entry = {descent->path.data, st, descent->depth - 1,
                                        descent->levels[descent->depth - 1].fd, name};
    return tell_parents(descent) && spec->entry(spec->arg, &entry, descent->err);
}

/* Takes state. */
static bool go_down(struct descent *descent, const char *name, const struct stat *st, bool kept,
                    void *state)
{
    const struct descent_spec *spec = descent->spec;
    const bool link = S_ISLNK(st->st_mode);
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    const int fd = link ? spec->through(spec->arg, descent->path.data)
                        : openat(descent->levels[descent->depth - 1].fd, name, flags);
    const int number = errno;
    if (fd >= 0 && (!kept || tell(descent, name, st)))
        return push(descent, fd, kept, state);
    mem_free(state);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    if (number == ENOENT || (number == ENOTDIR && !link))
        return true; /* gone meanwhile */
    if (number == EACCES && !kept && !link)
        return true; /* nothing below an excluded directory is promised */
    if (number == EXDEV)
        return err_set(descent->err, ERR_FAILED, "%s/%s is a symbolic link out of %s", spec->shown,
                       descent->path.data, spec->shown);
    return failed(descent, number, "open directory");
}

static bool visit(struct descent *descent, const char *name)
{
    const struct descent_spec *spec = descent->spec;
    struct level *level = &descent->levels[descent->depth - 1];
    struct stat st;
    descent->path.len = level->path_len;
    if (!(level->path_len == 0 || buf_char(&descent->path, '/')) || !buf_text(&descent->path, name))
        return err_set(descent->err, ERR_LIMIT, "a path in %s is longer than %d bytes", spec->shown,
                       PATH_LIMIT);
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || failed(descent, errno, "look at");
    void *state = spec->state_size ? mem_alloc(spec->state_size) : NULL;
    const enum descent_verdict verdict =
        spec->judge(spec->arg, descent->path.data, &st, level->state, state);
    const bool through = verdict == DESCENT_ENTER && S_ISLNK(st.st_mode) && spec->through;
    if (through || (verdict != DESCENT_SKIP && S_ISDIR(st.st_mode)))
        return go_down(descent, name, &st, verdict == DESCENT_KEEP, state);
    mem_free(state);
    return verdict != DESCENT_KEEP || tell(descent, name, &st);
}

bool descent_run(const struct descent_spec *spec, struct err *err)
{
    struct descent descent = {.spec = spec, .err = err};
    buf_init(&descent.path, PATH_LIMIT);
    descent.levels = mem_alloc(DESCENT_DEPTH_MAX * sizeof *descent.levels);
    const int fd = openat(spec->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 || failed(&descent, errno, "open");
    good = good && push(&descent, fd, true, NULL);
    while (good && descent.depth > 0) {
        struct level *level = &descent.levels[descent.depth - 1];
        if (spec->stop && *spec->stop)
            good = err_set(err, ERR_CANCELLED, "%s %s was cancelled", spec->doing, spec->shown);
        else if (level->next < level->count)
            good = visit(&descent, level->names[level->next++]);
        else
            pop(&descent);
    }
    while (descent.depth > 0)
        pop(&descent);
    mem_free(descent.levels);
    buf_fini(&descent.path);
    return good;
}
