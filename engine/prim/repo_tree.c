#include "prim/repo_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git2/sys/repository.h>

#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_filter.h"
#include "prim/repo_lib.h"
#include "prim/repo_safe.h"
#include "prim/repo_spot.h"
#include "prim/repo_talk.h"

enum {
    BLOCK = 64,        /* entries a thread takes at a time: neighbours share a directory */
    THREADS_MAX = 8,
    THREAD_FILES = 128, /* fewer files are not worth another thread */
};

struct tree {
    git_repository *repo;
    git_odb *odb; /* libgit2's one object that threads may share */
    const char *top;
    int top_fd;
    git_index *index; /* the new one */
    git_index *old;   /* NULL in a fresh repository */
    struct timespec old_time; /* files this young may have changed after it was written, unseen */
    char *index_path, *new_path;
    size_t count;
    unsigned char *keep; /* per entry: the file is right already */
    bool filtered;
    atomic_size_t next, files, bytes;
    atomic_bool failed;
    pthread_mutex_t mutex; /* of err */
    struct err err;
};

/* --- one entry ---------------------------------------------------------------------------- */

/* libgit2 would copy the entry to change it; they are plain memory that no one else looks at. */
static git_index_entry *entry_at(git_index *index, size_t i)
{
    return (git_index_entry *)git_index_get_byindex(index, i);
}

static void note(git_index_entry *entry, const struct stat *st)
{
    entry->ctime = (git_index_time){(int32_t)st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec};
    entry->mtime = (git_index_time){(int32_t)st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec};
    entry->dev = (uint32_t)st->st_dev;
    entry->ino = (uint32_t)st->st_ino;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->file_size = (uint32_t)st->st_size;
}

static bool write_entry(struct tree *tree, struct spot *spot, git_repository *own, size_t i,
                        struct err *err)
{
    git_index_entry *entry = entry_at(tree->index, i);
    struct spot_file file = {.path = entry->path, .mode = entry->mode};
    struct stat st;
    if ((entry->mode & S_IFMT) == GIT_FILEMODE_COMMIT)
        return spot_write(spot, &file, &st, err);
    git_odb_object *object = NULL;
    git_buf converted = GIT_BUF_INIT;
    if (own && S_ISREG(entry->mode) && !filter_apply(own, entry, &converted, err))
        return false;
    if (converted.ptr) {
        file.data = converted.ptr;
        file.len = converted.size;
    } else {
        int rc = git_odb_read(&object, tree->odb, &entry->id);
        if (rc != 0)
            return lib_fail_as(err, rc, "cannot read %s of the commit", entry->path);
        file.data = git_odb_object_data(object);
        file.len = git_odb_object_size(object);
    }
    bool good = spot_write(spot, &file, &st, err);
    if (good)
        note(entry, &st);
    tree->files++;
    tree->bytes += file.len;
    git_buf_dispose(&converted);
    git_odb_object_free(object);
    return good;
}

/* --- the threads -------------------------------------------------------------------------- */

static void keep_error(struct tree *tree, const struct err *err)
{
    pthread_mutex_lock(&tree->mutex);
    if (!tree->failed)
        tree->err = *err;
    tree->failed = true;
    pthread_mutex_unlock(&tree->mutex);
}

/* A thread's own repository, for converting. It reads attributes in the work tree and in its index,
   which must be the new one. */
static bool open_own(const struct tree *tree, git_repository **own, struct err *err)
{
    git_index *index = NULL;
    int rc = git_repository_open(own, tree->top);
    if (rc == 0)
        rc = git_index_open(&index, tree->new_path);
    if (rc == 0)
        rc = git_repository_set_index(*own, index);
    git_index_free(index);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot open %s", tree->top);
}

static void *write_blocks(void *arg)
{
    struct tree *tree = arg;
    struct spot spot;
    struct err err;
    git_repository *own = NULL;
    spot_init(&spot, tree->top, tree->top_fd, tree->old != NULL);
    if (tree->filtered && !open_own(tree, &own, &err))
        keep_error(tree, &err);
    for (size_t from; !tree->failed &&
        (from = atomic_fetch_add(&tree->next, BLOCK)) < tree->count;) {
        for (size_t i = from; i < from + BLOCK && i < tree->count && !tree->failed; i++)
            if (!tree->keep[i] && !write_entry(tree, &spot, own, i, &err))
                keep_error(tree, &err);
        talk_progress("checkout", from, tree->count, tree->bytes);
    }
    git_repository_free(own);
    spot_fini(&spot);
    return NULL;
}

