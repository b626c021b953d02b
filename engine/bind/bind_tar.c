#include "bind/bind_tar.h"

#include <string.h>

#include "base/mem.h"
#include "bind/options.h"
#include "prim/tar_pack.h"

#define PACK "orch.tar.pack"

struct pack {
    struct wait wait;
    struct tar_pack *pack;
    struct tar_pack_result result;
};

static int pack_gc(lua_State *L)
{
    struct pack *op = lua_touserdata(L, 1);
    tar_names_fini(&op->result.names);
    return 0;
}

static void on_packed(void *arg, struct tar_pack_result *result)
{
    struct pack *op = arg;
    op->pack = NULL;
    op->result = *result;
    result->names = (struct tar_names){0};
    task_wake(op);
}

static void pack_cancel(void *op)
{
    struct pack *pack = op;
    if (pack->pack)
        tar_pack_cancel(pack->pack);
}

void bind_tar_names(lua_State *L, const struct tar_names *names)
{
    lua_createtable(L, (int)names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int k_pack(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    const struct tar_pack_result *result = &((struct pack *)context)->result;
    if (result->err.kind != ERR_NONE)
        return bind_fail(L, &result->err);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, result->digest);
    lua_setfield(L, -2, "digest");
    lua_pushstring(L, result->diff_id);
    lua_setfield(L, -2, "diff_id");
    lua_pushinteger(L, (lua_Integer)result->size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, (lua_Integer)result->entries);
    lua_setfield(L, -2, "entries");
    lua_pushinteger(L, (lua_Integer)result->bytes);
    lua_setfield(L, -2, "bytes");
    bind_tar_names(L, &result->names);
    lua_setfield(L, -2, "paths");
    return 1;
}

static const struct opt pack_options[] = {
    {"root", OPT_PLAIN, true},      {"paths", OPT_LIST, true},        {"file", OPT_PLAIN, true},
    {"compression", OPT_PLAIN, false}, {"level", OPT_INTEGER, false}, {"mtime", OPT_INTEGER, false},
    {NULL, 0, false},
};

static void read_compression(lua_State *L, struct tar_pack_spec *spec)
{
    static const struct {
        const char *name;
        enum tar_compression compression;
        int levels;
    } known[] = {{"gzip", TAR_GZIP, 9}, {"zstd", TAR_ZSTD, 19}, {"none", TAR_NONE, 0}};
    const char *name = opt_text(L, 1, "compression", NULL);
    lua_Integer level = opt_integer(L, 1, "level", 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (name && strcmp(name, known[i].name) != 0)
            continue;
        if (level > known[i].levels)
            luaL_error(L, "tar.pack: option 'level' of %s must be at most %d", known[i].name,
                       known[i].levels);
        spec->compression = known[i].compression;
        spec->level = (int)level;
        return;
    }
    luaL_error(L, "tar.pack: option 'compression' must be gzip, zstd or none, got '%s'", name);
}

/* tar.pack { root, paths, file, … } -> { digest, diff_id, size, entries, bytes, paths } | nil,
   err */
static int l_pack(lua_State *L)
{
    struct err err;
    struct pack *op = bind_wait(L, sizeof *op, PACK, pack_cancel);
    bind_options(L, 1, pack_options, "tar.pack");
    struct tar_pack_spec spec = {
        .root = opt_text(L, 1, "root", NULL),
        .file = opt_text(L, 1, "file", NULL),
        .mtime = opt_integer(L, 1, "mtime", -1),
    };
    spec.fixed_mtime = spec.mtime >= 0;
    read_compression(L, &spec);
    const char **paths = opt_texts(L, 1, "paths", &spec.path_count);
    spec.paths = paths;
    op->pack = tar_pack_start(bind_loop(L), &spec, on_packed, op, &err);
    mem_free(paths);
    if (!op->pack)
        return bind_fail(L, &err);
    return bind_yield(L, op, k_pack);
}

static const luaL_Reg functions[] = {
    {"pack", l_pack},           {"context", bind_tar_context}, {"ignore", bind_tar_ignore},
    {"unpack", bind_tar_unpack}, {"list", bind_tar_list},
    {"check", bind_tar_check},   {NULL, NULL},
};

int luaopen_orch_tar(lua_State *L);
int luaopen_orch_tar(lua_State *L)
{
    bind_type(L, PACK, NULL, pack_gc);
    bind_tar_context_types(L);
    bind_tar_read_types(L);
    bind_module(L, functions);
    return 1;
}
