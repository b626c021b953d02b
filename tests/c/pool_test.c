#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "test.h"

enum { BLOCKS = 500, ROUNDS = 20000, SIZE_MAX_TESTED = 3 * POOL_BLOCK_MAX };

struct held {
    unsigned char *data;
    size_t size;
    unsigned char mark;
};

static bool is_marked(const struct held *held, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (held->data[i] != held->mark)
            return false;
    return true;
}

/* Sizes on both sides of every limit, the same on each run. */
static size_t next_size(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    const uint32_t number = *state >> 8;
    return number % 4 == 0 ? number % SIZE_MAX_TESTED : number % 100;
}

static void test_many(void)
{
    static struct held blocks[BLOCKS];
    struct pool *pool = pool_new();
    uint32_t state = 1;
    bool kept = true, aligned = true;
    test_it("blocks keep what is in them while others grow, shrink and go");
    for (int round = 0; round < ROUNDS; round++) {
        struct held *held = &blocks[(unsigned)round * 7919 % BLOCKS];
        const size_t size = next_size(&state);
        kept = kept && is_marked(held, held->size);
        held->data = pool_resize(pool, held->data, held->size, size);
        kept = kept && (held->data != NULL) == (size > 0);
        kept = kept && is_marked(held, held->size < size ? held->size : size);
        aligned = aligned && (uintptr_t)held->data % 16 == 0;
        *held = (struct held){held->data, size, (unsigned char)round};
        if (size > 0)
            memset(held->data, held->mark, size);
    }
    CHECK(kept);
    test_it("blocks are aligned for whatever is in them");
    CHECK(aligned);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i].data = pool_resize(pool, blocks[i].data, blocks[i].size, 0);
    pool_free(pool);
}

static void test_sizes(void)
{
    struct pool *pool = pool_new();
    test_it("nothing is had for a size of 0, whatever the old size says");
    CHECK(!pool_resize(pool, NULL, 5, 0) && !pool_resize(pool, NULL, 0, 0));
    test_it("what moves to and from malloc keeps what fits");
    char *text = pool_resize(pool, NULL, 0, 6);
    memcpy(text, "whole", 6);
    text = pool_resize(pool, text, 6, POOL_BLOCK_MAX + 1);
    CHECK(strcmp(text, "whole") == 0);
    text = pool_resize(pool, text, POOL_BLOCK_MAX + 1, 3);
    CHECK(memcmp(text, "who", 3) == 0);
    CHECK(!pool_resize(pool, text, 3, 0));
    pool_free(pool);
    pool_free(NULL);
}

void test_pool(void)
{
    test_many();
    test_sizes();
}
