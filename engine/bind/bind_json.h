/* Shared by bind/bind_json*.c: what both ways know of the types and ceilings. */
#ifndef BIND_JSON_H
#define BIND_JSON_H

#include <jansson.h>

#include "bind/bind.h"

#define JSON_NULL_TYPE "orch.json.null"
#define JSON_ARRAY_TYPE "orch.json.array"
#define JSON_TREE "orch.json.tree"
#define JSON_SECRET "orch.secret"

enum {
    JSON_DEPTH_MAX = 200,       /* levels of nesting, both ways */
    JSON_TEXT_MAX = 256 << 20,  /* bytes that encode writes */
};

/* Owns what jansson gave while Lua may raise. */
struct json_tree {
    json_t *root;
    struct buf text;
};
/* Pushes an empty one; its contents go with it. */
struct json_tree *json_push_tree(lua_State *L);

/* json.encode(value[, { pretty, … }]) -> text | secret */
int json_l_encode(lua_State *L);

#endif
