/* The directory a checkout is for, and the one it is made in: a killed helper leaves either nothing
   or what the next one recognises (nobody holds its flock) and deletes.

   An absent directory is made beside itself and renamed. An empty one keeps its inode, which may be
   mounted or be somebody's working directory: the tree is made inside it and moved up, ".git" last.
   A repository is updated in place. */
#ifndef PRIM_REPO_PLACE_H
#define PRIM_REPO_PLACE_H

#include "base/err.h"

enum place_kind { PLACE_ABSENT, PLACE_EMPTY, PLACE_REPO };

struct place {
    enum place_kind kind;
    char *into; /* absolute */
    char *work; /* where the work tree is made; into itself when it is a repository */
    int lock;
};

/* ERR_CONFLICT when into holds something else, or another checkout into it runs. */
bool place_open(struct place *place, const char *into, struct err *err);
/* From now on into is the whole work tree. */
bool place_publish(struct place *place, struct err *err);
/* Deletes what was not published. Safe twice, and on one that is all zero but for lock = -1. */
void place_close(struct place *place);
/* Deletes what a killed checkout into that directory left, unless one runs. */
void place_sweep(const char *into);

#endif
