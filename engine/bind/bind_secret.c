#include "bind/bind.h"

#include <string.h>

#include "base/dump.h"
#include "base/mask.h"

/* A secret is a userdata { name, value } whose value Lua cannot see: it prints ***, its
   concatenation is a secret again, and only primitives open it (bind_text). */
#define SECRET "orch.secret"

struct secret {
    size_t len;
    char value[];
};

static struct secret *to_secret(lua_State *L, int idx)
{
    return luaL_testudata(L, idx, SECRET);
}

bool bind_is_secret(lua_State *L, int idx)
{
    return to_secret(L, idx) != NULL;
}

char *bind_push_secret(lua_State *L, const void *value, size_t len, int idx)
{
    idx = lua_absindex(L, idx);
    dump_forbid();
    struct secret *secret = lua_newuserdatauv(L, sizeof *secret + len + 1, 1);
    secret->len = len;
    memset(secret->value, 0, len + 1);
    if (value)
        memcpy(secret->value, value, len);
    luaL_setmetatable(L, SECRET);
    if (to_secret(L, idx))
        lua_getiuservalue(L, idx, 1);
    else
        lua_pushvalue(L, idx);
    lua_setiuservalue(L, -2, 1);
    return secret->value;
}

const char *bind_text(lua_State *L, int idx, size_t *len)
{
    struct secret *secret = to_secret(L, idx);
    if (!secret)
        return luaL_checklstring(L, idx, len);
    if (len)
        *len = secret->len;
    return secret->value;
}

/* secret.new(value, name) */
static int l_new(lua_State *L)
{
    size_t len;
    const char *value = luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    bind_push_secret(L, value, len, 2);
    return 1;
}

static int l_is(lua_State *L)
{
    lua_pushboolean(L, to_secret(L, 1) != NULL);
    return 1;
}

/* secret.name(s): by which name people and the journal know it */
static int l_name(lua_State *L)
{
    luaL_checkudata(L, 1, SECRET);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* secret.len(s): in bytes */
static int l_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)((struct secret *)luaL_checkudata(L, 1, SECRET))->len);
    return 1;
}

/* secret.split(s, separator) -> head as a string, tail as a secret | nil, err */
static int l_split(lua_State *L)
{
    struct secret *secret = luaL_checkudata(L, 1, SECRET);
    size_t len;
    const char *separator = luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, len > 0, 2, "an empty separator");
    const char *at = memmem(secret->value, secret->len, separator, len);
    if (!at) {
        struct err err;
        lua_getiuservalue(L, 1, 1);
        err_set(&err, ERR_USAGE, "the secret %s has no '%s' in it", luaL_tolstring(L, -1, NULL),
                separator);
        return bind_fail(L, &err);
    }
    size_t head = (size_t)(at - secret->value);
    lua_pushlstring(L, secret->value, head);
    bind_push_secret(L, at + len, secret->len - head - len, 1);
    return 2;
}

static int l_concat(lua_State *L)
{
    size_t left_len, right_len;
    const char *left = bind_text(L, 1, &left_len), *right = bind_text(L, 2, &right_len);
    char *value = bind_push_secret(L, NULL, left_len + right_len, to_secret(L, 1) ? 1 : 2);
    memcpy(value, left, left_len);
    memcpy(value + left_len, right, right_len);
    return 1;
}

static int l_tostring(lua_State *L)
{
    lua_pushliteral(L, "***");
    return 1;
}

static int l_gc(lua_State *L)
{
    struct secret *secret = to_secret(L, 1);
    if (secret)
        explicit_bzero(secret->value, secret->len);
    return 0;
}

/* --- the masker ------------------------------------------------------------------------------- */

#define MASKER "orch.secret.masker"
#define STREAM "orch.secret.stream"

enum { MASKED_MAX = 1 << 30 };

static struct mask *to_masker(lua_State *L)
{
    return *(struct mask **)luaL_checkudata(L, 1, MASKER);
}

/* secret.masker() */
static int l_masker(lua_State *L)
{
    struct mask **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, MASKER);
    *slot = mask_new();
    return 1;
}

static int masker_gc(lua_State *L)
{
    struct mask **slot = lua_touserdata(L, 1);
    mask_free(*slot);
    *slot = NULL;
    return 0;
}

