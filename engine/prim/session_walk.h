/* Walks a directory in fsutil's order and tells each entry that the filter keeps, parents first.
   For one thread; of each entry its name is remembered, so that a file can be opened by its
   number. */
#ifndef PRIM_SESSION_WALK_H
#define PRIM_SESSION_WALK_H

#include <stdint.h>

#include "base/descent.h"
#include "prim/session_filter.h"

struct walk;

struct walk_entry {
    const char *path; /* relative, clean */
    const struct stat *st;
    const char *link; /* target of a symbolic link, or path of an earlier entry: a hard link */
    int dir;          /* where name is; -1 = it is no file */
    const char *name;
};

struct walk_spec {
    int root;          /* stays the caller's */
    const char *shown; /* the directory's path in errors; borrowed */
    struct filter *filter;
    const atomic_bool *stop;
    /* For each entry; false ends the walk, with err set. */
    bool (*entry)(void *arg, const struct walk_entry *entry, struct err *err);
    void *arg;
};

struct walk *walk_new(const struct walk_spec *spec);
void walk_free(struct walk *walk);
/* The errors of descent_run. */
bool walk_run(struct walk *walk, struct err *err);
/* Opens the regular file that was the number-th entry; once each. -1 and err (remote: no such file,
   asked before; missing, conflict: it has changed). */
int walk_open(struct walk *walk, uint32_t number, struct err *err);
/* The path of an entry that was told; caller frees. */
char *walk_path(const struct walk *walk, uint32_t number);

#endif
