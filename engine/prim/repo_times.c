#include "prim/repo_times.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_lib.h"
#include "prim/repo_spot.h"

enum { INDEX_CEILING = 1 << 29 }; /* bytes: some millions of files */

static bool same(const git_index_entry *a, const git_index_entry *b)
{
    return a->mode == b->mode && git_oid_equal(&a->id, &b->id);
}

static const git_index_entry *next_attributes(git_index *index, size_t *at)
{
    for (const git_index_entry *entry; (entry = git_index_get_byindex(index, *at)); ++*at)
        if (strcmp(path_base(entry->path), ".gitattributes") == 0)
            return git_index_get_byindex(index, (*at)++);
    return NULL;
}

/* With other attributes a blob may become another file. */
static bool same_attributes(git_index *index, git_index *old)
{
    for (size_t i = 0, j = 0;;) {
        const git_index_entry *a = next_attributes(index, &i), *b = next_attributes(old, &j);
        if (!a || !b)
            return !a && !b;
        if (strcmp(a->path, b->path) != 0 || !same(a, b))
            return false;
    }
}

static bool set_time(struct spot *spot, git_index_entry *entry, const git_index_entry *old,
                     struct err *err)
{
    const struct timespec time = {.tv_sec = old->mtime.seconds, .tv_nsec = old->mtime.nanoseconds};
    struct stat st;
    if (!S_ISREG(entry->mode) || old->mtime.nanoseconds >= 1000000000)
        return true;
    if (!spot_date(spot, entry->path, &time, &st, err))
        return false;
    entry->mtime = old->mtime;
    entry->ctime = (git_index_time){(int32_t)st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec};
    return true;
}

/* Both are sorted by path. */
static bool carry(git_index *index, git_index *old, struct spot *spot, struct err *err)
{
    size_t at = 0;
    bool good = true;
    for (size_t i = 0; good && i < git_index_entrycount(index); i++) {
        /* libgit2 would copy the entry to change it */
        git_index_entry *entry = (git_index_entry *)git_index_get_byindex(index, i);
        const git_index_entry *other;
        while ((other = git_index_get_byindex(old, at)) && strcmp(other->path, entry->path) < 0)
            at++;
        if (other && strcmp(other->path, entry->path) == 0 && same(entry, other))
            good = set_time(spot, entry, other, err);
    }
    return good;
}

bool times_take(git_repository *repo, const char *path, struct err *err)
{
    const char *top = git_repository_workdir(repo);
    git_index *index = NULL, *old = NULL;
    if (access(path, F_OK) != 0 || git_index_open(&old, path) != 0)
        return true;
    int rc = git_repository_index(&index, repo);
    bool good = rc == 0 ? true : lib_fail_as(err, rc, "cannot read the index of %s", top);
    if (good && same_attributes(index, old)) {
        const int fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct spot spot;
        spot_init(&spot, top, fd, false);
        good = carry(index, old, &spot, err);
        spot_fini(&spot);
        if (fd >= 0)
            close(fd);
        if (good && (rc = git_index_write(index)) != 0)
            good = lib_fail_as(err, rc, "cannot write the index of %s", top);
    }
    git_index_free(index);
    git_index_free(old);
    return good;
}

bool times_keep(git_repository *repo, const char *path, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, INDEX_CEILING);
    char *dir = path_dir(path), *index = path_join(git_repository_path(repo), "index");
    bool good = file_read(index, &bytes, err) && dir_make(dir, 0700, err);
    const struct file_spec spec = {.path = path, .data = bytes.data, .len = bytes.len,
        .mode = 0600};
    good = good && file_replace(&spec, err);
    mem_free(index);
    mem_free(dir);
    buf_fini(&bytes);
    return good;
}
