/* Paths that a repository must not make us write. */
#ifndef PRIM_REPO_SAFE_H
#define PRIM_REPO_SAFE_H

#include <stdbool.h>

/* A relative path without empty, "." and ".." parts, in which no part is ".git" to any file system
   that git knows: in any case, as "git~1", with dots, blanks or a stream behind it, with characters
   between that HFS+ ignores, or behind a backslash. */
bool safe_path(const char *path);

#endif
