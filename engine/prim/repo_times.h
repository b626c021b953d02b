/* The times of a checkout's files, kept for the next checkout into another directory.

   What goes by size and time (a build context, rsync, make over a kept directory) then sees what
   it would in one work tree that each run updates: a file of the same content has its old time. */
#ifndef PRIM_REPO_TIMES_H
#define PRIM_REPO_TIMES_H

#include <git2.h>

#include "base/err.h"

/* Gives the files of repo's work tree the times that they have in the index kept at path, where
   path, mode and blob are the same, and corrects repo's own index. No such index, or none that can
   be read, is good. */
bool times_take(git_repository *repo, const char *path, struct err *err);
/* Keeps repo's index at path; the directories it lacks are made. */
bool times_keep(git_repository *repo, const char *path, struct err *err);

#endif
