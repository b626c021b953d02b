/* Shared by bind/bind_json*.c: what both ways know of the types and ceilings. */
#ifndef BIND_JSON_H
#define BIND_JSON_H

#include <jansson.h>

#include "bind/bind.h"

#define JSON_NULL_TYPE "orch.json.null"
#define JSON_ARRAY_TYPE "orch.json.array"
#define JSON_WORK "orch.json.work"
#define JSON_SECRET "orch.secret"

enum {
    JSON_DEPTH_MAX = 200,       /* levels of nesting, both ways */
    JSON_TEXT_MAX = 256 << 20,  /* bytes that encode writes */
};

/* Owns what is read or written while Lua may raise. */
struct json_work {
    json_t *root; /* what jansson gave */
    struct buf text, names;
};
/* Pushes an empty one; its contents go with it, at the latest. */
struct json_work *json_push_work(lua_State *L);
void json_work_end(struct json_work *work);

/* json.encode(value[, { pretty, … }]) -> text | secret */
int json_l_encode(lua_State *L);
/* json.plain(value) -> text | nil */
int json_l_plain(lua_State *L);

#endif
