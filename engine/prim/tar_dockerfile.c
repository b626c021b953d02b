#include "prim/tar_dockerfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"

enum {
    IGNORE_MAX = 4 << 20,
    SIMILAR_MAX = 8,
};

void dockerfile_fini(struct dockerfile *dockerfile)
{
    mem_free(dockerfile->path);
    for (size_t i = 0; i < dockerfile->count; i++)
        mem_free(dockerfile->needed[i]);
}

static void need(struct dockerfile *dockerfile, char *path_taken)
{
    dockerfile->needed[dockerfile->count++] = path_taken;
}

/* --- finding it ------------------------------------------------------------------------------- */

static void add_similar(struct buf *names, const char *dir, const char *inside)
{
    DIR *entries = opendir(dir);
    size_t count = 0;
    for (struct dirent *entry; entries && count < SIMILAR_MAX && (entry = readdir(entries));) {
        size_t len = strlen(entry->d_name);
        if (!strcasestr(entry->d_name, "dockerfile") && !strcasestr(entry->d_name, "containerfile"))
            continue;
        if (len > 13 && strcasecmp(entry->d_name + len - 13, ".dockerignore") == 0)
            continue;
        buf_format(names, "%s%s%s%s", names->len ? ", " : "", inside, *inside ? "/" : "",
                   entry->d_name);
        count++;
    }
    if (entries)
        closedir(entries);
}

static bool missing(const struct dockerfile *dockerfile, const char *dir, struct err *err)
{
    struct buf names;
    buf_init(&names, 1000);
    char *own_dir = path_dir(dockerfile->path), *full = path_join(dir, own_dir);
    add_similar(&names, dir, "");
    if (strcmp(own_dir, ".") != 0) {
        add_similar(&names, full, own_dir);
    }
    err_set(err, ERR_MISSING, "no Dockerfile '%s' in %s%s%s", dockerfile->path, dir,
            names.len ? "; there is: " : "", names.len ? names.data : "");
    mem_free(own_dir);
    mem_free(full);
    buf_fini(&names);
    return false;
}

static bool leaves(const struct dockerfile *dockerfile, const char *dir, struct err *err)
{
    return err_set(err, ERR_USAGE, "the Dockerfile '%s' leads out of the context %s",
                   dockerfile->path, dir);
}

/* Where path leads when its first symbolic link is followed once; NULL when it has none. */
static char *follow(struct dockerfile *dockerfile, int dir, const char *path)
{
    char *copy = mem_text(path), target[PATH_MAX];
    for (char *end = copy;; end++) {
        end += strcspn(end, "/");
        char was = *end;
        *end = '\0';
        ssize_t len = readlinkat(dir, copy, target, sizeof target - 1);
        if (len >= 0) {
            target[len] = '\0';
            char *parent = path_dir(copy), *to = path_join(parent, target);
            char *whole = was ? path_join(to, end + 1) : mem_text(to);
            mem_free(parent);
            mem_free(to);
            need(dockerfile, copy);
            return whole;
        }
        *end = was;
        if (was == '\0')
            break;
    }
    mem_free(copy);
    return NULL;
}

static bool find_at(struct dockerfile *dockerfile, int fd, const char *dir, struct err *err)
{
    struct stat st;
    char *path = mem_text(dockerfile->path), *next;
    bool good = true;
    while (good && (next = follow(dockerfile, fd, path))) {
        mem_free(path);
        path = next;
        if (!path_is_inner(path))
            good = leaves(dockerfile, dir, err);
        else if (dockerfile->count == DOCKERFILE_LINKS_MAX)
            good = err_set(err, ERR_LIMIT, "the Dockerfile '%s' is behind too many symbolic links",
                           dockerfile->path);
    }
    if (good && fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        good = errno == ENOENT || errno == ENOTDIR
                   ? missing(dockerfile, dir, err)
                   : err_system(err, errno, "cannot look at %s/%s", dir, path);
    else if (good && !S_ISREG(st.st_mode))
        good = err_set(err, ERR_USAGE, "the Dockerfile %s/%s is no file", dir, path);
    need(dockerfile, path);
    return good;
}

bool dockerfile_find(struct dockerfile *dockerfile, const struct tar_context_spec *spec,
                     struct err *err)
{
    dockerfile->path = path_clean(spec->dockerfile);
    int fd = open(spec->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_system(err, errno, "cannot open the build context %s", spec->dir);
    bool good = true;
    if (!path_is_inner(dockerfile->path) || strcmp(dockerfile->path, ".") == 0)
        good = leaves(dockerfile, spec->dir, err);
    else if (!spec->text)
        good = find_at(dockerfile, fd, spec->dir, err);
    if (good && spec->classic)
        need(dockerfile, mem_text(".dockerignore"));
    close(fd);
    return good;
}

/* --- its patterns ----------------------------------------------------------------------------- */

/* *ignore stays NULL when there is no such file. */
static bool read_patterns(const char *dir, const char *name, struct ignore **ignore,
                          struct err *err)
{
    struct buf text;
    struct err why;
    buf_init(&text, IGNORE_MAX);
    char *path = path_join(dir, name);
    bool good = file_read(path, &text, &why);
    if (good)
        good = (*ignore = ignore_new(text.data ? text.data : "", text.len, path, err));
    else if (why.kind == ERR_MISSING)
        good = true;
    else if (err)
        *err = why;
    mem_free(path);
    buf_fini(&text);
    return good;
}

bool dockerfile_ignore(struct dockerfile *dockerfile, const struct tar_context_spec *spec,
                       struct ignore **ignore, struct err *err)
{
    struct buf own;
    buf_init(&own, PATH_MAX * 2);
    bool good = true;
    if (!spec->classic && buf_format(&own, "%s.dockerignore", dockerfile->path))
        good = read_patterns(spec->dir, own.data, ignore, err);
    if (good && !*ignore)
        good = read_patterns(spec->dir, ".dockerignore", ignore, err);
    buf_fini(&own);
    return good;
}

/* --- what is needed --------------------------------------------------------------------------- */

bool dockerfile_needs(const struct dockerfile *dockerfile, const char *path)
{
    for (size_t i = 0; i < dockerfile->count; i++)
        if (strcmp(dockerfile->needed[i], path) == 0)
            return true;
    return false;
}

bool dockerfile_is_below(const struct dockerfile *dockerfile, const char *dir)
{
    size_t len = strlen(dir);
    for (size_t i = 0; i < dockerfile->count; i++)
        if (strncmp(dockerfile->needed[i], dir, len) == 0 && dockerfile->needed[i][len] == '/')
            return true;
    return false;
}
