#include "bind/bind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/utf8.h"

#define NULL_TYPE "orch.json.null"
#define ARRAY "orch.json.array"
#define TREE "orch.json.tree"
#define SECRET "orch.secret"

enum {
    DEPTH_MAX = 200,          /* levels of nesting, both ways */
    DECODE_MAX = 64 << 20,    /* default of decode's max */
    TEXT_MAX = 256 << 20,     /* bytes that encode writes */
};

/* Owns what jansson gave while Lua may raise. */
struct tree {
    json_t *root;
    struct buf text;
};

static int tree_gc(lua_State *L)
{
    struct tree *tree = lua_touserdata(L, 1);
    json_decref(tree->root);
    tree->root = NULL;
    buf_fini(&tree->text);
    return 0;
}

static struct tree *push_tree(lua_State *L)
{
    struct tree *tree = lua_newuserdatauv(L, sizeof *tree, 0);
    tree->root = NULL;
    buf_init(&tree->text, TEXT_MAX);
    luaL_setmetatable(L, TREE);
    return tree;
}

/* The one null of this state stands in its metatable, so that it compares by identity. */
static void push_null(lua_State *L)
{
    luaL_getmetatable(L, NULL_TYPE);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

/* --- decode ------------------------------------------------------------------------------- */

static bool push_value(lua_State *L, const json_t *value, int depth);

static bool push_array(lua_State *L, const json_t *array, int depth)
{
    size_t count = json_array_size(array);
    lua_createtable(L, (int)count, 0);
    luaL_setmetatable(L, ARRAY);
    for (size_t i = 0; i < count; i++) {
        if (!push_value(L, json_array_get(array, i), depth))
            return false;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return true;
}

static bool push_object(lua_State *L, const json_t *object, int depth)
{
    json_t *from = (json_t *)object; /* the iterator's type is not const; nothing is changed */
    lua_createtable(L, 0, (int)json_object_size(object));
    for (void *at = json_object_iter(from); at; at = json_object_iter_next(from, at)) {
        lua_pushstring(L, json_object_iter_key(at));
        if (!push_value(L, json_object_iter_value(at), depth)) /* object key value */
            return false;
        lua_rawset(L, -3);
    }
    return true;
}

static bool push_value(lua_State *L, const json_t *value, int depth)
{
    luaL_checkstack(L, 8, "a JSON document");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return depth < DEPTH_MAX && push_object(L, value, depth + 1);
    case JSON_ARRAY:
        return depth < DEPTH_MAX && push_array(L, value, depth + 1);
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        push_null(L);
        break;
    }
    return true;
}

static const struct opt decode_options[] = {{"max", OPT_INTEGER, false}, {NULL, 0, false}};

static int refuse(lua_State *L, enum err_kind kind, const char *message)
{
    struct err err = {0};
    err_set(&err, kind, "%s", message);
    memcpy(err.op, "json", sizeof "json");
    return bind_fail(L, &err);
}

/* jansson quotes the text it stumbled over, which may be a credential: only the place is told. */
static int refuse_syntax(lua_State *L, json_error_t *error)
{
    char *quote = strstr(error->text, " near ");
    if (quote)
        *quote = '\0';
    const char *message = lua_pushfstring(L, "invalid JSON at %d:%d: %s", error->line,
                                          error->column, error->text);
    return refuse(L, ERR_USAGE, message);
}

/* json.decode(text[, { max }]) -> value | nil, err */
static int l_decode(lua_State *L)
{
    size_t len;
    if (luaL_testudata(L, 1, SECRET))
        return luaL_argerror(L, 1, "a secret cannot be read as JSON");
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer max = DECODE_MAX;
    if (!lua_isnoneornil(L, 2)) {
        bind_options(L, 2, decode_options, "json.decode");
        max = opt_integer(L, 2, "max", DECODE_MAX);
    }
    if (len > (size_t)max)
        return refuse(L, ERR_LIMIT,
                      lua_pushfstring(L, "JSON of %I bytes, of which %I are allowed",
                                      (LUAI_UACINT)len, (LUAI_UACINT)max));
    struct tree *tree = push_tree(L);
    json_error_t error;
    tree->root = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!tree->root)
        return refuse_syntax(L, &error);
    bool good = push_value(L, tree->root, 0);
    json_decref(tree->root);
    tree->root = NULL;
    if (!good)
        return refuse(L, ERR_USAGE,
                      lua_pushfstring(L, "invalid JSON: more than %d levels deep", DEPTH_MAX));
    return 1;
}

/* --- encode ------------------------------------------------------------------------------- */

struct writing {
    int seen;            /* stack index of the set of tables on the way from the root */
    int depth;
    int keys[DEPTH_MAX]; /* stack index of each level's key, so that errors tell the place */
    int precision;       /* digits that bring back every real number so far */
    int secret;          /* stack index of a secret that was written, 0 if none was */
    bool open_secrets;
    struct buf *bytes;   /* for strings that are not UTF-8 */
};

