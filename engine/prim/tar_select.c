#include "prim/tar_select.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/tar_place.h"

enum {
    SELECTED_MAX = 1000 * 1000,
    NAMED_MAX = 10, /* names that an error shows */
    PATH_LIMIT = 64 << 10,
};

struct search {
    struct selection *found;
    int root;
    const char *shown_root;
    const atomic_bool *stop;
    struct err *err;
    struct buf path; /* what the components so far have become */
};

bool select_check(const char *const *patterns, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!glob_check(patterns[i], err))
            return false;
        char *clean = path_clean(patterns[i]);
        bool inner = patterns[i][0] != '\0' && path_is_inner(clean);
        mem_free(clean);
        if (!inner)
            return err_set(err, ERR_USAGE, "path '%s' must be relative and stay below the root",
                           patterns[i]);
    }
    return true;
}

void select_fini(struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++)
        mem_free(selection->paths[i]);
    mem_free(selection->paths);
    *selection = (struct selection){0};
}

static bool add(struct search *search)
{
    struct selection *found = search->found;
    if (found->count == found->room) {
        found->room = found->room ? found->room * 2 : 16;
        found->paths = mem_grow(found->paths, found->room * sizeof *found->paths);
    }
    found->paths[found->count++] = mem_text(search->path.data);
    return found->count <= SELECTED_MAX ||
           err_set(search->err, ERR_LIMIT, "the patterns match more than %d paths in %s",
                   SELECTED_MAX, search->shown_root);
}

static bool expand(struct search *search, const char *rest);

/* Goes on with one name in place of the pattern's component. */
static bool descend(struct search *search, const char *name, const char *rest)
{
    size_t len = search->path.len;
    struct stat st;
    bool good = (len == 0 || buf_char(&search->path, '/')) && buf_text(&search->path, name);
    if (!good)
        return err_set(search->err, ERR_LIMIT, "a path in %s is longer than %d bytes",
                       search->shown_root, PATH_LIMIT);
    if (*rest)
        good = expand(search, rest);
    else if (fstatat(search->root, search->path.data, &st, AT_SYMLINK_NOFOLLOW) == 0)
        good = add(search);
    search->path.len = len;
    if (search->path.data)
        search->path.data[len] = '\0';
    return good;
}

static bool expand_here(struct search *search, const char *component, const char *rest)
{
    const char *at = search->path.len ? search->path.data : ".";
    int fd = place_open(search->root, at, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == EXDEV)
        return err_set(search->err, ERR_FAILED, "%s/%s leads out of %s", search->shown_root, at,
                       search->shown_root);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        if (fd >= 0)
            close(fd);
        return true; /* as Glob: what cannot be read does not match */
    }
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(entries));) {
        if (search->stop && *search->stop)
            good = err_set(search->err, ERR_CANCELLED, "packing %s was cancelled",
                           search->shown_root);
        else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 glob_match(component, entry->d_name))
            good = descend(search, entry->d_name, rest);
    }
    closedir(entries);
    return good;
}

static bool expand(struct search *search, const char *rest)
{
    size_t len = strcspn(rest, "/");
    char *component = mem_textn(rest, len);
    rest += len;
    rest += *rest == '/';
    bool good = glob_is_pattern(component) ? expand_here(search, component, rest)
                                           : descend(search, component, rest);
    mem_free(component);
    return good;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool nothing_found(const struct search *search)
{
    struct buf text;
    struct tar_names names;
    buf_init(&text, 1000);
    tar_names_init(&names);
    DIR *entries = opendir(search->shown_root);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            tar_names_add(&names, entry->d_name);
    if (entries)
        closedir(entries);
    tar_names_sort(&names);
    for (size_t i = 0; i < names.count && i < NAMED_MAX; i++)
        buf_format(&text, "%s%s", i ? ", " : "", names.list[i]);
    if (names.count > NAMED_MAX)
        buf_format(&text, " and %zu more", names.count - NAMED_MAX);
    err_set(search->err, ERR_MISSING, "The specified paths did not match any files in %s (%s%s)",
            search->shown_root, names.count ? "there: " : "it is empty",
            text.len ? text.data : "");
    tar_names_fini(&names);
    buf_fini(&text);
    return false;
}

/* Index of the first selected path that is not before text. */
static size_t first_from(const struct selection *selection, const char *text)
{
    size_t low = 0, high = selection->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(selection->paths[middle], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has(const struct selection *selection, const char *path)
{
    size_t i = first_from(selection, path);
    return i < selection->count && strcmp(selection->paths[i], path) == 0;
}

bool select_find(struct selection *selection, const char *root, const char *const *patterns,
                 const atomic_bool *stop, struct err *err)
{
    struct search search = {.found = selection, .shown_root = root, .stop = stop, .err = err};
    search.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (search.root < 0)
        return err_system(err, errno, "cannot open %s", root);
    buf_init(&search.path, PATH_LIMIT);
    bool good = true;
    for (; good && *patterns; patterns++) {
        char *clean = path_clean(*patterns);
        search.path.len = 0;
        good = expand(&search, clean);
        mem_free(clean);
    }
    if (good && selection->count == 0)
        good = nothing_found(&search);
    if (selection->count > 0)
        qsort(selection->paths, selection->count, sizeof *selection->paths, compare);
    close(search.root);
    buf_fini(&search.path);
    return good;
}

static bool has_below(const struct selection *selection, const char *path)
{
    size_t len = strlen(path);
    char *prefix = mem_textn(path, len + 1); /* its NUL becomes the slash */
    prefix[len] = '/';
    prefix[len + 1] = '\0';
    size_t i = first_from(selection, prefix);
    bool found = i < selection->count && strncmp(selection->paths[i], prefix, len + 1) == 0;
    mem_free(prefix);
    return found;
}

enum descent_verdict select_judge(void *arg, const char *path, bool is_dir, const void *above,
                                  void *state)
{
    const struct selection *selection = arg;
    bool *inside = state;
    const bool *inside_above = above;
    (void)is_dir;
    *inside = (inside_above && *inside_above) || has(selection, ".") || has(selection, path);
    if (*inside)
        return DESCENT_KEEP;
    return has_below(selection, path) ? DESCENT_ENTER : DESCENT_SKIP;
}
