#include "bind/bind_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "base/utf8.h"
#include "bind/options.h"

enum {
    PLAIN_DEPTH_MAX = 50,
    PLAIN_VALUES_MAX = 1000000,
};

struct writing {
    struct buf *out;
    struct buf *names;  /* of the maps on the way from the root: an array of struct name */
    int keys[JSON_DEPTH_MAX];           /* stack index of each level's key: errors tell the place */
    const void *tables[JSON_DEPTH_MAX]; /* on the way from the root */
    int depth;          /* of the value that is written: so many keys lead to it */
    int secret;         /* stack index of a secret that was written, 0 if none was */
    bool open_secrets, pretty;
    bool plain;         /* what is not plain is not refused, but ends the writing */
    int values;         /* written so far */
};

/* A key of a map. */
struct name {
    const char *text; /* valid UTF-8, anchored by Lua */
    size_t len;
    const char *key; /* as it is in the table */
    size_t key_len;
};

/* Raises, or gives false when only what is plain was to be written. */
static bool fail_at(lua_State *L, const struct writing *w, const char *what)
{
    if (w->plain)
        return false;
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

/* --- plain values ----------------------------------------------------------------------------- */

static void check(lua_State *L, bool good)
{
    if (!good)
        luaL_error(L, "json.encode: more than %d bytes of JSON", JSON_TEXT_MAX);
}

/* At once, since growing copies. */
static void make_room(struct writing *w, struct json_work *work)
{
    w->out = &work->text;
    w->names = &work->names;
    buf_room(w->out, 500);
    buf_room(w->names, 500);
}

static void put(lua_State *L, struct writing *w, const char *text, size_t len)
{
    check(L, buf_add(w->out, text, len));
}

static bool put_number(lua_State *L, struct writing *w, int at)
{
    const double number = lua_tonumber(L, at);
    if (!isfinite(number))
        return fail_at(L, w, isnan(number) ? "not a number" : "an infinite number");
    check(L, lua_isinteger(L, at) ? quote_integer(w->out, lua_tointeger(L, at))
                                  : quote_real(w->out, number));
    return true;
}

static bool put_secret(lua_State *L, struct writing *w, int at)
{
    if (!w->open_secrets)
        return fail_at(L, w, "a secret cannot be written as JSON");
    size_t len;
    const char *value = bind_text(L, at, &len);
    if (!utf8_valid(value, len))
        return fail_at(L, w, "a secret that is not UTF-8 cannot be written as JSON");
    check(L, quote_text(w->out, value, len));
    lua_pushvalue(L, at);
    lua_replace(L, w->secret);
    return true;
}

/* --- tables ----------------------------------------------------------------------------------- */

static bool put_value(lua_State *L, struct writing *w, int at);

/* Between the parts of a table, and before its end. */
static void put_gap(lua_State *L, struct writing *w, const char *comma, int depth)
{
    put(L, w, comma, strlen(comma));
    if (!w->pretty)
        return;
    put(L, w, "\n", 1);
    for (int i = 0; i < depth; i++)
        put(L, w, "  ", 2);
}

/* The value on top, whose key is below it; takes both away. */
static bool put_part(lua_State *L, struct writing *w)
{
    const int at = lua_gettop(L);
    w->keys[w->depth++] = at - 1;
    const bool good = put_value(L, w, at);
    w->depth--;
    lua_settop(L, at - 2);
    return good;
}

static bool put_list(lua_State *L, struct writing *w, int table)
{
    const lua_Integer len = (lua_Integer)lua_rawlen(L, table);
    put(L, w, "[", 1);
    for (lua_Integer i = 1; i <= len; i++) {
        put_gap(L, w, i > 1 ? "," : "", w->depth + 1);
        lua_pushinteger(L, i);
        lua_rawgeti(L, table, i);
        if (!put_part(L, w))
            return false;
    }
    if (len > 0)
        put_gap(L, w, "", w->depth);
    put(L, w, "]", 1);
    return true;
}

static bool is_plain_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!(text[i] == '_' || (text[i] >= '0' && text[i] <= '9') ||
              ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z')))
            return false;
    return len > 0;
}

/* The key on top as a name; what it is cleaned to is kept by the table of such texts at 2. */
static bool note_name(lua_State *L, struct writing *w)
{
    struct name name;
    name.text = name.key = lua_tolstring(L, -1, &name.key_len);
    name.len = name.key_len;
    if (w->plain && !is_plain_name(name.key, name.key_len))
        return false;
    if (!w->plain && !utf8_valid(name.key, name.key_len)) {
        struct buf clean;
        buf_init(&clean, JSON_TEXT_MAX);
        utf8_clean(name.key, name.key_len, &clean);
        name.text = lua_pushlstring(L, clean.data, name.len = clean.len);
        buf_fini(&clean);
        lua_pushboolean(L, true);
        lua_rawset(L, 2);
    }
    if (!buf_add(w->names, &name, sizeof name))
        luaL_error(L, "json.encode: more names than memory is for");
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool gather_names(lua_State *L, struct writing *w, int table)
{
    for (lua_pushnil(L); lua_next(L, table);) {
        lua_pop(L, 1);
        if (luaL_testudata(L, -1, JSON_SECRET))
            return fail_at(L, w, "a secret cannot be written as JSON: it is a key");
        if (lua_type(L, -1) != LUA_TSTRING)
            return fail_at(L, w, "a key that is neither a name nor part of a list");
        if (!note_name(L, w))
            return false;
    }
    return true;
}

static bool put_map(lua_State *L, struct writing *w, int table)
{
    const size_t from = w->names->len;
    if (!gather_names(L, w, table))
        return false;
    const size_t count = (w->names->len - from) / sizeof(struct name);
    if (count > 1)
        qsort(w->names->data + from, count, sizeof(struct name), compare_names);
    put(L, w, "{", 1);
    struct name name, before = {0};
    for (size_t i = 0; i < count; i++, before = name) {
        memcpy(&name, w->names->data + from + i * sizeof name, sizeof name);
        lua_pushlstring(L, name.key, name.key_len);
        lua_pushvalue(L, -1);
        lua_rawget(L, table);
        put_gap(L, w, i > 0 ? "," : "", w->depth + 1);
        w->keys[w->depth] = lua_gettop(L) - 1;
        if (i > 0 && compare_names(&name, &before) == 0) {
            w->depth++;
            return fail_at(L, w, "two names that differ only in bytes that are not UTF-8");
        }
        check(L, quote_text(w->out, name.text, name.len));
        put(L, w, ": ", w->pretty ? 2 : 1);
        if (!put_part(L, w))
            return false;
    }
    w->names->len = from;
    if (count > 0)
        put_gap(L, w, "", w->depth);
    put(L, w, "}", 1);
    return true;
}

/* A list is a table with keys 1 … n and no other, or an empty one marked by json.array. */
static bool is_list(lua_State *L, const struct writing *w, int table, bool *list)
{
    bool marked = false;
    if (lua_getmetatable(L, table)) {
        marked = luaL_getmetatable(L, JSON_ARRAY_TYPE) != LUA_TNIL && lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (w->plain)
            return false;
    }
    const lua_Unsigned len = lua_rawlen(L, table);
    *list = len > 0 || marked;
    lua_Unsigned count = 0;
    bool others = false;
    for (lua_pushnil(L); *list && lua_next(L, table); lua_pop(L, 1))
        if (lua_isinteger(L, -2) && (lua_Unsigned)lua_tointeger(L, -2) - 1 < len)
            count++;
        else
            others = true;
    if (!*list)
        lua_pop(L, 1);
    else if (others || count != len)
        return fail_at(L, w, "a table that is neither a list without holes nor a map of names");
    return true;
}

static bool put_table(lua_State *L, struct writing *w, int table)
{
    bool list;
    luaL_checkstack(L, 12, "json.encode");
    if (w->depth == JSON_DEPTH_MAX)
        return luaL_error(L, "json.encode: more than %d levels deep", JSON_DEPTH_MAX);
    if (w->plain && w->depth == PLAIN_DEPTH_MAX)
        return false;
    w->tables[w->depth] = lua_topointer(L, table);
    for (int i = 0; i < w->depth; i++)
        if (w->tables[i] == w->tables[w->depth])
            return fail_at(L, w, "a table that holds itself");
    if (!is_list(L, w, table, &list))
        return false;
    return list ? put_list(L, w, table) : put_map(L, w, table);
}

static bool put_value(lua_State *L, struct writing *w, int at)
{
    size_t len;
    if (w->plain && ++w->values > PLAIN_VALUES_MAX)
        return false;
    switch (lua_type(L, at)) {
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, at, &len);
        if (w->plain && !utf8_valid(text, len))
            return false;
        check(L, quote_text(w->out, text, len));
        return true;
    }
    case LUA_TNUMBER:
        return put_number(L, w, at);
    case LUA_TBOOLEAN:
        put(L, w, lua_toboolean(L, at) ? "true" : "false", lua_toboolean(L, at) ? 4 : 5);
        return true;
    case LUA_TTABLE:
        return put_table(L, w, at);
    }
    if (w->plain)
        return false;
    if (luaL_testudata(L, at, JSON_SECRET))
        return put_secret(L, w, at);
    if (!luaL_testudata(L, at, JSON_NULL_TYPE))
        return fail_at(L, w, lua_pushfstring(L, "a %s cannot be written as JSON",
                                             luaL_typename(L, at)));
    put(L, w, "null", 4);
    return true;
}

