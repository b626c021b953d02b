#include "bind/bind_hash.h"

#include "base/base64.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/options.h"
#include "prim/hash.h"

#define FILE_HASH "orch.hash.file"

enum { RANDOM_MAX = 1 << 20 }; /* bytes that one hash.random gives */

/* --- digests ------------------------------------------------------------------------------ */

static int push_bytes(lua_State *L, const void *data, size_t len, int form_arg)
{
    static const char *const forms[] = {"hex", "raw", NULL};
    if (luaL_checkoption(L, form_arg, "hex", forms) == 1) {
        lua_pushlstring(L, data, len);
        return 1;
    }
    luaL_Buffer hex;
    hash_hex(data, len, luaL_buffinitsize(L, &hex, 2 * len));
    luaL_pushresultsize(&hex, 2 * len);
    return 1;
}

/* hash.sha256(data[, form]) */
static int l_sha256(lua_State *L)
{
    size_t len;
    unsigned char out[HASH_SIZE];
    struct err err;
    const char *data = bind_text(L, 1, &len);
    if (!hash_sha256(data, len, out, &err))
        return bind_raise(L, &err);
    return push_bytes(L, out, sizeof out, 2);
}

/* hash.hmac_sha256(key, data[, form]) */
static int l_hmac_sha256(lua_State *L)
{
    size_t key_len, len;
    unsigned char out[HASH_SIZE];
    struct err err;
    const char *key = bind_text(L, 1, &key_len), *data = bind_text(L, 2, &len);
    if (!hash_hmac(key, key_len, data, len, out, &err))
        return bind_raise(L, &err);
    return push_bytes(L, out, sizeof out, 3);
}

/* hash.random(n[, form]) */
static int l_random(lua_State *L)
{
    lua_Integer len = luaL_checkinteger(L, 1);
    struct err err;
    luaL_argcheck(L, len >= 0 && len <= RANDOM_MAX, 1, "0 … 1,048,576 bytes");
    lua_settop(L, 2);
    void *bytes = lua_newuserdatauv(L, (size_t)len, 0);
    if (!hash_random(bytes, (size_t)len, &err))
        return bind_raise(L, &err);
    return push_bytes(L, bytes, (size_t)len, 2);
}

/* --- text forms: what goes in as a secret comes out as one -------------------------------- */

struct coding {
    size_t (*size)(size_t len); /* at most */
    bool (*code)(const char *data, size_t len, unsigned flags, char *out, size_t *out_len,
                 struct err *err);
};

static int recode(lua_State *L, const struct coding *coding, unsigned flags)
{
    size_t len;
    const char *data = bind_text(L, 1, &len);
    size_t max = coding->size(len), out_len = 0;
    struct err err;
    char *out = mem_alloc(max + 1);
    bool good = coding->code(data, len, flags, out, &out_len, &err);
    if (good && bind_is_secret(L, 1))
        bind_push_secret(L, out, out_len, 1);
    else if (good)
        lua_pushlstring(L, out, out_len);
    mem_wipe(out, max + 1);
    return good ? 1 : bind_fail(L, &err);
}

static unsigned alphabet(lua_State *L)
{
    static const char *const alphabets[] = {"standard", "url", NULL};
    return luaL_checkoption(L, 2, "standard", alphabets) == 1 ? BASE64_URL : 0;
}

static bool to_base64(const char *data, size_t len, unsigned flags, char *out, size_t *out_len,
                      struct err *err)
{
    (void)err;
    base64_encode(data, len, flags, out);
    *out_len = base64_encoded_len(len);
    return true;
}

static bool from_base64(const char *data, size_t len, unsigned flags, char *out, size_t *out_len,
                        struct err *err)
{
    return base64_decode(data, len, flags, out, out_len, err);
}

/* hash.base64(data[, "url"]) */
static int l_base64(lua_State *L)
{
    return recode(L, &(struct coding){base64_encoded_len, to_base64}, alphabet(L));
}

/* hash.unbase64(text[, "url"]) -> data | nil, err */
static int l_unbase64(lua_State *L)
{
    return recode(L, &(struct coding){base64_decoded_max, from_base64},
                  alphabet(L) | BASE64_SPACE);
}

static size_t hex_size(size_t len)
{
    return 2 * len;
}

static size_t unhex_size(size_t len)
{
    return len / 2;
}

static bool to_hex(const char *data, size_t len, unsigned flags, char *out, size_t *out_len,
                   struct err *err)
{
    (void)flags, (void)err;
    hash_hex(data, len, out);
    *out_len = 2 * len;
    return true;
}

static bool from_hex(const char *data, size_t len, unsigned flags, char *out, size_t *out_len,
                     struct err *err)
{
    (void)flags;
    *out_len = len / 2;
    return hash_unhex(data, len, out) ||
           err_set(err, ERR_USAGE, "not hexadecimal: an odd character or number of digits");
}

/* hash.hex(data) */
static int l_hex(lua_State *L)
{
    return recode(L, &(struct coding){hex_size, to_hex}, 0);
}

/* hash.unhex(text) -> data | nil, err */
static int l_unhex(lua_State *L)
{
    return recode(L, &(struct coding){unhex_size, from_hex}, 0);
}

/* --- files -------------------------------------------------------------------------------- */

struct file_hash {
    struct wait wait;
    struct hash_file *file;
    struct hash_result result;
};

static void on_file(void *arg, const struct hash_result *result)
{
    struct file_hash *op = arg;
    op->file = NULL;
    op->result = *result;
    task_wake(op);
}

static void cancel_file(void *op)
{
    struct hash_file *file = ((struct file_hash *)op)->file;
    if (file)
        hash_file_cancel(file);
}

static int k_file(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    const struct file_hash *op = (const struct file_hash *)context;
    if (op->result.err.kind != ERR_NONE)
        return bind_fail(L, &op->result.err);
    lua_pushstring(L, op->result.hex);
    return 1;
}

/* hash.file(path) -> hex | nil, err */
static int l_file(lua_State *L)
{
    struct err err;
    struct hash_file_spec spec = {.path = bind_path(L, 1)};
    struct file_hash *op = bind_wait(L, sizeof *op, FILE_HASH, cancel_file);
    op->file = hash_file_start(bind_loop(L), &spec, on_file, op, &err);
    if (!op->file)
        return bind_fail(L, &err);
    return bind_yield(L, op, k_file);
}

static const luaL_Reg functions[] = {
    {"sha256", l_sha256},
    {"hmac_sha256", l_hmac_sha256},
    {"random", l_random},
    {"base64", l_base64},
    {"unbase64", l_unbase64},
    {"hex", l_hex},
    {"unhex", l_unhex},
    {"file", l_file},
    {"sigv4", l_sigv4},
    {"sigv4_presign", l_sigv4_presign},
    {NULL, NULL},
};

int luaopen_orch_hash(lua_State *L);
int luaopen_orch_hash(lua_State *L)
{
    bind_type(L, FILE_HASH, NULL, NULL);
    bind_sigv4_types(L);
    bind_module(L, functions);
    return 1;
}
