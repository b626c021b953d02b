/* Walks a directory tree depth first, each directory's names in the order of their bytes, and
   writes what the judge keeps to an archive. For one thread; memory does not grow with the files'
   sizes. */
#ifndef PRIM_TAR_TREE_H
#define PRIM_TAR_TREE_H

#include "base/descent.h"
#include "prim/tar_names.h"
#include "prim/tar_out.h"

struct tree_spec {
    const char *root;
    struct tar_out *out;
    const atomic_bool *stop;
    /* About path, relative to root. above is the state of its directory (NULL at the top), state
       its own to fill: state_size bytes. DESCENT_ENTER for a symbolic link to a directory goes
       through it. */
    enum descent_verdict (*judge)(void *arg, const char *path, bool is_dir, const void *above,
                                  void *state);
    void *arg;
    size_t state_size;
    bool fixed_mtime;
    long long mtime;
    bool special;    /* fifos and devices as such, sockets left out; else they are refused */
    bool capable;    /* with the capabilities of executables */
    dev_t skip_dev;  /* the archive itself, should it grow inside the tree; 0, 0 = none */
    ino_t skip_ino;
    struct tar_names *names; /* gets each path that is no directory; may be NULL */
};

struct tree_count {
    unsigned long long entries, files, bytes, skipped;
};

/* ERR_CONFLICT when a file changes while it is read, ERR_LIMIT at a ceiling, ERR_CANCELLED. */
bool tree_write(const struct tree_spec *spec, struct tree_count *count, struct err *err);

#endif
