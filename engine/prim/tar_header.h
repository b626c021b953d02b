/* The header of one entry: plain ustar where it fits, else a pax header ahead of it. Names are
   bytes.

   Made here and not by libarchive, because that writes a pax header before every entry once names
   are to be bytes; BuildKit takes an archive that begins with one for a Dockerfile. */
#ifndef PRIM_TAR_HEADER_H
#define PRIM_TAR_HEADER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"

enum { TAR_BLOCK = 512 };

struct tar_entry {
    const char *path;      /* relative, no trailing slash; bytes */
    const struct stat *st; /* type, mode, mtime, size; owners are written as 0 */
    const char *link;      /* target of a symbolic link */
    const char *twin;      /* path of an earlier entry: a hard link to it, without content */
    const void *capability; /* the attribute security.capability; NULL = it has none */
    size_t capability_len;
};

/* Does content follow the header? */
bool tar_header_has_content(const struct tar_entry *entry);
/* Adds whole blocks to out; false when out's ceiling is too low. */
bool tar_header(struct buf *out, const struct tar_entry *entry);

#endif
