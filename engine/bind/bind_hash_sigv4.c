#include "bind/bind_hash.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "bind/bind.h"
#include "bind/options.h"
#include "prim/hash_sigv4.h"

#define RESULT "orch.hash.sigv4"

enum { EXPIRES_MAX = 7 * 24 * 3600 }; /* seconds; AWS takes no more */

static int result_gc(lua_State *L)
{
    sigv4_fini(lua_touserdata(L, 1));
    return 0;
}

/* --- options ------------------------------------------------------------------------------ */

static const struct opt presign_options[] = {
    {"expires", OPT_INTEGER, true}, /* first: sigv4 knows all but this */
    {"method", OPT_TEXT, false},     {"url", OPT_TEXT, true},
    {"headers", OPT_MAP, false},     {"signed", OPT_LIST, false},
    {"body", OPT_TEXT, false},       {"payload", OPT_TEXT, false},
    {"access_key", OPT_TEXT, true},  {"secret_key", OPT_TEXT, true},
    {"session_token", OPT_TEXT, false},
    {"region", OPT_TEXT, true},      {"service", OPT_TEXT, true},
    {"time", OPT_NUMBER, false},     {"s3", OPT_BOOL, false},
    {"normalize", OPT_BOOL, false},  {NULL, 0, false},
};

static const char *text(lua_State *L, const char *function, const char *key, const char *fallback)
{
    size_t len;
    const char *value = opt_text(L, 1, key, &len);
    if (value && strlen(value) != len)
        luaL_error(L, "%s: option '%s' holds a NUL", function, key);
    return value ? value : fallback;
}

static bool opt_is_secret(lua_State *L, const char *key)
{
    lua_getfield(L, 1, key);
    bool is = bind_is_secret(L, -1);
    lua_pop(L, 1);
    return is;
}

static void read_spec(lua_State *L, const char *function, struct sigv4_spec *spec)
{
    if (opt_is_secret(L, "url"))
        luaL_error(L, "%s: option 'url' is a secret; it would be shown", function);
    *spec = (struct sigv4_spec){
        .method = text(L, function, "method", "GET"),
        .url = text(L, function, "url", NULL),
        .payload = text(L, function, "payload", NULL),
        .access_key = text(L, function, "access_key", NULL),
        .secret_key = text(L, function, "secret_key", NULL),
        .session_token = text(L, function, "session_token", NULL),
        .region = text(L, function, "region", NULL),
        .service = text(L, function, "service", NULL),
        .time = (int64_t)opt_number(L, 1, "time", (lua_Number)time(NULL)),
        .s3 = opt_bool(L, 1, "s3", false),
        .raw_path = !opt_bool(L, 1, "normalize", true),
    };
    spec->body = opt_text(L, 1, "body", &spec->body_len);
    if (spec->session_token && !*spec->session_token)
        spec->session_token = NULL; /* an empty AWS_SESSION_TOKEN means none */
}

/* --- headers ------------------------------------------------------------------------------ */

/* Pushes the value at idx; a line folded as of old becomes one line. */
static void push_value(lua_State *L, const char *function, int idx)
{
    size_t len;
    if (!lua_isstring(L, idx) && !bind_is_secret(L, idx))
        luaL_error(L, "%s: a header's value must be a string or a list of strings, got %s",
                   function, luaL_typename(L, idx));
    const char *value = bind_text(L, idx, &len);
    if (bind_is_secret(L, idx) || !strpbrk(value, "\r\n")) {
        lua_pushvalue(L, idx);
        return;
    }
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\r' && value[i + 1] == '\n')
            continue;
        if (value[i] == '\n' && (value[i + 1] == ' ' || value[i + 1] == '\t'))
            continue;
        if (value[i] == '\n' || value[i] == '\r')
            luaL_error(L, "%s: a header's value holds a line end", function);
        luaL_addchar(&line, value[i]);
    }
    luaL_pushresult(&line);
}

/* Pushes the list at idx with such values. */
static size_t push_list(lua_State *L, const char *function, int idx)
{
    size_t count = lua_rawlen(L, idx);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, idx, (lua_Integer)i);
        push_value(L, function, lua_gettop(L)); /* list element value */
        lua_rawseti(L, -3, (lua_Integer)i);
        lua_pop(L, 1);
    }
    return count;
}

static void push_lower(lua_State *L, const char *name)
{
    luaL_Buffer lower;
    luaL_buffinit(L, &lower);
    for (; *name; name++)
        luaL_addchar(&lower, *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name);
    luaL_pushresult(&lower);
}

/* Pushes the headers to send: lower-case names to values or lists. Returns how many values. */
static size_t push_headers(lua_State *L, const char *function)
{
    size_t count = 0;
    lua_newtable(L);
    if (lua_getfield(L, 1, "headers") == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    int out = lua_gettop(L) - 1, headers = out + 1;
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
        int value = lua_gettop(L);
        if (lua_type(L, value - 1) != LUA_TSTRING)
            luaL_error(L, "%s: option 'headers' must map names to values", function);
        push_lower(L, lua_tostring(L, value - 1)); /* … name value lower */
        lua_pushvalue(L, -1);
        if (lua_rawget(L, out) != LUA_TNIL)
            luaL_error(L, "%s: the header %s is given in two spellings", function,
                       lua_tostring(L, value + 1));
        lua_pop(L, 1);
        if (lua_istable(L, value)) {
            count += push_list(L, function, value);
        } else {
            push_value(L, function, value);
            count++;
        }
        lua_rawset(L, out);
    }
    lua_pop(L, 1);
    return count;
}

