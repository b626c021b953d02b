#include "bind/bind_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "bind/options.h"

struct writing {
    int seen;            /* stack index of the set of tables on the way from the root */
    int depth;
    int keys[JSON_DEPTH_MAX]; /* stack index of each level's key, so that errors tell the place */
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
        luaL_error(L, "json.encode: a string of more than %d bytes", JSON_TEXT_MAX);
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
        marked = luaL_getmetatable(L, JSON_ARRAY_TYPE) != LUA_TNIL && lua_rawequal(L, -1, -2);
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
        if (luaL_testudata(L, -2, JSON_SECRET))
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
        if (luaL_testudata(L, idx, JSON_NULL_TYPE))
            return json_null();
        if (luaL_testudata(L, idx, JSON_SECRET))
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
    if (lua_istable(L, at) && w->depth == JSON_DEPTH_MAX)
        luaL_error(L, "json.encode: more than %d levels deep", JSON_DEPTH_MAX);
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
int json_l_encode(lua_State *L)
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
    struct json_tree *tree = json_push_tree(L);
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
        return luaL_error(L, "json.encode: more than %d bytes of JSON", JSON_TEXT_MAX);
    if (open_secrets && !lua_isnil(L, w.secret)) {
        bind_push_secret(L, tree->text.data, tree->text.len, w.secret);
        explicit_bzero(tree->text.data, tree->text.cap);
    } else {
        lua_pushlstring(L, tree->text.data, tree->text.len);
    }
    buf_fini(&tree->text);
    return 1;
}
