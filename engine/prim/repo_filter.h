/* Line ends and keywords: whether a commit's files are to be written as they are stored. */
#ifndef PRIM_REPO_FILTER_H
#define PRIM_REPO_FILTER_H

#include <git2.h>

#include "base/err.h"

/* Do configuration or a .gitattributes of the index ask for more than the stored bytes? In doubt
   yes: filter_apply then decides for each file. */
bool filter_needed(git_repository *repo, git_index *index);
/* The bytes to write for a blob, in out for git_buf_dispose; out->ptr NULL = as stored. Reads the
   .gitattributes of repo's work tree, which must be there already. repo is this thread's own. */
bool filter_apply(git_repository *repo, const git_index_entry *entry, git_buf *out,
    struct err *err);

#endif
