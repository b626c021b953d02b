/* Packs paths below a directory into a compressed tar, the same bytes for the same tree. */
#ifndef PRIM_TAR_PACK_H
#define PRIM_TAR_PACK_H

#include "loop/loop.h"
#include "prim/tar_names.h"
#include "prim/tar_out.h"

struct tar_pack_spec {
    const char *root;
    const char *const *paths; /* filepath.Glob patterns or plain, relative to root; "." = all */
    size_t path_count;
    const char *file; /* written beside itself, then renamed */
    enum tar_compression compression;
    int level;
    bool fixed_mtime;
    long long mtime;
};

struct tar_pack_result {
    struct err err;
    char digest[TAR_DIGEST_SIZE], diff_id[TAR_DIGEST_SIZE];
    unsigned long long size, entries, bytes;
    struct tar_names names; /* what is no directory, sorted; done may take it away */
};

typedef void tar_pack_done(void *arg, struct tar_pack_result *result);

struct tar_pack;

/* Works on a thread of its own. */
struct tar_pack *tar_pack_start(struct loop *loop, const struct tar_pack_spec *spec,
                                tar_pack_done *done, void *arg, struct err *err);
void tar_pack_cancel(struct tar_pack *pack);

#endif
