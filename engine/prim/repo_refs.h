/* Names of a repository, and which of them a wish means. */
#ifndef PRIM_REPO_REFS_H
#define PRIM_REPO_REFS_H

#include <git2.h>

#include "base/err.h"

enum { REFS_BYTES_MAX = 128 << 20 }; /* that a server may tell of; over a million refs */

struct ref {
    char *name; /* "refs/heads/main" */
    git_oid id;
};

struct refs {
    struct ref *list;
    size_t count, room;
};

/* What to check out, once known. */
struct target {
    char *ref;      /* full name, NULL when only a commit was asked for */
    git_oid tip;    /* what ref pointed to; unset without one */
    git_oid commit; /* the commit to be checked out */
    struct refs tags; /* all tags, when they were asked for */
};

void refs_add(struct refs *refs, const char *name, const git_oid *id);
const struct ref *refs_find(const struct refs *refs, const char *name);
void refs_fini(struct refs *refs);
/* All of a repository on this machine; symbolic ones are followed, broken ones left out. */
bool refs_read(struct refs *refs, git_repository *repo, const char *pattern, struct err *err);

enum { REFS_WISH_FORMS = 2 };
/* The full names that a wish may mean, best first: a branch before a tag. NULL when there is no
   such form. Caller frees. */
char *refs_wish_form(const char *wish, int form);
/* ERR_MISSING with the names that are near. */
bool refs_missing(const struct refs *refs, const char *wish, const char *where, struct err *err);

void target_fini(struct target *target);
/* The commit that id is or leads to. */
bool target_peel(git_repository *repo, const git_oid *id, git_oid *commit);

#endif
