/* A list of paths as bytes, with a ceiling on their length together. */
#ifndef PRIM_TAR_NAMES_H
#define PRIM_TAR_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct tar_names {
    struct buf text;   /* each with its NUL */
    const char **list; /* into text; there after tar_names_sort */
    size_t count;
};

void tar_names_init(struct tar_names *names);
void tar_names_fini(struct tar_names *names);
/* false at the ceiling. */
bool tar_names_add(struct tar_names *names, const char *path);
/* In the order of their bytes, each once. */
void tar_names_sort(struct tar_names *names);

#endif
