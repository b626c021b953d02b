#include "prim/repo_mirror.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_lib.h"
#include "prim/repo_talk.h"

enum { NAME_MAX_LEN = 80, PATH_CEILING = 1 << 16, LOCK_POLL_MS = 50 };

char *mirror_path(const char *dir, const struct url *url)
{
    struct buf name;
    buf_init(&name, PATH_CEILING);
    const char *p = strstr(url->clean, "://");
    for (p = p ? p + 3 : url->clean; *p && name.len < NAME_MAX_LEN; p++)
        buf_char(&name, isalnum((unsigned char)*p) || (strchr("._-", *p) && name.len) ? *p : '-');
    git_oid id;
    char hex[13];
    git_odb_hash(&id, url->clean, strlen(url->clean), GIT_OBJECT_BLOB);
    buf_format(&name, "-%s.git", git_oid_tostr(hex, sizeof hex, &id));
    char *path = path_join(dir, name.data);
    buf_fini(&name);
    return path;
}

/* --- leftovers ---------------------------------------------------------------------------- */

static bool ends(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static void sweep_dir(const char *git_dir, const char *inner, bool (*left)(const char *name))
{
    char *path = path_join(git_dir, inner);
    DIR *dir = opendir(path);
    mem_free(path);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (left(entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static bool left_pack(const char *name)
{
    return strncmp(name, "pack_git2_", 10) == 0 || strncmp(name, "tmp_", 4) == 0;
}

static bool left_lock(const char *name)
{
    return ends(name, ".lock");
}

void mirror_sweep(const char *git_dir)
{
    sweep_dir(git_dir, "objects/pack", left_pack);
}

static void sweep_own(const char *path)
{
    mirror_sweep(path);
    sweep_dir(path, ".", left_lock);
    sweep_dir(path, "refs/orch", left_lock);
}

/* --- the lock ----------------------------------------------------------------------------- */

static int open_lock(const char *path)
{
    struct buf name;
    buf_init(&name, PATH_CEILING);
    buf_format(&name, "%s.lock", path);
    int fd = open(name.data ? name.data : "", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    buf_fini(&name);
    return fd;
}

static bool take_lock(struct mirror *mirror, struct err *err)
{
    mirror->lock = open_lock(mirror->path);
    if (mirror->lock < 0)
        return err_system(err, errno, "cannot open the lock of the mirror %s", mirror->path);
    while (flock(mirror->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_system(err, errno, "cannot lock the mirror %s", mirror->path);
        talk_progress("lock", 0, 0, 0);
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    return true;
}

void mirror_sweep_idle(const char *path)
{
    if (access(path, F_OK) != 0)
        return;
    int fd = open_lock(path);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        sweep_own(path);
    close(fd);
}

/* --- opening ------------------------------------------------------------------------------ */

static int make(git_repository **repo, const char *path)
{
    git_repository_init_options options;
    git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
    return git_repository_init_ext(repo, path, &options);
}

bool mirror_open(struct mirror *mirror, const char *dir, const struct url *url, struct err *err)
{
    *mirror = (struct mirror){.path = mirror_path(dir, url), .lock = -1};
    if (!dir_make(dir, 0777, err) || !take_lock(mirror, err))
        return false;
    sweep_own(mirror->path);
    int rc = git_repository_open_ext(&mirror->repo, mirror->path,
                                     GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE,
                                         NULL);
    if (rc != 0) { /* absent, or its making was cut short: nobody uses it yet */
        if (!tree_remove(mirror->path, NULL, err))
            return false;
        rc = make(&mirror->repo, mirror->path);
    }
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot make the mirror %s", mirror->path);
}

void mirror_close(struct mirror *mirror)
{
    git_repository_free(mirror->repo);
    mem_free(mirror->path);
    if (mirror->lock >= 0)
        close(mirror->lock);
    *mirror = (struct mirror){.lock = -1};
}
