#include "bind/bind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/path.h"
#include "bind/options.h"

#define REMOVAL "orch.fs.removal"
#define LOCK "orch.fs.lock"

enum {
    READ_MAX = 64 << 20,     /* default ceiling of fs.read, bytes */
    ENTRIES_MAX = 1000000,   /* names that fs.list gives */
};

static int system_fail(lua_State *L, const char *what, const char *path)
{
    struct err err;
    err_system(&err, errno, "cannot %s %s", what, path);
    return bind_fail(L, &err);
}

static int done(lua_State *L)
{
    lua_pushboolean(L, true);
    return 1;
}

/* fs.read(path[, max]) -> bytes | nil, err */
static int l_read(lua_State *L)
{
    const char *path = bind_path(L, 1);
    struct buf bytes;
    struct err err;
    buf_init(&bytes, (size_t)luaL_optinteger(L, 2, READ_MAX));
    bool good = file_read(path, &bytes, &err);
    if (good)
        lua_pushlstring(L, bytes.len ? bytes.data : "", bytes.len);
    buf_fini(&bytes);
    return good ? 1 : bind_fail(L, &err);
}

static const struct opt write_options[] = {
    {"mode", OPT_INTEGER, false}, {"durable", OPT_BOOL, false}, {NULL, 0, false}};

static int write_with(lua_State *L, bool (*write_file)(const struct file_spec *, struct err *),
                      const char *function)
{
    struct file_spec spec = {.path = bind_path(L, 1)};
    struct err err;
    spec.data = bind_text(L, 2, &spec.len);
    if (!lua_isnoneornil(L, 3)) {
        bind_options(L, 3, write_options, function);
        spec.mode = (mode_t)opt_integer(L, 3, "mode", 0);
        spec.durable = opt_bool(L, 3, "durable", false);
    }
    return write_file(&spec, &err) ? done(L) : bind_fail(L, &err);
}

/* fs.write(path, bytes[, { mode, durable }]): whole or not at all */
static int l_write(lua_State *L)
{
    return write_with(L, file_replace, "fs.write");
}

static int l_append(lua_State *L)
{
    return write_with(L, file_append, "fs.append");
}

/* fs.make_dir(path[, mode]): and every parent it lacks */
static int l_make_dir(lua_State *L)
{
    struct err err;
    mode_t mode = (mode_t)luaL_optinteger(L, 2, 0777);
    return dir_make(bind_path(L, 1), mode, &err) ? done(L) : bind_fail(L, &err);
}

static const char *type_name(mode_t mode)
{
    return S_ISREG(mode)   ? "file"
           : S_ISDIR(mode) ? "directory"
           : S_ISLNK(mode) ? "link"
                           : "other";
}

/* fs.stat(path) -> { type, size, mode, uid, gid, mtime } | nil, err; a link itself, not what it
   points to */
static int l_stat(lua_State *L)
{
    const char *path = bind_path(L, 1);
    struct stat st;
    if (lstat(path, &st) != 0)
        return system_fail(L, "look at", path);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, type_name(st.st_mode));
    lua_setfield(L, -2, "type");
    lua_pushinteger(L, st.st_size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, st.st_mode & 07777);
    lua_setfield(L, -2, "mode");
    lua_pushinteger(L, st.st_uid);
    lua_setfield(L, -2, "uid");
    lua_pushinteger(L, st.st_gid);
    lua_setfield(L, -2, "gid");
    lua_pushnumber(L, (lua_Number)st.st_mtim.tv_sec + (lua_Number)st.st_mtim.tv_nsec / 1e9);
    lua_setfield(L, -2, "mtime");
    return 1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* fs.list(path) -> names, sorted bytewise | nil, err */
static int l_list(lua_State *L)
{
    const char *path = bind_path(L, 1);
    DIR *dir = opendir(path);
    if (!dir)
        return system_fail(L, "list", path);
    char **names = NULL;
    size_t count = 0, room = 0;
    for (struct dirent *entry; count < ENTRIES_MAX && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (count == room)
            names = mem_grow(names, (room = room ? room * 2 : 64) * sizeof *names);
        names[count++] = mem_text(entry->d_name);
    }
    closedir(dir);
    if (count > 0)
        qsort(names, count, sizeof *names, by_name);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
        mem_free(names[i]);
    }
    mem_free(names);
    return 1;
}

static int l_rename(lua_State *L)
{
    const char *from = bind_path(L, 1), *to = bind_path(L, 2);
    return rename(from, to) == 0 ? done(L) : system_fail(L, "rename", from);
}

static int l_symlink(lua_State *L)
{
    const char *target = bind_path(L, 1), *path = bind_path(L, 2);
    return symlink(target, path) == 0 ? done(L) : system_fail(L, "make link", path);
}

static int l_chmod(lua_State *L)
{
    const char *path = bind_path(L, 1);
    mode_t mode = (mode_t)luaL_checkinteger(L, 2);
    return chmod(path, mode) == 0 ? done(L) : system_fail(L, "change the mode of", path);
}

/* fs.real_path(path) -> absolute, without links | nil, err */
static int l_real_path(lua_State *L)
{
    const char *path = bind_path(L, 1);
    char *real = realpath(path, NULL);
    if (!real)
        return system_fail(L, "find", path);
    lua_pushstring(L, real);
    free(real);
    return 1;
}

static int l_cwd(lua_State *L)
{
    char *cwd = getcwd(NULL, 0);
    if (!cwd)
        return system_fail(L, "find", "the working directory");
    lua_pushstring(L, cwd);
    free(cwd);
    return 1;
}

