/* The boundary: how a primitive becomes a Lua function that waits.

   A task is a coroutine that the engine resumes. A waiting function makes its operation a userdata
   with struct wait as first member (bind_wait), starts the primitive, and yields (bind_yield). The
   primitive's done calls task_wake, which only queues; the task goes on from the top of the loop in
   the continuation. lua_yieldk and lua_resume occur in bind/task.c only. */
#ifndef BIND_BIND_H
#define BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

struct host;
struct task;

/* The host is upvalue 1 of every function of a module. */
struct host *bind_host(lua_State *L);
struct loop *bind_loop(lua_State *L);

/* --- waiting ------------------------------------------------------------------------------ */

struct wait {
    struct task *task;
    bool woken;
    lua_KFunction then;
    void (*cancel)(void *op);
};

/* Pushes a userdata of size bytes, zeroed, whose first member is a struct wait, with metatable type
   (made by bind_type; its __gc releases what the operation holds). Raises a sentence when the
   caller cannot wait here, and the cancellation when the task is cancelled. cancel asks the
   primitive to end soon; task_wake must still come. */
void *bind_wait(lua_State *L, size_t size, const char *type, void (*cancel)(void *op));
/* Yields until task_wake(op); then continues in then(L, LUA_YIELD, (lua_KContext)op) with the stack
   as it was, or raises the cancellation. */
int bind_yield(lua_State *L, void *op, lua_KFunction then);
/* From the loop: the operation has ended. Queues the task; a second call does nothing. */
void task_wake(void *op);

/* The main state, for making values in a callback of the loop; leave its stack as it was. */
lua_State *bind_state(const void *op);

/* A long-lived thing (child, stream, reply) that belongs to the current task: when the task ends,
   end is called once, and the task is over only after hold_release. Embedded in the thing's own
   struct. */
struct hold {
    struct task *task;
    struct hold *prev, *next;
    void (*end)(void *thing);
    void *thing;
    bool ending;
};
void hold_start(lua_State *L, struct hold *hold, void (*end)(void *thing), void *thing);
/* From the loop or anywhere else: the thing has ended. Safe twice. */
void hold_release(struct hold *hold);

/* --- values ------------------------------------------------------------------------------- */

/* Makes (once) the metatable named type with methods in a table of its own; gc may be NULL.
   Methods get the host as upvalue 1. Needs the host as upvalue 1 of the running function. */
void bind_type(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction gc);
/* Lets values of the type stand in a <close> variable. close ends the thing and frees nothing:
   others may hold it still, or wait for it. */
void bind_closable(lua_State *L, const char *type, lua_CFunction close);
/* A module table of these functions, each with the host as upvalue 1. */
void bind_module(lua_State *L, const luaL_Reg *functions);

/* Pushes nil and the error value: return bind_fail(L, &err); */
int bind_fail(lua_State *L, const struct err *err);
/* Pushes the error value { kind, message, op, code }. */
void bind_push_err(lua_State *L, const struct err *err);
/* Raises err as a value. */
int bind_raise(lua_State *L, const struct err *err);
/* Message handler: what is no error value becomes one of kind usage; adds the traceback. */
int bind_on_error(lua_State *L);

/* The bytes of a string, number or secret at idx, valid while that value lives; raises otherwise.
   Only primitives open secrets, and only through this. */
const char *bind_text(lua_State *L, int idx, size_t *len);
/* Is the value at idx a secret? */
bool bind_is_secret(lua_State *L, int idx);
/* Pushes a secret with a copy of value, or with zeros to be filled in when value is NULL, named as
   the secret at idx or by the string there. Returns its len bytes, valid while it lives. */
char *bind_push_secret(lua_State *L, const void *value, size_t len, int idx);

#endif