static const struct opt encode_options[] = {
    {"pretty", OPT_BOOL, false},
    {"open_secrets", OPT_BOOL, false},
    {NULL, 0, false},
};

/* json.encode(value[, { pretty, open_secrets }]) -> text, or a secret with open_secrets */
int json_l_encode(lua_State *L)
{
    struct writing w = {.secret = 4};
    luaL_checkany(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        bind_options(L, 2, encode_options, "json.encode");
        w.pretty = opt_bool(L, 2, "pretty", false);
        w.open_secrets = opt_bool(L, 2, "open_secrets", false);
    }
    lua_settop(L, 1);
    lua_newtable(L);
    struct json_work *work = json_push_work(L);
    lua_pushnil(L); /* value cleaned work secret */
    make_room(&w, work);
    put_value(L, &w, 1);
    if (lua_isnil(L, w.secret)) {
        lua_pushlstring(L, work->text.data, work->text.len);
    } else {
        bind_push_secret(L, work->text.data, work->text.len, w.secret);
        explicit_bzero(work->text.data, work->text.cap);
    }
    json_work_end(work);
    return 1;
}

/* json.plain(value) -> text | nil */
int json_l_plain(lua_State *L)
{
    struct writing w = {.plain = true};
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    struct json_work *work = json_push_work(L);
    make_room(&w, work);
    if (put_value(L, &w, 1))
        lua_pushlstring(L, work->text.data, work->text.len);
    else
        lua_pushnil(L);
    json_work_end(work);
    return 1;
}
