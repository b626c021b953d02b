/* A commit's files, written by several threads. */
#ifndef PRIM_REPO_TREE_H
#define PRIM_REPO_TREE_H

#include <git2.h>

#include "base/err.h"

struct tree_stats {
    uint64_t files; /* written; those that were right already do not count */
    uint64_t bytes;
};

/* Makes repo's work tree and index what commit says, as git checkout --force does: files that git
   does not know survive unless they are in the way. The work tree's files are replaced, never
   written to, so that a hard link elsewhere keeps its bytes. */
bool tree_checkout(git_repository *repo, const git_oid *commit, struct tree_stats *stats,
                   struct err *err);

#endif
