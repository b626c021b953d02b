/* From a remote repository into one on this machine. */
#ifndef PRIM_REPO_FETCH_H
#define PRIM_REPO_FETCH_H

#include <git2.h>

#include "base/err.h"
#include "prim/repo_refs.h"
#include "prim/repo_url.h"

struct fetch_spec {
    git_repository *repo; /* where objects go */
    const struct url *url;
    const char *user, *password; /* for url's host only */
    /* as the person wished it; NULL = the remote's HEAD, or only sha */
    const char *ref;
    const char *sha;             /* full; NULL = where ref points */
    bool tags;                   /* all of them too */
    bool pin; /* note what was fetched under refs/orch/…: a mirror, whose refs are nobody else's */
};

struct fetch_stats {
    uint64_t objects, bytes;
    bool hit; /* nothing had to come */
};

/* Only what is wanted is asked for. On success target's commit is in repo. */
bool fetch_run(const struct fetch_spec *spec, struct target *target, struct fetch_stats *stats,
               struct err *err);

#endif
