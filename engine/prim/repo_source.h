/* Where a checkout's commit comes from. */
#ifndef PRIM_REPO_SOURCE_H
#define PRIM_REPO_SOURCE_H

#include <git2.h>

#include "base/err.h"
#include "prim/repo_refs.h"

/* A repository on this machine, bare or with a work tree (linked ones too): what ref, which may be
   NULL, and sha, which may be short or NULL, mean there. */
bool source_resolve(git_repository *repo, const char *where, const char *ref, const char *sha,
                    struct target *target, struct err *err);
/* Every object of source can be read through the git directory from now on, without a copy: its
   object directory, and those that it borrows from itself, are named in objects/info/alternates.
   A shallow source makes it shallow at the same commits. */
bool source_borrow(git_repository *source, const char *git_dir, struct err *err);

#endif
