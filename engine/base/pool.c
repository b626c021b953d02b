#include "base/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define PLAIN 1
#endif
#endif

enum {
    STEP = 16, /* what malloc aligns to; sizes are rounded up to it */
    CHUNK = 32 << 10,
};

struct block {
    struct block *next;
};

struct chunk {
    struct chunk *next;
    _Alignas(STEP) char room[];
};

struct pool {
    struct block *free[POOL_BLOCK_MAX / STEP + 1]; /* by size in steps */
    struct chunk *chunks;
    char *at; /* what of the newest chunk was never taken */
    size_t left;
};

struct pool *pool_new(void)
{
    return mem_alloc(sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (struct chunk *next, *chunk = pool->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    mem_free(pool);
}

#ifdef PLAIN

void *pool_resize(struct pool *pool, void *old, size_t old_size, size_t size)
{
    (void)pool;
    (void)old_size;
    if (size > 0)
        return realloc(old, size);
    free(old);
    return NULL;
}

#else

static size_t steps_of(size_t size)
{
    return (size + STEP - 1) / STEP;
}

static void put(struct pool *pool, void *at, size_t steps)
{
    struct block *block = at;
    block->next = pool->free[steps];
    pool->free[steps] = block;
}

/* What is left of the chunk before goes to those who need as little. */
static bool add_chunk(struct pool *pool)
{
    struct chunk *chunk = malloc(sizeof *chunk + CHUNK);
    if (!chunk)
        return false;
    if (pool->left > 0)
        put(pool, pool->at, pool->left / STEP);
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->at = chunk->room;
    pool->left = CHUNK;
    return true;
}

static void *take(struct pool *pool, size_t steps)
{
    struct block *block = pool->free[steps];
    if (block) {
        pool->free[steps] = block->next;
        return block;
    }
    const size_t size = steps * STEP;
    if (pool->left < size && !add_chunk(pool))
        return NULL;
    void *taken = pool->at;
    pool->at += size;
    pool->left -= size;
    return taken;
}

static void *take_any(struct pool *pool, size_t size)
{
    return size <= POOL_BLOCK_MAX ? take(pool, steps_of(size)) : malloc(size);
}

static void put_any(struct pool *pool, void *block, size_t size)
{
    if (size <= POOL_BLOCK_MAX)
        put(pool, block, steps_of(size));
    else
        free(block);
}

static void *move(struct pool *pool, void *old, size_t old_size, size_t size)
{
    void *block = take_any(pool, size);
    if (!block)
        return NULL;
    memcpy(block, old, old_size < size ? old_size : size);
    put_any(pool, old, old_size);
    return block;
}

void *pool_resize(struct pool *pool, void *old, size_t old_size, size_t size)
{
    const size_t max = POOL_BLOCK_MAX;
    if (!old)
        return size > 0 ? take_any(pool, size) : NULL;
    if (size == 0) {
        put_any(pool, old, old_size);
        return NULL;
    }
    if (old_size > max && size > max)
        return realloc(old, size);
    if (old_size <= max && size <= max && steps_of(old_size) == steps_of(size))
        return old;
    return move(pool, old, old_size, size);
}

#endif
