/* Reads a tar that need not be trusted, plain or in gzip or zstd. For one thread. */
#ifndef PRIM_TAR_IN_H
#define PRIM_TAR_IN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { TAR_NAME_MAX = 4096, TAR_SHOWN_SIZE = 256 };

struct tar_in_spec {
    const char *file;
    unsigned long long entries_max, bytes_max; /* bytes: the sum of what the entries claim */
    bool any_expansion; /* else what is compressed ends at 4 GiB or 1,000 times its file's size,
                           whichever is more */
    const atomic_bool *stop;
};

enum tar_type { TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK, TAR_HARDLINK, TAR_FIFO, TAR_CHAR,
    TAR_BLOCK_DEVICE,
                TAR_SOCKET };

/* One entry; the texts are gone with the next. */
struct tar_item {
    const char *path;
    const char *link; /* of a symbolic or hard link, else NULL */
    enum tar_type type;
    unsigned mode;
    long long size; /* of a file, not negative */
    long long mtime;
};

struct tar_in;

struct tar_in *tar_in_open(const struct tar_in_spec *spec, struct err *err);
void tar_in_close(struct tar_in *in);
/* The next entry; *end is set in place of one at the archive's end. ERR_REMOTE: malformed or cut
   short; ERR_LIMIT at a ceiling; ERR_CANCELLED. */
bool tar_in_next(struct tar_in *in, struct tar_item *item, bool *end, struct err *err);
/* The next piece of a file's content and its place in the file; *len is 0 at the end. */
bool tar_in_data(struct tar_in *in, const void **data, size_t *len, long long *offset,
                 struct err *err);
/* How many entries and bytes came so far. */
unsigned long long tar_in_entries(const struct tar_in *in);
unsigned long long tar_in_bytes(const struct tar_in *in);

/* A name that may hold anything, cut and made printable for a message. Returns out. */
const char *tar_shown(const char *name, char out[TAR_SHOWN_SIZE]);

#endif
