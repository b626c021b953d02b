#include <string.h>

#include "base/mem.h"
#include "bind/bind_tar.h"
#include "bind/options.h"
#include "prim/tar_unpack.h"

#define UNPACK "orch.tar.unpack"

static const lua_Integer entries_max = 1000 * 1000;
static const lua_Integer bytes_max = (lua_Integer)64 << 30;

struct unpack {
    struct wait wait;
    struct tar_unpack *unpack;
    bool names;
    struct tar_unpack_result result;
};

static int unpack_gc(lua_State *L)
{
    struct unpack *op = lua_touserdata(L, 1);
    tar_names_fini(&op->result.names);
    mem_free(op->result.listed);
    op->result.listed = NULL;
    return 0;
}

static void on_unpacked(void *arg, struct tar_unpack_result *result)
{
    struct unpack *op = arg;
    op->unpack = NULL;
    op->result = *result;
    result->names = (struct tar_names){0};
    result->listed = NULL;
    task_wake(op);
}

static void unpack_cancel(void *arg)
{
    struct unpack *op = arg;
    if (op->unpack)
        tar_unpack_cancel(op->unpack);
}

static int start(lua_State *L, struct unpack *op, const struct tar_unpack_spec *spec,
                 lua_KFunction then)
{
    op->unpack = tar_unpack_start(bind_loop(L), spec, on_unpacked, op);
    return bind_yield(L, op, then);
}

static void set_integer(lua_State *L, const char *key, unsigned long long value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

/* A sum that the caller gives is as many bytes as it is ready for, however small the file is. */
static void take_ceilings(lua_State *L, struct tar_unpack_spec *spec)
{
    spec->entries_max = (unsigned long long)opt_integer(L, 1, "entries_max", entries_max);
    spec->bytes_max = (unsigned long long)opt_integer(L, 1, "bytes_max", bytes_max);
    spec->any_expansion = lua_getfield(L, 1, "bytes_max") != LUA_TNIL;
    lua_pop(L, 1);
}

/* --- tar.unpack ------------------------------------------------------------------------------- */

static const struct opt unpack_options[] = {
    {"file", OPT_PLAIN, true},         {"into", OPT_PLAIN, true}, {"entries_max", OPT_INTEGER, false},
    {"bytes_max", OPT_INTEGER, false}, {"list", OPT_BOOL, false}, {NULL, 0, false},
};

static int k_unpack(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    const struct unpack *op = (const struct unpack *)context;
    if (op->result.err.kind != ERR_NONE)
        return bind_fail(L, &op->result.err);
    lua_createtable(L, 0, 3);
    set_integer(L, "entries", op->result.entries);
    set_integer(L, "bytes", op->result.bytes);
    if (op->names) {
        bind_tar_names(L, &op->result.names);
        lua_setfield(L, -2, "paths");
    }
    return 1;
}

/* tar.unpack { file, into, … } -> { entries, bytes, paths } | nil, err */
int bind_tar_unpack(lua_State *L)
{
    struct unpack *op = bind_wait(L, sizeof *op, UNPACK, unpack_cancel);
    bind_options(L, 1, unpack_options, "tar.unpack");
    op->names = opt_bool(L, 1, "list", false);
    struct tar_unpack_spec spec = {
        .file = opt_text(L, 1, "file", NULL),
        .into = opt_text(L, 1, "into", NULL),
        .names = op->names,
    };
    take_ceilings(L, &spec);
    return start(L, op, &spec, k_unpack);
}

/* --- tar.list --------------------------------------------------------------------------------- */

static const struct opt list_options[] = {
    {"file", OPT_PLAIN, true},
    {"entries_max", OPT_INTEGER, false},
    {"bytes_max", OPT_INTEGER, false},
    {NULL, 0, false},
};

static const char *const type_names[] = {
    [TAR_FILE] = "file",         [TAR_DIRECTORY] = "directory", [TAR_SYMLINK] = "symlink",
    [TAR_HARDLINK] = "hardlink", [TAR_FIFO] = "fifo",           [TAR_CHAR] = "char",
    [TAR_BLOCK_DEVICE] = "block", [TAR_SOCKET] = "socket",
};

static int k_list(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    const struct tar_unpack_result *result = &((const struct unpack *)context)->result;
    if (result->err.kind != ERR_NONE)
        return bind_fail(L, &result->err);
    const char *text = result->names.text.data;
    lua_createtable(L, (int)result->entries, 0);
    for (unsigned long long i = 0; i < result->entries; i++) {
        const struct tar_listed *listed = &result->listed[i];
        lua_createtable(L, 0, 5); /* list entry */
        lua_pushstring(L, text);
        lua_setfield(L, -2, "path");
        text += strlen(text) + 1;
        lua_pushstring(L, type_names[listed->type]);
        lua_setfield(L, -2, "type");
        set_integer(L, "size", (unsigned long long)listed->size);
        set_integer(L, "mode", listed->mode);
        if (listed->link) {
            lua_pushstring(L, text);
            lua_setfield(L, -2, "linkname");
            text += strlen(text) + 1;
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* tar.list { file, … } -> { { path, type, size, mode, linkname }, … } | nil, err */
int bind_tar_list(lua_State *L)
{
    struct unpack *op = bind_wait(L, sizeof *op, UNPACK, unpack_cancel);
    bind_options(L, 1, list_options, "tar.list");
    struct tar_unpack_spec spec = {.file = opt_text(L, 1, "file", NULL), .names = true};
    take_ceilings(L, &spec);
    return start(L, op, &spec, k_list);
}

/* tar.check { file, … } -> { entries, bytes } | nil, err */
int bind_tar_check(lua_State *L)
{
    struct unpack *op = bind_wait(L, sizeof *op, UNPACK, unpack_cancel);
    bind_options(L, 1, list_options, "tar.check");
    struct tar_unpack_spec spec = {.file = opt_text(L, 1, "file", NULL)};
    take_ceilings(L, &spec);
    return start(L, op, &spec, k_unpack);
}

void bind_tar_read_types(lua_State *L)
{
    bind_type(L, UNPACK, NULL, unpack_gc);
}
