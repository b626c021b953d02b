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
    /* NULL = no such patterns; include "excludes" what is wanted */
    struct ignore *exclude, *include;
    size_t include_size;
};

struct paths {
    char **list;
    size_t count;
};

/* Takes path. */
static bool paths_add(struct paths *paths, char *path, struct err *err)
{
    if (paths->count == FOLLOWED_MAX) {
        mem_free(path);
        return err_set(err, ERR_LIMIT, "more than %d paths to follow", FOLLOWED_MAX);
    }
    if ((paths->count & (paths->count - 1)) == 0)
        paths->list = mem_grow(paths->list,
                               (paths->count ? paths->count * 2 : 1) * sizeof *paths->list);
    paths->list[paths->count++] = path;
    return true;
}

static bool paths_hold(const struct paths *paths, const char *path)
{
    for (size_t i = 0; i < paths->count; i++)
        if (strcmp(paths->list[i], path) == 0)
            return true;
    return false;
}

static void paths_fini(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        mem_free(paths->list[i]);
    mem_free(paths->list);
}

/* --- following links -------------------------------------------------------------------------- */

/* fsutil's FollowLinks, which goes where a link leads only the first time that it comes to it: the
   order decides, and is kept. */
struct follow {
    int root;
    struct paths wanted;   /* a stack */
    struct paths resolved; /* the result; each once */
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

/* When at is a symbolic link: where it leads, with rest behind it, is wanted too. 1, 0 or -1
   (err). */
static int follow_link(struct follow *follow, const char *at, const char *rest)
{
    char target[PATH_MAX];
    const ssize_t len = readlinkat(follow->root, at, target, sizeof target - 1);
    if (len < 0)
        return 0;
    target[len] = '\0';
    char *dir = path_dir(at), *to = target[0] == '/' ? mem_text(target) : path_join(dir, target);
    char *inside = below_root(to), *whole = *rest ? path_join(inside, rest) : mem_text(inside);
    mem_free(dir);
    mem_free(to);
    mem_free(inside);
    if (strlen(whole) < PATH_MAX)
        return paths_add(&follow->wanted, whole, follow->err) ? 1 : -1;
    mem_free(whole); /* no such file */
    return 1;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The links in the directory of at whose name at's last component matches, in their order. */
static bool wildcard_links(struct follow *follow, const char *at, struct paths *links)
{
    char *dir = path_dir(at);
    const char *pattern = path_base(at);
    const int fd = openat(follow->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    bool good = true;
    if (!entries && fd >= 0)
        close(fd);
    for (struct dirent *entry; entries && good && (entry = readdir(entries));)
        if ((entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) &&
            glob_match(pattern, entry->d_name))
            good = paths_add(links, path_join(dir, entry->d_name), follow->err);
    if (entries)
        closedir(entries);
    mem_free(dir);
    if (links->count > 0)
        qsort(links->list, links->count, sizeof *links->list, compare);
    return good;
}

/* As follow_link for every name that the last component of at matches. */
static int follow_wildcard(struct follow *follow, const char *at, const char *rest)
{
    struct paths links = {0};
    if (!glob_check(path_base(at), NULL))
        return 0;
    int found = wildcard_links(follow, at, &links) ? 0 : -1;
    for (size_t i = 0; found >= 0 && i < links.count; i++) {
        const int one = follow_link(follow, links.list[i], rest);
        found = one < 0 ? -1 : found | one;
    }
    paths_fini(&links);
    return found;
}

/* at is resolved; what was put on the stack above base is next, the first of it first. */
static bool resolve(struct follow *follow, const char *at, size_t base)
{
    struct paths *wanted = &follow->wanted;
    if (paths_hold(&follow->resolved, at)) {
        while (wanted->count > base)
            mem_free(wanted->list[--wanted->count]);
        return true;
    }
    for (size_t i = base, j = wanted->count; i + 1 < j; i++) {
        char *const last = wanted->list[--j];
        wanted->list[j] = wanted->list[i];
        wanted->list[i] = last;
    }
    return paths_add(&follow->resolved, mem_text(at), follow->err);
}

/* Cuts path where a link is found. */
static bool follow_path(struct follow *follow, char *path)
{
    const size_t base = follow->wanted.count;
    for (char *end = path;; *end++ = '/') {
        end += strcspn(end, "/");
        const bool last = *end == '\0';
        *end = '\0';
        const char *rest = last ? "" : end + 1;
        const int found = has_wildcards(path_base(path)) ? follow_wildcard(follow, path, rest)
                                                         : follow_link(follow, path, rest);
        if (found || last)
            return found >= 0 && resolve(follow, path, base);
    }
}

/* A link that climbs ends at the root; a path that is asked for and climbs is nothing, as with
   fsutil. */
static bool follow_one(struct follow *follow, const char *asked)
{
    char *path = path_clean(asked + strspn(asked, "/"));
    if (strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0) {
        const bool good = resolve(follow, path, 0);
        mem_free(path);
        return good;
    }
    bool good = paths_add(&follow->wanted, path, follow->err);
    while (good && follow->wanted.count > 0) {
        char *next = follow->wanted.list[--follow->wanted.count];
        good = follow_path(follow, next);
        mem_free(next);
    }
    return good;
}

/* --- patterns --------------------------------------------------------------------------------- */

/* fsutil's dedupePaths: what is below the one before it goes. false: one is the root, which is
   everything. */
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
    bool good = true;
    for (size_t i = 0; good && i < spec->follow_count; i++)
        good = follow_one(&follow, spec->follow[i]);
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

enum descent_verdict filter_judge(struct filter *filter, const char *path, bool is_dir,
                                  const bool *above, bool *state)
{
    const size_t at = filter->include_size;
    const bool wanted =
        !filter->include || ignore_excludes(filter->include, path, above, state);
    if (!wanted && !(is_dir && ignore_may_exclude(filter->include, path)))
        return DESCENT_SKIP;
    const bool excluded =
        filter->exclude &&
        ignore_excludes(filter->exclude, path, above ? above + at : NULL, state + at);
    if (wanted && !excluded)
        return DESCENT_KEEP;
    if (is_dir && (!excluded || ignore_may_include(filter->exclude, path, state + at)))
        return DESCENT_ENTER;
    return DESCENT_SKIP;
}