static bool write_all(struct tree *tree, size_t todo, struct err *err)
{
    pthread_t threads[THREADS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = todo / THREAD_FILES + 1, started = 0;
    if (wanted > (size_t)cores)
        wanted = cores > 0 ? (size_t)cores : 1;
    for (; started + 1 < wanted && started < THREADS_MAX; started++)
        if (pthread_create(&threads[started], NULL, write_blocks, tree) != 0)
            break;
    write_blocks(tree);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (tree->failed && err)
        *err = tree->err;
    return !tree->failed;
}

/* --- what is there already ---------------------------------------------------------------- */

static bool earlier(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool unchanged(const struct tree *tree, const git_index_entry *old, const struct stat *st)
{
    const bool link = S_ISLNK(old->mode);
    return (link ? S_ISLNK(st->st_mode) : S_ISREG(st->st_mode)) &&
           old->mtime.seconds == (int32_t)st->st_mtim.tv_sec &&
           (old->mtime.nanoseconds == 0 ||
            old->mtime.nanoseconds == (uint32_t)st->st_mtim.tv_nsec) &&
           old->ctime.seconds == (int32_t)st->st_ctim.tv_sec &&
           old->ino == (uint32_t)st->st_ino && old->file_size == (uint32_t)st->st_size &&
           (link || ((old->mode & 0100) != 0) == ((st->st_mode & 0100) != 0)) &&
           earlier(&st->st_mtim, &tree->old_time);
}

/* Both are sorted by path. Returns how many entries are to be written. */
static size_t plan(struct tree *tree)
{
    struct spot spot;
    spot_init(&spot, tree->top, tree->top_fd, false);
    size_t todo = 0, at = 0, olds = tree->old ? git_index_entrycount(tree->old) : 0;
    for (size_t i = 0; i < tree->count; i++) {
        git_index_entry *entry = entry_at(tree->index, i);
        const git_index_entry *old = NULL;
        while (at < olds && (old = git_index_get_byindex(tree->old, at)) &&
               strcmp(old->path, entry->path) < 0)
            at++;
        struct stat st;
        if (at < olds && old && strcmp(old->path, entry->path) == 0 &&
            git_index_entry_stage(old) == 0 && old->mode == entry->mode &&
            git_oid_equal(&old->id, &entry->id) &&
            (entry->mode & S_IFMT) != GIT_FILEMODE_COMMIT &&
            spot_look(&spot, entry->path, &st) && unchanged(tree, old, &st)) {
            note(entry, &st);
            tree->keep[i] = 1;
        } else {
            todo++;
        }
    }
    spot_fini(&spot);
    return todo;
}

static bool remove_gone(struct tree *tree, git_index *old, struct err *err)
{
    struct spot spot;
    spot_init(&spot, tree->top, tree->top_fd, true);
    bool good = true;
    for (size_t i = 0; good && i < git_index_entrycount(old); i++) {
        const char *path = git_index_get_byindex(old, i)->path;
        if (!git_index_get_bypath(tree->index, path, 0) && safe_path(path))
            good = spot_remove(&spot, path, err);
    }
    spot_fini(&spot);
    return good;
}

/* --- what the commit says ----------------------------------------------------------------- */

static bool read_commit(struct tree *tree, const git_oid *id, struct err *err)
{
    git_commit *commit = NULL;
    git_tree *root = NULL;
    int rc = git_commit_lookup(&commit, tree->repo, id);
    if (rc == 0)
        rc = git_commit_tree(&root, commit);
    bool good = rc == 0 ? safe_tree(root, err)
                        : lib_fail_as(err, rc, "cannot read the commit's tree");
    if (good && (rc = git_index_read_tree(tree->index, root)) != 0)
        good = lib_fail_as(err, rc, "cannot read the commit's tree");
    git_tree_free(root);
    git_commit_free(commit);
    if (!good)
        return false;
    tree->count = git_index_entrycount(tree->index);
    tree->keep = mem_alloc(tree->count + 1);
    return safe_index(tree->index, err);
}

/* --- the whole ---------------------------------------------------------------------------- */

/* The index of a checkout that was killed on its way tells which files it may have left. */
static bool remove_interrupted(struct tree *tree, git_index *left, struct err *err)
{
    bool good = !left || remove_gone(tree, left, err);
    git_index_free(left);
    return good;
}

static bool open_indexes(struct tree *tree, git_index **left, struct err *err)
{
    tree->index_path = path_join(git_repository_path(tree->repo), "index");
    tree->new_path = path_join(git_repository_path(tree->repo), "orch-index");
    struct stat st;
    int rc = 0;
    if (stat(tree->index_path, &st) == 0) {
        char *lock = path_join(git_repository_path(tree->repo), "index.lock");
        bool locked = access(lock, F_OK) == 0;
        mem_free(lock);
        if (locked)
            return err_set(err, ERR_CONFLICT,
                "a git program is at work in %s, or was killed: delete "
                                              "%sindex.lock in that case", tree->top,
                           git_repository_path(tree->repo));
        tree->old_time = st.st_mtim;
        rc = git_index_open(&tree->old, tree->index_path);
    }
    if (rc == 0 && access(tree->new_path, F_OK) == 0)
        if (git_index_open(left, tree->new_path) != 0)
            *left = NULL;
    unlink(tree->new_path);
    if (rc == 0)
        rc = git_index_open(&tree->index, tree->new_path);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot read the index of %s", tree->top);
}

static bool save(struct tree *tree, bool final, struct err *err)
{
    int rc = git_index_write(tree->index);
    if (rc != 0)
        return lib_fail_as(err, rc, "cannot write the index of %s", tree->top);
    if (final && rename(tree->new_path, tree->index_path) != 0)
        return err_system(err, errno, "cannot write %s", tree->index_path);
    return true;
}

/* Attributes first: converting the others reads them in the work tree. */
static bool write_attributes(struct tree *tree, struct err *err)
{
    struct spot spot;
    spot_init(&spot, tree->top, tree->top_fd, tree->old != NULL);
    bool good = true;
    for (size_t i = 0; good && i < tree->count; i++)
        if (!tree->keep[i] &&
            strcmp(path_base(entry_at(tree->index, i)->path), ".gitattributes") == 0)
            tree->keep[i] = good = write_entry(tree, &spot, NULL, i, err);
    spot_fini(&spot);
    return good;
}

static bool update(struct tree *tree, git_index *left, struct err *err)
{
    size_t todo = plan(tree);
    tree->filtered = todo > 0 && filter_needed(tree->repo, tree->index);
    if ((tree->old || tree->filtered) && !save(tree, false, err))
        return false;
    if (tree->old && !remove_gone(tree, tree->old, err))
        return false;
    return remove_interrupted(tree, left, err) &&
           (!tree->filtered || write_attributes(tree, err)) && write_all(tree, todo, err) &&
           save(tree, true, err);
}

bool tree_checkout(git_repository *repo, const git_oid *commit, struct tree_stats *stats,
                   struct err *err)
{
    struct tree tree = {.repo = repo, .top = git_repository_workdir(repo), .top_fd = -1,
                        .mutex = PTHREAD_MUTEX_INITIALIZER};
    git_index *left = NULL;
    bool good = git_repository_odb(&tree.odb, repo) == 0;
    if (!good)
        lib_fail(err, ERR_IO, "cannot open the objects of %s", tree.top);
    if (good) {
        tree.top_fd = open(tree.top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        good = tree.top_fd >= 0 ? true : err_system(err, errno, "cannot open %s", tree.top);
    }
    good = good && open_indexes(&tree, &left, err) && read_commit(&tree, commit, err);
    if (good)
        good = update(&tree, left, err);
    else
        git_index_free(left);
    *stats = (struct tree_stats){tree.files, tree.bytes};
    git_index_free(tree.index);
    git_index_free(tree.old);
    git_odb_free(tree.odb);
    if (tree.top_fd >= 0)
        close(tree.top_fd);
    mem_free(tree.keep);
    mem_free(tree.index_path);
    mem_free(tree.new_path);
    return good;
}