static void add_header(lua_State *L, struct sigv4_header *header, const char *name)
{
    *header = (struct sigv4_header){.name = name, .hidden = bind_is_secret(L, -1)};
    header->value = bind_text(L, -1, &header->len);
}

/* Pushes a block with the count values of the headers on top. */
static struct sigv4_header *push_header_block(lua_State *L, size_t count)
{
    int headers = lua_gettop(L);
    struct sigv4_header *block = lua_newuserdatauv(L, (count + 1) * sizeof *block, 0), *at = block;
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
        const char *name = lua_tostring(L, -2);
        if (!lua_istable(L, -1)) {
            add_header(L, at++, name);
            continue;
        }
        lua_Integer len = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = 1; i <= len; i++) {
            lua_rawgeti(L, -1, i);
            add_header(L, at++, name);
            lua_pop(L, 1);
        }
    }
    return block;
}

/* --- the call ----------------------------------------------------------------------------- */

static void set_text(lua_State *L, int table, const char *key, const char *value, size_t len)
{
    lua_pushlstring(L, value, len);
    lua_setfield(L, table, key);
}

/* A text with a part of the option in it: a secret when the option is one. */
static void set_guarded(lua_State *L, int table, const char *key, const struct buf *value,
                        const char *option)
{
    lua_getfield(L, 1, option);
    if (bind_is_secret(L, -1))
        bind_push_secret(L, value->data, value->len, -1);
    else
        lua_pushlstring(L, value->data, value->len);
    lua_setfield(L, table, key);
    lua_pop(L, 1);
}

static void set_if_absent(lua_State *L, int table, const char *key, const char *value)
{
    if (lua_getfield(L, table, key) == LUA_TNIL)
        set_text(L, table, key, value, strlen(value));
    lua_pop(L, 1);
}

static int push_result(lua_State *L, const struct sigv4_spec *spec,
                       const struct sigv4_result *result, int headers)
{
    lua_createtable(L, 0, 5);
    int out = lua_gettop(L);
    set_text(L, out, "canonical_request", result->shown.data, result->shown.len);
    set_text(L, out, "string_to_sign", result->string_to_sign.data, result->string_to_sign.len);
    set_text(L, out, "signature", result->signature, strlen(result->signature));
    set_if_absent(L, headers, "host", result->host.data);
    if (spec->presign) {
        const char *option = opt_is_secret(L, "session_token") ? "session_token"
                             : opt_is_secret(L, "secret_key")  ? "secret_key"
                                                               : "access_key";
        set_guarded(L, out, "url", &result->url, option);
    } else {
        set_text(L, headers, "x-amz-date", result->date, strlen(result->date));
        if (spec->session_token) {
            lua_getfield(L, 1, "session_token");
            lua_setfield(L, headers, "x-amz-security-token");
        }
        if (spec->s3)
            set_if_absent(L, headers, "x-amz-content-sha256", result->payload);
        set_guarded(L, headers, "authorization", &result->authorization, "access_key");
    }
    lua_pushvalue(L, headers);
    lua_setfield(L, out, "headers");
    return 1;
}

static int run(lua_State *L, const char *function, bool presign)
{
    struct sigv4_spec spec;
    struct err err;
    bind_options(L, 1, presign ? presign_options : presign_options + 1, function);
    lua_settop(L, 1);
    read_spec(L, function, &spec);
    spec.presign = presign;
    if (presign) {
        lua_Integer expires = opt_integer(L, 1, "expires", 0);
        if (expires < 1 || expires > EXPIRES_MAX)
            return luaL_error(L, "%s: option 'expires' must be 1 … %d seconds", function,
                              EXPIRES_MAX);
        spec.expires = (unsigned)expires;
    }
    spec.header_count = push_headers(L, function);
    spec.headers = push_header_block(L, spec.header_count);
    struct sigv4_result *result = lua_newuserdatauv(L, sizeof *result, 0);
    memset(result, 0, sizeof *result);
    luaL_setmetatable(L, RESULT);
    const char **also = opt_texts(L, 1, "signed", NULL);
    spec.also = also;
    bool good = sigv4_sign(&spec, result, &err);
    mem_free(also);
    if (!good)
        return luaL_error(L, "%s: %s", function, err.message);
    return push_result(L, &spec, result, 2);
}

/* hash.sigv4 { … } -> { headers, canonical_request, string_to_sign, signature } */
int l_sigv4(lua_State *L)
{
    return run(L, "hash.sigv4", false);
}

/* hash.sigv4_presign { …, expires } -> { url, headers, … } */
int l_sigv4_presign(lua_State *L)
{
    return run(L, "hash.sigv4_presign", true);
}

void bind_sigv4_types(lua_State *L)
{
    bind_type(L, RESULT, NULL, result_gc);
}