/* fs.make_temp(prefix) -> path of a new directory, mode 0700 | nil, err */
static int l_make_temp(lua_State *L)
{
    const char *prefix = bind_path(L, 1);
    struct buf path;
    buf_init(&path, PATH_MAX);
    buf_format(&path, "%sXXXXXX", prefix);
    bool good = path.data && mkdtemp(path.data);
    if (good)
        lua_pushstring(L, path.data);
    int number = errno;
    buf_fini(&path);
    errno = number;
    return good ? 1 : system_fail(L, "make a directory", prefix);
}

/* fs.join(base, path) -> cleaned path; an absolute second one stands alone */
static int l_join(lua_State *L)
{
    char *joined = path_join(bind_path(L, 1), bind_path(L, 2));
    lua_pushstring(L, joined);
    mem_free(joined);
    return 1;
}

/* fs.matches(pattern, path) -> boolean | nil, err; Go's filepath.Match, and "**" */
static int l_matches(lua_State *L)
{
    struct err err;
    const char *pattern = bind_path(L, 1);
    if (!glob_check(pattern, &err))
        return bind_fail(L, &err);
    lua_pushboolean(L, glob_match(pattern, bind_path(L, 2)));
    return 1;
}

/* fs.random(count) -> that many bytes of the system's generator, 256 at most */
static int l_random(lua_State *L)
{
    char bytes[256];
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count <= (lua_Integer)sizeof bytes, 1, "0 to 256");
    if (getrandom(bytes, (size_t)count, 0) != (ssize_t)count)
        return system_fail(L, "read", "the random generator");
    lua_pushlstring(L, bytes, (size_t)count);
    return 1;
}

/* fs.environment() -> { NAME = value } */
static int l_environment(lua_State *L)
{
    lua_newtable(L);
    for (char **each = environ; *each; each++) {
        const char *equals = strchr(*each, '=');
        if (!equals)
            continue;
        lua_pushlstring(L, *each, (size_t)(equals - *each));
        lua_pushstring(L, equals + 1);
        lua_rawset(L, -3);
    }
    return 1;
}

/* --- removing trees --------------------------------------------------------------------------- */

struct removal {
    struct wait wait;
    struct work *work;
    char *path;
    bool good;
    struct err err;
};

static void remove_tree(void *arg, const atomic_bool *stop)
{
    struct removal *removal = arg;
    removal->good = tree_remove(removal->path, stop, &removal->err);
}

static void on_removed(void *arg, bool cancelled)
{
    struct removal *removal = arg;
    removal->work = NULL;
    if (cancelled)
        err_set(&removal->err, ERR_CANCELLED, "deleting %s was cancelled", removal->path);
    task_wake(removal);
}

static void removal_cancel(void *op)
{
    work_cancel(((struct removal *)op)->work);
}

static int removal_gc(lua_State *L)
{
    struct removal *removal = lua_touserdata(L, 1);
    mem_free(removal->path);
    removal->path = NULL;
    return 0;
}

static int k_removal(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct removal *removal = (struct removal *)context;
    return removal->good ? done(L) : bind_fail(L, &removal->err);
}

/* fs.remove(path): a file or a whole tree; absent is good; waits */
static int l_remove(lua_State *L)
{
    const char *path = bind_path(L, 1);
    struct removal *removal = bind_wait(L, sizeof *removal, REMOVAL, removal_cancel);
    removal->path = mem_text(path);
    const struct work_spec spec = {.run = remove_tree, .done = on_removed, .arg = removal};
    removal->work = work_start(bind_loop(L), &spec);
    return bind_yield(L, removal, k_removal);
}

/* --- locks ------------------------------------------------------------------------------------ */

static int lock_gc(lua_State *L)
{
    int *fd = luaL_checkudata(L, 1, LOCK);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return 0;
}

/* fs.lock(path) -> lock | nil, err of kind conflict when another process holds it. Held until
   lock:release() or the end of the process, however it ends; the file names the holder's
   process. */
static int l_lock(lua_State *L)
{
    const char *path = bind_path(L, 1);
    int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
    *fd = -1;
    luaL_setmetatable(L, LOCK);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return system_fail(L, "open", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        char holder[24];
        int len = snprintf(holder, sizeof holder, "%d\n", getpid());
        return ftruncate(*fd, 0) == 0 && write(*fd, holder, (size_t)len) == len
                   ? 1
                   : system_fail(L, "write", path);
    }
    struct err err;
    if (errno != EWOULDBLOCK)
        return system_fail(L, "lock", path);
    err_set(&err, ERR_CONFLICT, "%s is locked by another process", path);
    return bind_fail(L, &err);
}

static const luaL_Reg lock_methods[] = {{"release", lock_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"read", l_read},           {"write", l_write},         {"append", l_append},
    {"make_dir", l_make_dir},   {"stat", l_stat},           {"list", l_list},
    {"rename", l_rename},       {"symlink", l_symlink},     {"chmod", l_chmod},
    {"real_path", l_real_path}, {"cwd", l_cwd},             {"make_temp", l_make_temp},
    {"join", l_join},           {"matches", l_matches},     {"remove", l_remove},
    {"lock", l_lock},           {"random", l_random},       {"environment", l_environment},
    {NULL, NULL},
};

int luaopen_orch_fs(lua_State *L);
int luaopen_orch_fs(lua_State *L)
{
    bind_type(L, REMOVAL, NULL, removal_gc);
    bind_type(L, LOCK, lock_methods, lock_gc);
    bind_closable(L, LOCK, lock_gc);
    bind_module(L, functions);
    return 1;
}