/* masker:add(secret) -> false when it is too short to be masked */
static int l_add(lua_State *L)
{
    size_t len;
    const char *value = bind_text(L, 2, &len);
    lua_pushboolean(L, mask_add(to_masker(L), value, len));
    return 1;
}

/* Pushes the masked text, which is the value at idx itself when nothing was found in it. */
static int push_masked(lua_State *L, struct buf *out, int idx)
{
    size_t len = 0;
    const char *text = idx ? lua_tolstring(L, idx, &len) : NULL;
    if (text && out->len == len && memcmp(out->len ? out->data : "", text, len) == 0)
        lua_pushvalue(L, idx);
    else
        lua_pushlstring(L, out->len ? out->data : "", out->len);
    buf_fini(out);
    return 1;
}

static int too_long(lua_State *L, struct buf *out)
{
    buf_fini(out);
    return luaL_error(L, "a text too long to mask");
}

/* masker:apply(text) -> text with *** for each secret */
static int l_apply(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    const struct mask *mask = to_masker(L);
    struct buf out;
    if (mask_is_empty(mask)) {
        lua_settop(L, 2);
        return 1;
    }
    buf_init(&out, MASKED_MAX);
    bool good = mask_apply(mask, text, len, &out);
    return good ? push_masked(L, &out, 2) : too_long(L, &out);
}

/* masker:is_empty() */
static int l_is_empty(lua_State *L)
{
    lua_pushboolean(L, mask_is_empty(to_masker(L)));
    return 1;
}

/* masker:stream() -> stream */
static int l_stream(lua_State *L)
{
    struct mask *mask = to_masker(L);
    struct mask_stream **slot = lua_newuserdatauv(L, sizeof *slot, 1);
    *slot = NULL;
    luaL_setmetatable(L, STREAM);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    *slot = mask_stream_new(mask);
    return 1;
}

static int stream_gc(lua_State *L)
{
    struct mask_stream **slot = lua_touserdata(L, 1);
    mask_stream_free(*slot);
    *slot = NULL;
    return 0;
}

static struct mask_stream *to_stream(lua_State *L)
{
    return *(struct mask_stream **)luaL_checkudata(L, 1, STREAM);
}

/* stream:feed(bytes) -> what is safe to show */
static int l_feed(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    struct buf out;
    buf_init(&out, MASKED_MAX);
    return mask_feed(to_stream(L), bytes, len, &out) ? push_masked(L, &out, 2) : too_long(L, &out);
}

/* stream:flush() -> what was kept back */
static int l_flush(lua_State *L)
{
    struct buf out;
    buf_init(&out, MASKED_MAX);
    return mask_flush(to_stream(L), &out) ? push_masked(L, &out, 0) : too_long(L, &out);
}

static const luaL_Reg masker_methods[] = {
    {"add", l_add}, {"apply", l_apply}, {"is_empty", l_is_empty}, {"stream", l_stream},
    {NULL, NULL},
};

static const luaL_Reg stream_methods[] = {{"feed", l_feed}, {"flush", l_flush}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"masker", l_masker},
    {"new", l_new},
    {"is", l_is},
    {"name", l_name},
    {"len", l_len},
    {"split", l_split},
    {NULL, NULL},
};

/* string.format writes what tostring gives: *** in place of a credential, found out only where it
   is used. */
static int l_format(lua_State *L)
{
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++)
        if (to_secret(L, i))
            return luaL_argerror(L, i, "a secret cannot be formatted; join it with ..");
    /* In this frame: errors tell its name and its caller's line. */
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void guard_format(lua_State *L)
{
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, l_format, 1);
    lua_setfield(L, -2, "format");
    lua_pop(L, 1);
}

int luaopen_orch_secret(lua_State *L);
int luaopen_orch_secret(lua_State *L)
{
    if (luaL_newmetatable(L, SECRET)) {
        lua_pushcfunction(L, l_concat);
        lua_setfield(L, -2, "__concat");
        lua_pushcfunction(L, l_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushliteral(L, "secret");
        lua_setfield(L, -2, "__metatable");
        guard_format(L);
    }
    bind_type(L, MASKER, masker_methods, masker_gc);
    bind_type(L, STREAM, stream_methods, stream_gc);
    bind_module(L, functions);
    return 1;
}
