/* Writing below a directory without ever following a symbolic link. */
#ifndef PRIM_REPO_SPOT_H
#define PRIM_REPO_SPOT_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

/* A place below top, kept open: neighbours in a sorted list share their directory. One per
   thread. */
struct spot {
    const char *shown; /* top's path, with a slash at its end */
    int top;
    bool replace; /* what is in the way of a file or directory goes */
    int fd;       /* of dir; -1 = none */
    char *dir;    /* relative; "" = top itself */
    size_t len;
};

void spot_init(struct spot *spot, const char *shown, int top, bool replace);
void spot_fini(struct spot *spot);

struct spot_file {
    const char *path;
    unsigned mode; /* as git's: 0100644, 0100755, 0120000, 0160000 */
    const void *data;
    size_t len;
};
/* Makes the file, link or (for a submodule) empty directory and the directories above it. */
bool spot_write(struct spot *spot, const struct spot_file *file, struct stat *st, struct err *err);
/* As lstat; false when it is not there or behind a link. */
bool spot_look(struct spot *spot, const char *path, struct stat *st);
/* Sets a file's time of change; st is what it is then. */
bool spot_date(struct spot *spot, const char *path, const struct timespec *time, struct stat *st,
               struct err *err);
/* Deletes the file and the directories above it that are empty then; absent is good. */
bool spot_remove(struct spot *spot, const char *path, struct err *err);

#endif
