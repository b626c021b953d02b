/* Unpacks a tar that need not be trusted; lists one. */
#ifndef PRIM_TAR_UNPACK_H
#define PRIM_TAR_UNPACK_H

#include "loop/loop.h"
#include "prim/tar_in.h"
#include "prim/tar_names.h"

struct tar_unpack_spec {
    const char *file;
    const char *into; /* must be there; NULL = list the entries, or only read them without names */
    unsigned long long entries_max, bytes_max;
    bool any_expansion; /* see tar_in.h */
    bool names; /* give the paths, or the list */
};

/* An entry of a list; the texts stand in result.names, path first, then the link if there is
   one. */
struct tar_listed {
    enum tar_type type;
    unsigned mode;
    long long size;
    bool link;
};

struct tar_unpack_result {
    struct err err;
    unsigned long long entries, bytes;
    /* done may take it away; sorted, what is no directory, or of the list */
    struct tar_names names;
    struct tar_listed *listed; /* likewise; freed by mem_free */
};

typedef void tar_unpack_done(void *arg, struct tar_unpack_result *result);

struct tar_unpack;

/* Works on a thread of its own. Nothing outside `into` is made, changed or linked to; on an error
   what was unpacked stays. ERR_REMOTE: malformed or cut short; ERR_FAILED: an entry that leads out,
   a device, fifo or socket; ERR_LIMIT. */
struct tar_unpack *tar_unpack_start(struct loop *loop, const struct tar_unpack_spec *spec,
                                    tar_unpack_done *done, void *arg);
void tar_unpack_cancel(struct tar_unpack *unpack);

#endif
