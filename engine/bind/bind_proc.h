/* Shared by bind_proc*.c only. */
#ifndef BIND_BIND_PROC_H
#define BIND_BIND_PROC_H

#include "bind/bind.h"
#include "prim/proc.h"

/* Fills spec from the options at 1 of the named function, but for output; leaves what it borrows
   from on the stack. The caller frees the argv that it returns with mem_free. */
const char **proc_options(lua_State *L, const char *function, struct proc_spec *spec);

/* Pushes { code, signal, seconds, … }. */
void proc_push_result(lua_State *L, const struct proc_result *result);

/* proc.run { … } -> { code, signal, stdout, stderr, seconds, … } | nil, err */
int proc_l_run(lua_State *L);
void proc_run_type(lua_State *L);

/* How many children may run at once: each takes descriptors, and the rest of the program needs some
   too. Who comes when all places are taken waits for one. */
struct places;

struct place {
    struct wait wait;
    struct places *places;
    struct place *next; /* in the queue */
    lua_KFunction then;
    /* by this call; cleared by who keeps the place for a child, which leaves it at its end */
    bool taken;
};

/* Upvalue 2 of the module's functions. */
struct places *proc_places(lua_State *L);
/* Pushes them; they live as long as that value. */
struct places *places_push(lua_State *L);
/* Waits for a place and goes on in then(L, status, (lua_KContext)place), whose results it
   returns. */
int places_take(lua_State *L, struct places *places, lua_KFunction then);
/* From anywhere: the place is free for the next. */
void places_leave(struct places *places);

#endif
