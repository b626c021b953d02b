#include "base/twins.h"

#include <stdbool.h>

#include "base/mem.h"

struct twin { /* of a hash table */
    dev_t dev;
    ino_t ino;
    uint32_t number;
    bool used;
};

static struct twin *place_of(const struct twins *twins, dev_t dev, ino_t ino)
{
    size_t i = (size_t)(ino * 0x9E3779B97F4A7C15u ^ dev);
    for (;; i++) {
        struct twin *twin = &twins->list[i & (twins->room - 1)];
        if (!twin->used || (twin->ino == ino && twin->dev == dev))
            return twin;
    }
}

static void grow(struct twins *twins)
{
    struct twin *old = twins->list;
    const size_t room = twins->room;
    twins->room = room ? room * 2 : 64;
    twins->list = mem_alloc(twins->room * sizeof *twins->list);
    for (size_t i = 0; i < room; i++)
        if (old[i].used)
            *place_of(twins, old[i].dev, old[i].ino) = old[i];
    mem_free(old);
}

void twins_fini(struct twins *twins)
{
    mem_free(twins->list);
}

uint32_t twins_find(struct twins *twins, const struct stat *st, uint32_t number)
{
    if (st->st_nlink < 2)
        return TWIN_NONE;
    if (twins->count * 2 >= twins->room)
        grow(twins);
    struct twin *twin = place_of(twins, st->st_dev, st->st_ino);
    if (twin->used)
        return twin->number;
    if (twins->count < TWINS_MAX) {
        *twin = (struct twin){st->st_dev, st->st_ino, number, true};
        twins->count++;
    }
    return TWIN_NONE;
}
