#include "prim/repo_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_mirror.h"

#define MAKING ".orch-checkout-new"
#define MADE ".orch-checkout-made" /* whole, but not all of it is moved up yet */

enum { PATH_CEILING = 1 << 16, TRIES = 100 };

/* --- names -------------------------------------------------------------------------------- */

static char *absolute(const char *path)
{
    char *here = getcwd(NULL, 0);
    char *full = path_join(here ? here : "/", path);
    mem_free(here);
    return full;
}

static char *beside(const char *into)
{
    struct buf name;
    buf_init(&name, PATH_CEILING);
    char *dir = path_dir(into);
    buf_format(&name, "%s/.%s" MAKING, dir, path_base(into));
    mem_free(dir);
    return buf_take(&name);
}

/* --- the directory it is made in ---------------------------------------------------------- */

static bool same_dir(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

/* A locked descriptor of path; -1 with errno, EWOULDBLOCK when another process holds it. */
static int lock_at(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int number = errno;
    close(fd);
    errno = number;
    return -1;
}

static bool take_work(struct place *place, struct err *err)
{
    for (int tries = 0; tries < TRIES; tries++) {
        const bool ours = mkdir(place->work, 0777) == 0;
        if (!ours && errno != EEXIST)
            return err_system(err, errno, "cannot make directory %s", place->work);
        int fd = lock_at(place->work);
        if (fd < 0 && errno == EWOULDBLOCK)
            break;
        if (fd < 0 && errno != ENOENT)
            return err_system(err, errno, "cannot lock %s", place->work);
        const bool same = fd >= 0 && same_dir(fd, place->work);
        if (ours && same) {
            place->lock = fd;
            return true;
        }
        bool good = !same || tree_remove(place->work, NULL, err); /* a killed helper's */
        if (fd >= 0)
            close(fd);
        if (!good)
            return false;
    }
    return err_set(err, ERR_CONFLICT, "another checkout into %s is running", place->into);
}

/* --- moving up ---------------------------------------------------------------------------- */

static bool move_up(const char *from, const char *name, const char *into, struct err *err)
{
    char *old = path_join(from, name), *new = path_join(into, name);
    bool good = renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) == 0;
    if (!good)
        err_system(err, errno, "cannot move %s to %s", old, new);
    mem_free(old);
    mem_free(new);
    return good;
}

static bool move_all_up(const char *from, const char *into, struct err *err)
{
    DIR *dir = opendir(from);
    if (!dir)
        return err_system(err, errno, "cannot open %s", from);
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, ".git") != 0)
            good = move_up(from, entry->d_name, into, err);
    closedir(dir);
    char *git = path_join(from, ".git");
    if (good && access(git, F_OK) == 0)
        good = move_up(from, ".git", into, err);
    mem_free(git);
    if (!good)
        return false;
    return rmdir(from) == 0 ? true : err_system(err, errno, "cannot delete %s", from);
}

/* Goes on where a helper was killed while moving. */
static bool finish_move(const char *into, struct err *err)
{
    char *made = path_join(into, MADE);
    int fd = lock_at(made);
    bool good = true;
    if (fd >= 0) {
        good = move_all_up(made, into, err);
        close(fd);
    } else if (errno == EWOULDBLOCK) {
        good = err_set(err, ERR_CONFLICT, "another checkout into %s is running", into);
    }
    mem_free(made);
    return good;
}

/* --- opening ------------------------------------------------------------------------------ */

static bool look(struct place *place, struct err *err)
{
    struct stat st;
    if (lstat(place->into, &st) != 0) {
        if (errno != ENOENT)
            return err_system(err, errno, "cannot look at %s", place->into);
        place->kind = PLACE_ABSENT;
        return true;
    }
    if (stat(place->into, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ERR_CONFLICT, "%s is there and is no directory", place->into);
    if (!finish_move(place->into, err))
        return false;
    DIR *dir = opendir(place->into);
    if (!dir)
        return err_system(err, errno, "cannot open %s", place->into);
    const char *odd = NULL;
    char name[256];
    place->kind = PLACE_EMPTY;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".git") == 0)
            place->kind = PLACE_REPO;
        else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strcmp(entry->d_name, MAKING) != 0) {
            snprintf(name, sizeof name, "%s", entry->d_name);
            odd = name;
        }
    }
    closedir(dir);
    if (odd && place->kind == PLACE_EMPTY)
        return err_set(err, ERR_CONFLICT,
                       "%s is neither empty nor a git repository: it holds %s; empty it or check out "
                       "elsewhere", place->into, odd);
    return true;
}

static bool take_repo(struct place *place, struct err *err)
{
    char *git = path_join(place->into, ".git");
    place->work = mem_text(place->into);
    place->lock = lock_at(git);
    mem_free(git);
    if (place->lock >= 0)
        return true;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "another checkout into %s is running", place->into);
    return err_system(err, errno, "cannot lock %s/.git", place->into);
}

bool place_open(struct place *place, const char *into, struct err *err)
{
    *place = (struct place){.into = absolute(into), .lock = -1};
    if (!look(place, err))
        return false;
    if (place->kind == PLACE_REPO)
        return take_repo(place, err);
    if (place->kind == PLACE_EMPTY) {
        place->work = path_join(place->into, MAKING);
        return take_work(place, err);
    }
    char *dir = path_dir(place->into);
    bool good = dir_make(dir, 0777, err);
    mem_free(dir);
    place->work = beside(place->into);
    return good && take_work(place, err);
}

/* --- closing ------------------------------------------------------------------------------ */

static void done(struct place *place)
{
    mem_free(place->work);
    place->work = NULL;
}

bool place_publish(struct place *place, struct err *err)
{
    if (place->kind == PLACE_REPO) {
        done(place);
        return true;
    }
    if (place->kind == PLACE_ABSENT) {
        if (rename(place->work, place->into) != 0)
            return err_system(err, errno, "cannot rename %s to %s", place->work, place->into);
        done(place);
        return true;
    }
    char *made = path_join(place->into, MADE);
    bool good = rename(place->work, made) == 0;
    if (!good) {
        err_system(err, errno, "cannot rename %s to %s", place->work, made);
    } else {
        done(place);
        good = move_all_up(made, place->into, err);
    }
    mem_free(made);
    return good;
}

void place_close(struct place *place)
{
    if (place->work && place->kind != PLACE_REPO && place->lock >= 0)
        tree_remove(place->work, NULL, NULL);
    if (place->lock >= 0)
        close(place->lock);
    mem_free(place->work);
    mem_free(place->into);
    *place = (struct place){.lock = -1};
}

static void sweep_one(const char *path)
{
    int fd = lock_at(path);
    if (fd < 0)
        return;
    tree_remove(path, NULL, NULL);
    close(fd);
}

void place_sweep(const char *into)
{
    char *full = absolute(into), *near = beside(full), *inside = path_join(full, MAKING);
    char *git = path_join(full, ".git");
    sweep_one(near);
    sweep_one(inside);
    int fd = lock_at(git);
    if (fd >= 0) {
        mirror_sweep(git);
        close(fd);
    }
    mem_free(git);
    mem_free(inside);
    mem_free(near);
    mem_free(full);
}
