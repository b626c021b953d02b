/* The Dockerfile of a build context, the file of patterns that belongs to it, and the paths that
   must be sent for it whatever the patterns say. */
#ifndef PRIM_TAR_DOCKERFILE_H
#define PRIM_TAR_DOCKERFILE_H

#include "base/ignore.h"
#include "prim/tar_context.h"

enum { DOCKERFILE_LINKS_MAX = 40 };

struct dockerfile {
    char *path;                             /* clean, relative to the context */
    char *needed[DOCKERFILE_LINKS_MAX + 2]; /* itself, the links on the way to it */
    size_t count;
};

/* ERR_MISSING names what is there in its place. */
bool dockerfile_find(struct dockerfile *dockerfile, const struct tar_context_spec *spec,
                     struct err *err);
void dockerfile_fini(struct dockerfile *dockerfile);
/* The patterns of "<Dockerfile>.dockerignore" or ".dockerignore"; *ignore stays NULL without
   one. */
bool dockerfile_ignore(struct dockerfile *dockerfile, const struct tar_context_spec *spec,
                       struct ignore **ignore, struct err *err);

bool dockerfile_needs(const struct dockerfile *dockerfile, const char *path);
/* Is something needed below the directory? */
bool dockerfile_is_below(const struct dockerfile *dockerfile, const char *dir);

#endif
