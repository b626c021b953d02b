/* The operation "info", and what is said of a commit. */
#ifndef PRIM_REPO_INFO_H
#define PRIM_REPO_INFO_H

#include <git2.h>

#include "prim/repo_talk.h"

/* Says its results through talk_text and talk_number. */
bool info_run(const struct ask *ask, struct err *err);
/* Says the commit's sha, subject, author and time. */
bool info_commit(git_repository *repo, const git_oid *id, struct err *err);

#endif
