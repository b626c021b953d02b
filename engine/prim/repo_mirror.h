/* Bare repositories that hold what was fetched from a URL, shared between runs and processes.

   The lock is flock on NAME.git.lock: it ends with the process that holds it, however that ended.
   Work trees read a mirror's objects through objects/info/alternates: nothing may be pruned from it
   while they are in use, and orch never does. */
#ifndef PRIM_REPO_MIRROR_H
#define PRIM_REPO_MIRROR_H

#include <git2.h>

#include "base/err.h"
#include "prim/repo_url.h"

struct mirror {
    git_repository *repo;
    char *path;
    int lock;
};

/* Makes it if need be, and waits while another process fetches into it. */
bool mirror_open(struct mirror *mirror, const char *dir, const struct url *url, struct err *err);
/* Safe twice, and on one that is all zero but for lock = -1. */
void mirror_close(struct mirror *mirror);

/* Where url's mirror lies. Caller frees. */
char *mirror_path(const char *dir, const struct url *url);
/* Deletes what a killed fetch left in a git directory that nobody else works in. */
void mirror_sweep(const char *git_dir);
/* As mirror_sweep, but does nothing when the mirror is in use. */
void mirror_sweep_idle(const char *path);

#endif
