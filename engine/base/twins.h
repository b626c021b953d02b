/* Which files of a tree are one: hard links. */
#ifndef BASE_TWINS_H
#define BASE_TWINS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define TWIN_NONE UINT32_MAX

/* files with several names that are remembered; more are taken for new */
enum { TWINS_MAX = 1000 * 1000 };

struct twins { /* zero = empty */
    struct twin *list;
    size_t count, room;
};

void twins_fini(struct twins *twins);
/* The number of the first entry of the same file, or TWIN_NONE; then this one is remembered by
   number. */
uint32_t twins_find(struct twins *twins, const struct stat *st, uint32_t number);

#endif
