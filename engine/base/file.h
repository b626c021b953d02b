/* Files and directories, whole at a time. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* "a FIFO", "a directory", as a sentence says what is there; NULL for a regular file. */
const char *file_kind(mode_t mode);

/* ERR_CONFLICT when a file that is renamed to path would take the place of what is no file. */
bool file_replaceable(const char *path, struct err *err);

/* A descriptor to read from, which never waits; -1 for a directory, FIFO or socket (ERR_CONFLICT),
   save a pipe that this process was given ("/dev/fd/N"). */
int file_open(const char *path, struct err *err);

/* Adds the file's bytes to out; more than out may hold is ERR_LIMIT. Opened as by file_open; a pipe
   that this process was given is waited for, 10 s at a time. */
bool file_read(const char *path, struct buf *out, struct err *err);

/* Readers see the old content or all of the new, never a part: written beside it, synced when
   durable, renamed over it. mode counts for a new file only; an old one keeps its own. A character
   device is written to; anything else that is no file is ERR_CONFLICT, as for file_append. */
struct file_spec {
    const char *path;
    const void *data;
    size_t len;
    mode_t mode; /* 0 = 0666 less the umask */
    bool durable;
};
bool file_replace(const struct file_spec *spec, struct err *err);
bool file_append(const struct file_spec *spec, struct err *err);

/* The directory and every parent it lacks; one that is there is good. */
bool dir_make(const char *path, mode_t mode, struct err *err);

/* Deletes a file or a whole tree without following a symbolic link; absent is good. stop (may be
   NULL) is looked at for each entry and ends the work with ERR_CANCELLED. */
bool tree_remove(const char *path, const atomic_bool *stop, struct err *err);

/* Writes all of it, whatever write(2) takes at a time. */
bool fd_write(int fd, const void *data, size_t len);

#endif
