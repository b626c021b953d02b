/* A walk down a directory tree: the names of each directory in the order of their bytes, a
   directory before what is in it. For one thread; memory grows with the depth, not with the
   tree. */
#ifndef BASE_DESCENT_H
#define BASE_DESCENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

enum { DESCENT_DEPTH_MAX = 1000 };

enum descent_verdict {
    DESCENT_SKIP,
    DESCENT_ENTER, /* a directory whose entry is told only when something below it is kept */
    DESCENT_KEEP,
};

struct descent_entry {
    const char *path; /* relative to the root, clean */
    const struct stat *st;
    size_t depth;     /* 0 at the top */
    int dir;          /* where name is; with "." the entry itself */
    const char *name;
};

struct descent_spec {
    int root;                /* stays the caller's */
    const char *shown;       /* the root's path, in errors; borrowed, as what follows */
    const char *doing;       /* "sending": what a walk that is cancelled was for */
    const atomic_bool *stop; /* NULL = cannot be cancelled */
    size_t state_size;
    /* What is to become of path. above is the state of its directory (NULL at the top), state its
       own to fill: state_size bytes of zero. */
    enum descent_verdict (*judge)(void *arg, const char *path, const struct stat *st,
        const void *above,
                                  void *state);
    /* For each that is kept; false ends the walk, with err set. */
    bool (*entry)(void *arg, const struct descent_entry *entry, struct err *err);
    /* Opens the directory that a symbolic link leads to, which judge says to enter; -1 and errno.
       NULL = such a link is skipped. */
    int (*through)(void *arg, const char *path);
    void *arg;
};

/* ERR_CANCELLED, ERR_LIMIT, ERR_FAILED for a link that leads out (EXDEV), ERR_IO and its like; what
   is gone by the time it is looked at is left out. */
bool descent_run(const struct descent_spec *spec, struct err *err);

#endif
