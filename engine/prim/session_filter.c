#include "prim/session_filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/ignore.h"
#include "base/mem.h"
#include "base/path.h"

enum { FOLLOWED_MAX = 10000 };

struct filter {
    struct ignore *exclude, *include; /* NULL = no such patterns; include "excludes" what is wanted */
    size_t include_size;
};

/* A list of paths, each once, that grows while it is read. */
struct paths {
    char **list;
    size_t count;
};

static bool paths_add(struct paths *paths, const char *path, struct err *err)
{
    for (size_t i = 0; i < paths->count; i++)
        if (strcmp(paths->list[i], path) == 0)
            return true;
    if (paths->count == FOLLOWED_MAX)
        return err_set(err, ERR_LIMIT, "more than %d paths to follow", FOLLOWED_MAX);
    if ((paths->count & (paths->count - 1)) == 0)
        paths->list = mem_grow(paths->list,
                               (paths->count ? paths->count * 2 : 1) * sizeof *paths->list);
    paths->list[paths->count++] = mem_text(path);
    return true;
}

static void paths_fini(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        mem_free(paths->list[i]);
    mem_free(paths->list);
}

/* --- following links ------------------------------------------------------------------------------------ */

/* fsutil's FollowLinks. */
struct follow {
    int root;
    struct paths wanted;   /* still to be walked; each at most once */
    struct paths resolved; /* the result */
    struct err *err;
};

/* path below the root, whatever its dots say; caller frees. */
static char *below_root(const char *path)
{
    char *whole = path_join("/", path);
    memmove(whole, whole + 1, strlen(whole));
    if (!*whole) {
        mem_free(whole);
        return mem_text(".");
    }
    return whole;
}

static bool has_wildcards(const char *name)
{
    for (; *name; name++) {
        if (*name == '\\' && name[1])
            name++;
        else if (*name == '*' || *name == '?' || *name == '[')
            return true;
    }
    return false;
}

/* When at is a symbolic link: where it leads, with rest behind it, is wanted too. 1, 0 or -1 (err). */
static int follow_link(struct follow *follow, const char *at, const char *rest)
{
    char target[PATH_MAX];
    const ssize_t len = readlinkat(follow->root, at, target, sizeof target - 1);
    if (len < 0)
        return 0;
    target[len] = '\0';
    char *dir = path_dir(at), *to = target[0] == '/' ? mem_text(target) : path_join(dir, target);
    char *inside = below_root(to), *whole = *rest ? path_join(inside, rest) : mem_text(inside);
    const bool good = strlen(whole) >= PATH_MAX || paths_add(&follow->wanted, whole, follow->err);
    mem_free(dir);
    mem_free(to);
    mem_free(inside);
    mem_free(whole);
    return good ? 1 : -1;
}

/* As follow_link for every name in the directory that the last component of at matches. */
static int follow_wildcard(struct follow *follow, const char *at, const char *rest)
{
    int found = 0;
    char *dir = path_dir(at);
    const char *pattern = path_base(at);
    const int fd = openat(follow->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries && fd >= 0)
        close(fd);
    for (struct dirent *entry; entries && found >= 0 && (entry = readdir(entries));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            !glob_check(pattern, NULL) || !glob_match(pattern, entry->d_name))
            continue;
        char *path = path_join(dir, entry->d_name);
        const int one = follow_link(follow, path, rest);
        found = one < 0 ? -1 : found | one;
        mem_free(path);
    }
    if (entries)
        closedir(entries);
    mem_free(dir);
    return found;
}

static bool follow_path(struct follow *follow, const char *path)
{
    char *copy = mem_text(path);
    bool good = true;
    for (char *end = copy;; end++) {
        end += strcspn(end, "/");
        const bool last = *end == '\0';
        *end = '\0';
        const char *rest = last ? "" : end + 1;
        const int found = has_wildcards(path_base(copy)) ? follow_wildcard(follow, copy, rest)
                                                         : follow_link(follow, copy, rest);
        if (found || last) {
            good = found >= 0 && paths_add(&follow->resolved, copy, follow->err);
            break;
        }
        *end = '/';
    }
    mem_free(copy);
    return good;
}

