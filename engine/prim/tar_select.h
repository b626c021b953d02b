/* Which paths below a directory a list of filepath.Glob patterns names. */
#ifndef PRIM_TAR_SELECT_H
#define PRIM_TAR_SELECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "prim/tar_tree.h"

struct selection {
    char **paths; /* sorted; "." selects all */
    size_t count, room;
};

/* ERR_USAGE: a pattern that is malformed, absolute or leads out by "..". */
bool select_check(const char *const *patterns, size_t count, struct err *err);
/* Looks at the disk. A pattern that matches nothing adds nothing; ERR_MISSING when none did. */
bool select_find(struct selection *selection, const char *root, const char *const *patterns,
                 const atomic_bool *stop, struct err *err);
void select_fini(struct selection *selection);

/* A judge for tree_write; the state is one bool: below a selected path. */
enum descent_verdict select_judge(void *selection, const char *path, bool is_dir,
                                  const void *above, void *state);

#endif
