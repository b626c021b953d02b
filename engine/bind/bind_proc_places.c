#include "bind/bind_proc.h"

#include <sys/resource.h>

#define PLACE "orch.proc.place"

enum {
    FILES_EACH = 4,      /* output, errors, input, the keeper's socket */
    FILES_RESERVED = 128, /* for all that is no child */
    PLACES_MIN = 16,
    PLACES_MAX = 10000,
};

struct places {
    size_t taken, max;
    struct place *first, *last; /* who waits */
};

static size_t count_places(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > FILES_EACH * PLACES_MAX)
        return PLACES_MAX;
    size_t files = (size_t)limit.rlim_cur;
    size_t count = files > FILES_RESERVED ? (files - FILES_RESERVED) / FILES_EACH : 0;
    return count > PLACES_MIN ? count : PLACES_MIN;
}

void places_leave(struct places *places)
{
    struct place *next = places->first;
    if (!next) {
        places->taken--;
        return;
    }
    places->first = next->next;
    next->taken = true;
    task_wake(next);
}

static void stop_queueing(void *op)
{
    struct place *place = op, **at = &place->places->first, *before = NULL;
    while (*at && *at != place) {
        before = *at;
        at = &before->next;
    }
    if (*at) {
        *at = place->next;
        if (place->places->last == place)
            place->places->last = before;
    }
    task_wake(place);
}

/* Also when the call raises: a cancellation, a wrong option. */
static int place_gc(lua_State *L)
{
    struct place *place = lua_touserdata(L, 1);
    if (place->taken)
        places_leave(place->places);
    place->taken = false;
    return 0;
}

static int k_place(lua_State *L, int status, lua_KContext context)
{
    return ((struct place *)context)->then(L, status, context);
}

int places_take(lua_State *L, struct places *places, lua_KFunction then)
{
    struct place *place = bind_wait(L, sizeof *place, PLACE, stop_queueing);
    place->places = places;
    place->then = then;
    lua_toclose(L, -1);
    if (places->taken < places->max) {
        places->taken++;
        place->taken = true;
        return then(L, LUA_OK, (lua_KContext)place);
    }
    if (places->first)
        places->last->next = place;
    else
        places->first = place;
    places->last = place;
    return bind_yield(L, place, k_place);
}

struct places *places_push(lua_State *L)
{
    bind_type(L, PLACE, NULL, place_gc);
    bind_closable(L, PLACE, place_gc);
    struct places *places = lua_newuserdatauv(L, sizeof *places, 0);
    *places = (struct places){.max = count_places()};
    return places;
}