static int fail_at(lua_State *L, const struct writing *w, const char *what)
{
    luaL_Buffer place;
    luaL_buffinit(L, &place);
    for (int i = 0; i < w->depth; i++) {
        luaL_addstring(&place, lua_isinteger(L, w->keys[i]) ? "[" : ".");
        lua_pushvalue(L, w->keys[i]);
        luaL_addvalue(&place);
        if (lua_isinteger(L, w->keys[i]))
            luaL_addchar(&place, ']');
    }
    luaL_pushresult(&place);
    const char *text = lua_tostring(L, -1);
    return luaL_error(L, "json.encode: %s%s%s", what, *text ? " at " : "", text);
}

/* The string at idx, its stray bytes as U+FFFD; valid until the next call. */
static const char *clean_text(lua_State *L, int idx, struct buf *bytes, size_t *len)
{
    const char *text = lua_tolstring(L, idx, len);
    if (utf8_valid(text, *len))
        return text;
    buf_clear(bytes);
    if (!utf8_clean(text, *len, bytes))
        luaL_error(L, "json.encode: a string of more than %d bytes", TEXT_MAX);
    *len = bytes->len;
    return bytes->data;
}

static json_t *from_string(lua_State *L, int idx, struct writing *w)
{
    size_t len;
    const char *text = clean_text(L, idx, w->bytes, &len);
    return json_stringn(text, len);
}

static json_t *from_number(lua_State *L, int idx, struct writing *w)
{
    if (lua_isinteger(L, idx))
        return json_integer(lua_tointeger(L, idx));
    lua_Number number = lua_tonumber(L, idx);
    if (!isfinite(number))
        fail_at(L, w, isnan(number) ? "not a number" : "an infinite number");
    char digits[40];
    for (; w->precision < 17; w->precision++) {
        snprintf(digits, sizeof digits, "%.*g", w->precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    return json_real(number);
}

static json_t *from_secret(lua_State *L, int idx, struct writing *w)
{
    if (!w->open_secrets)
        fail_at(L, w, "a secret cannot be written as JSON");
    size_t len;
    const char *value = bind_text(L, idx, &len);
    json_t *string = json_stringn(value, len);
    if (!string)
        fail_at(L, w, "a secret that is not UTF-8 cannot be written as JSON");
    lua_pushvalue(L, idx);
    lua_replace(L, w->secret);
    return string;
}

/* A list is a table with keys 1 … n and no other, or an empty one marked by json.array. */
static bool is_list(lua_State *L, int table, const struct writing *w)
{
    lua_Unsigned len = lua_rawlen(L, table), count = 0, odd = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && (lua_Unsigned)lua_tointeger(L, -2) - 1 < len)
            count++;
        else
            odd += lua_type(L, -2) != LUA_TSTRING ? 2 : 1;
    }
    bool marked = false;
    if (lua_getmetatable(L, table)) {
        marked = luaL_getmetatable(L, ARRAY) != LUA_TNIL && lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (odd == 0 && count == len && (len > 0 || marked))
        return true;
    if (count > 0 || marked)
        fail_at(L, w, "a table that is neither a list without holes nor a map of names");
    return false;
}

static void add_value(lua_State *L, struct writing *w, json_t *parent, int key);

static void add_list(lua_State *L, struct writing *w, json_t *list, int table)
{
    lua_Integer len = (lua_Integer)lua_rawlen(L, table);
    for (lua_Integer i = 1; i <= len; i++) {
        lua_pushinteger(L, i);
        lua_rawgeti(L, table, i);
        add_value(L, w, list, lua_gettop(L) - 1);
        lua_pop(L, 2);
    }
}

static void add_map(lua_State *L, struct writing *w, json_t *map, int table)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (luaL_testudata(L, -2, SECRET))
            fail_at(L, w, "a secret cannot be written as JSON: it is a key");
        if (lua_type(L, -2) != LUA_TSTRING)
            fail_at(L, w, "a key that is neither a name nor part of a list");
        add_value(L, w, map, lua_gettop(L) - 1);
    }
}

static void add_table(lua_State *L, struct writing *w, json_t *value, int table)
{
    lua_pushvalue(L, table);
    lua_pushboolean(L, true);
    lua_rawset(L, w->seen);
    if (json_is_array(value))
        add_list(L, w, value, table);
    else
        add_map(L, w, value, table);
    lua_pushvalue(L, table);
    lua_pushnil(L);
    lua_rawset(L, w->seen);
}

static json_t *new_value(lua_State *L, struct writing *w, int idx)
{
    switch (lua_type(L, idx)) {
    case LUA_TSTRING:
        return from_string(L, idx, w);
    case LUA_TNUMBER:
        return from_number(L, idx, w);
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, idx));
    case LUA_TTABLE:
        lua_pushvalue(L, idx);
        if (lua_rawget(L, w->seen) != LUA_TNIL)
            fail_at(L, w, "a table that holds itself");
        lua_pop(L, 1);
        return is_list(L, idx, w) ? json_array() : json_object();
    default:
        if (luaL_testudata(L, idx, NULL_TYPE))
            return json_null();
        if (luaL_testudata(L, idx, SECRET))
            return from_secret(L, idx, w);
        fail_at(L, w, lua_pushfstring(L, "a %s cannot be written as JSON", luaL_typename(L, idx)));
        return NULL;
    }
}

