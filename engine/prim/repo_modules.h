/* The submodules of a commit. */
#ifndef PRIM_REPO_MODULES_H
#define PRIM_REPO_MODULES_H

#include <git2.h>

#include "base/err.h"

struct module {
    char *name, *path; /* path is one of the index's submodule entries */
    char *url;         /* relative ones resolved against origin */
    char sha[GIT_OID_HEXSZ + 1];
};

struct modules {
    struct module *list;
    size_t count;
};

/* Those of repo's index; one without a usable URL in .gitmodules is an error. */
bool modules_read(struct modules *modules, git_repository *repo, struct err *err);
void modules_fini(struct modules *modules);
/* Notes in repo's configuration that it is checked out, as "git submodule init" does. */
bool modules_activate(git_repository *repo, const struct module *module, struct err *err);

#endif
