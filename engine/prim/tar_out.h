/* Writes a tar archive: entries in, compressed bytes to a sink, digests on the way. For one
   thread. */
#ifndef PRIM_TAR_OUT_H
#define PRIM_TAR_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "prim/tar_header.h"

enum tar_compression { TAR_GZIP, TAR_ZSTD, TAR_NONE };

/* Takes the bytes of the file that is being made; false and err ends everything. */
typedef bool tar_sink(void *arg, const void *data, size_t len, struct err *err);

struct tar_out_spec {
    enum tar_compression compression;
    int level;    /* 0 = the usual one */
    bool digests; /* keep sha256 of what goes in and what comes out */
    tar_sink *sink;
    void *arg;
};

struct tar_out;

/* NULL and err when a library refuses. */
struct tar_out *tar_out_new(const struct tar_out_spec *spec, struct err *err);
void tar_out_free(struct tar_out *out);
/* Begins an entry; a regular file's st_size bytes must follow by tar_out_data. */
bool tar_out_entry(struct tar_out *out, const struct tar_entry *entry, struct err *err);
bool tar_out_data(struct tar_out *out, const void *data, size_t len, struct err *err);
/* The end of the archive; then the digests are there. */
bool tar_out_finish(struct tar_out *out, struct err *err);
/* Ends an uncompressed archive so that no reader takes the part for the whole: within a file's
   content, or else with a header that is none. */
void tar_out_break(struct tar_out *out);

/* "sha256:…" of the compressed bytes, or of the tar itself. */
enum { TAR_DIGEST_SIZE = 72 };
const char *tar_out_digest(const struct tar_out *out);
const char *tar_out_diff_id(const struct tar_out *out);
/* Bytes given to the sink. */
unsigned long long tar_out_size(const struct tar_out *out);

#endif