/* Adds the value on top to parent, under the key at that index; what is new belongs to the tree at
   once, since anything below may raise. */
static void add_value(lua_State *L, struct writing *w, json_t *parent, int key)
{
    int at = lua_gettop(L);
    luaL_checkstack(L, 12, "json.encode");
    w->keys[w->depth++] = key;
    if (lua_istable(L, at) && w->depth == DEPTH_MAX)
        luaL_error(L, "json.encode: more than %d levels deep", DEPTH_MAX);
    json_t *value = new_value(L, w, at);
    if (json_is_array(parent)) {
        json_array_append_new(parent, value);
    } else {
        size_t len;
        const char *name = clean_text(L, key, w->bytes, &len);
        if (json_object_getn(parent, name, len)) {
            json_decref(value);
            fail_at(L, w, "two names that differ only in bytes that are not UTF-8");
        }
        json_object_setn_new(parent, name, len, value);
    }
    if (lua_istable(L, at))
        add_table(L, w, value, at);
    w->depth--;
}

/* DEL and the C1 controls are allowed in JSON, but a terminal would obey them. */
static int add_text(const char *data, size_t len, void *arg)
{
    size_t from = 0;
    bool good = true;
    for (size_t i = 0; i < len && good; i++) {
        bool c1 = data[i] == '\xc2' && i + 1 < len && (unsigned char)data[i + 1] < 0xa0;
        if (!c1 && data[i] != '\x7f')
            continue;
        good = buf_add(arg, data + from, i - from);
        i += c1;
        good = good && buf_format(arg, "\\u%04X", (unsigned char)data[i]);
        from = i + 1;
    }
    return good && buf_add(arg, data + from, len - from) ? 0 : -1;
}

static const struct opt encode_options[] = {
    {"pretty", OPT_BOOL, false},
    {"sort", OPT_BOOL, false},
    {"open_secrets", OPT_BOOL, false},
    {NULL, 0, false},
};

/* json.encode(value[, { pretty, sort, open_secrets }]) -> text, or a secret with open_secrets */
static int l_encode(lua_State *L)
{
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS;
    bool open_secrets = false;
    luaL_checkany(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        bind_options(L, 2, encode_options, "json.encode");
        if (opt_bool(L, 2, "pretty", false))
            flags = (flags & ~(size_t)JSON_COMPACT) | JSON_INDENT(2);
        if (!opt_bool(L, 2, "sort", true))
            flags &= ~(size_t)JSON_SORT_KEYS;
        open_secrets = opt_bool(L, 2, "open_secrets", false);
    }
    lua_settop(L, 1);
    struct tree *tree = push_tree(L);
    lua_newtable(L);
    lua_pushnil(L); /* value tree seen secret */
    struct writing w = {.seen = 3, .secret = 4, .precision = 15, .bytes = &tree->text,
                        .open_secrets = open_secrets};
    json_t *value = new_value(L, &w, 1);
    tree->root = value;
    if (lua_istable(L, 1))
        add_table(L, &w, value, 1);
    buf_clear(&tree->text);
    if (json_dump_callback(value, add_text, &tree->text,
                           flags | JSON_REAL_PRECISION((size_t)w.precision)) != 0)
        return luaL_error(L, "json.encode: more than %d bytes of JSON", TEXT_MAX);
    if (open_secrets && !lua_isnil(L, w.secret)) {
        bind_push_secret(L, tree->text.data, tree->text.len, w.secret);
        explicit_bzero(tree->text.data, tree->text.cap);
    } else {
        lua_pushlstring(L, tree->text.data, tree->text.len);
    }
    buf_fini(&tree->text);
    return 1;
}

/* --- marks -------------------------------------------------------------------------------- */

/* json.array(t): written as [] even when empty */
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, ARRAY);
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "the table has a metatable already");
    }
    lua_settop(L, 1);
    luaL_setmetatable(L, ARRAY);
    return 1;
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

static const luaL_Reg functions[] = {
    {"decode", l_decode},
    {"encode", l_encode},
    {"array", l_array},
    {NULL, NULL},
};

static void *take(size_t size)
{
    return mem_grow(NULL, size);
}

int luaopen_orch_json(lua_State *L);
int luaopen_orch_json(lua_State *L)
{
    json_set_alloc_funcs(take, mem_free); /* which never fail, so that no value is ever NULL */
    bind_type(L, TREE, NULL, tree_gc);
    luaL_newmetatable(L, ARRAY);
    if (luaL_newmetatable(L, NULL_TYPE)) {
        lua_pushcfunction(L, null_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_newuserdatauv(L, 0, 0);
        luaL_setmetatable(L, NULL_TYPE);
        lua_rawseti(L, -2, 1);
    }
    bind_module(L, functions);
    push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