/* A link that climbs ends at the root; a path that is asked for and climbs is nothing, as with fsutil. */
static bool follow_all(struct follow *follow, const struct filter_spec *spec)
{
    bool good = true;
    for (size_t i = 0; good && i < spec->follow_count; i++) {
        const char *asked = spec->follow[i];
        char *path = path_clean(asked + strspn(asked, "/"));
        const bool climbs = strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0;
        good = paths_add(climbs ? &follow->resolved : &follow->wanted, path, follow->err);
        mem_free(path);
    }
    for (size_t i = 0; good && i < follow->wanted.count; i++)
        good = follow_path(follow, follow->wanted.list[i]);
    return good;
}

/* --- patterns -------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* fsutil's dedupePaths: what is below the one before it goes. false: one is the root, which is everything. */
static bool dedupe(const char **list, size_t *count)
{
    const char *last = "";
    size_t left = 0;
    for (size_t i = 0; i < *count; i++) {
        const size_t len = strlen(last);
        if (strcmp(list[i], ".") == 0)
            return false;
        if (strncmp(list[i], last, len) == 0 && list[i][len] == '/')
            continue;
        last = list[left++] = list[i];
    }
    *count = left;
    return true;
}

static bool read_include(struct filter *filter, const struct filter_spec *spec,
                         struct paths *followed, struct err *err)
{
    const size_t given = spec->include_count;
    const char **list = mem_alloc((given + followed->count + 1) * sizeof *list);
    size_t found = followed->count, count;
    if (found > 0) {
        qsort(followed->list, found, sizeof *followed->list, compare);
        memcpy(list + given, followed->list, found * sizeof *list);
    }
    bool some = dedupe(list + given, &found);
    count = given + (some ? found : 0);
    if (given > 0)
        memcpy(list, spec->include, given * sizeof *list);
    some = spec->follow_count == 0 || dedupe(list, &count);
    bool good = true;
    if (some && count > 0) {
        good = (filter->include = ignore_of(list, count, "the include patterns", err));
        filter->include_size = good ? ignore_state_size(filter->include) : 0;
    }
    mem_free(list);
    return good;
}

struct filter *filter_new(const struct filter_spec *spec, struct err *err)
{
    struct filter *filter = mem_alloc(sizeof *filter);
    struct follow follow = {.root = spec->root, .err = err};
    bool good = follow_all(&follow, spec);
    good = good && read_include(filter, spec, &follow.resolved, err);
    if (good && spec->exclude_count > 0)
        good = (filter->exclude = ignore_of(spec->exclude, spec->exclude_count, "the .dockerignore",
                                            err));
    paths_fini(&follow.wanted);
    paths_fini(&follow.resolved);
    if (good)
        return filter;
    filter_free(filter);
    return NULL;
}

void filter_free(struct filter *filter)
{
    if (!filter)
        return;
    ignore_free(filter->exclude);
    ignore_free(filter->include);
    mem_free(filter);
}

size_t filter_state_size(const struct filter *filter)
{
    return filter->include_size + (filter->exclude ? ignore_state_size(filter->exclude) : 0);
}

enum filter_verdict filter_judge(struct filter *filter, const char *path, bool is_dir,
                                 const bool *above, bool *state)
{
    const size_t at = filter->include_size;
    const bool wanted =
        !filter->include || ignore_excludes(filter->include, path, above, state);
    if (!wanted && !(is_dir && ignore_may_exclude(filter->include, path)))
        return FILTER_SKIP;
    const bool excluded =
        filter->exclude &&
        ignore_excludes(filter->exclude, path, above ? above + at : NULL, state + at);
    if (wanted && !excluded)
        return FILTER_KEEP;
    if (is_dir && (!excluded || ignore_may_include(filter->exclude, path, state + at)))
        return FILTER_ENTER;
    return FILTER_SKIP;
}
