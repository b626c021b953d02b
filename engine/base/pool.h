/* Memory in small blocks, for one thread: those of a size are taken from the same chunks, without
   headers, and given back to be taken again. Built with a sanitizer it is plain malloc, so that
   each block is watched. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool;

struct pool *pool_new(void);
/* Frees all blocks that are at most POOL_BLOCK_MAX; larger ones are their owners' to free. NULL is
   good. */
void pool_free(struct pool *);
/* As realloc, told the old size (which counts only where there is an old block); size 0 frees. NULL
   when there is no memory, with the old block as it was. */
void *pool_resize(struct pool *, void *old, size_t old_size, size_t size);

enum { POOL_BLOCK_MAX = 512 }; /* bytes; larger blocks are malloc's */

#endif
