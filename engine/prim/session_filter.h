/* Which paths of a directory the daemon wants, as fsutil decides it: include patterns, exclude
   patterns, and paths whose symbolic links are followed and then included. */
#ifndef PRIM_SESSION_FILTER_H
#define PRIM_SESSION_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/descent.h"

struct filter;

/* Patterns as the daemon sent them. */
struct filter_spec {
    int root; /* the directory */
    const char *const *include, *const *exclude, *const *follow;
    size_t include_count, exclude_count, follow_count;
};

/* Reads links below root: not on the loop. ERR_USAGE for a pattern that fsutil refuses,
   ERR_LIMIT. */
struct filter *filter_new(const struct filter_spec *spec, struct err *err);
void filter_free(struct filter *filter);
/* Bytes of the state of a path. */
size_t filter_state_size(const struct filter *filter);
/* About path, relative to root; above is the state of its directory (NULL at the top), state its
   own to fill. For one thread. */
enum descent_verdict filter_judge(struct filter *filter, const char *path, bool is_dir,
                                  const bool *above, bool *state);

#endif
