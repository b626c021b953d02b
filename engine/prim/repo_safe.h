/* Paths that a repository must not make us write. */
#ifndef PRIM_REPO_SAFE_H
#define PRIM_REPO_SAFE_H

#include <stdbool.h>

#include <git2.h>

#include "base/err.h"

/* A relative path without empty, "." and ".." parts, in which no part is ".git" to any file system
   that git knows: in any case, as "git~1", with dots, blanks or a stream behind it, with characters
   between that HFS+ ignores, or behind a backslash. */
bool safe_path(const char *path);
/* Every path of a commit's tree is safe, and no .gitmodules a link; err names the first one that is
   not. ERR_LIMIT when there are too many: a few small trees, each in the other ten times over, are
   any number of files. */
bool safe_tree(git_tree *root, struct err *err);
/* No path of an index goes through another, as if a link were a directory. */
bool safe_index(git_index *index, struct err *err);

#endif
