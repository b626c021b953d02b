#include <string.h>
#include <unistd.h>

#include "base/ignore.h"
#include "base/mem.h"
#include "base/path.h"
#include "bind/bind_tar.h"
#include "bind/options.h"
#include "prim/tar_context.h"

#define CONTEXT "orch.tar.context"
#define CONTEXT_WAIT "orch.tar.context.wait"
#define IGNORE "orch.tar.ignore"

/* On the heap and shared by the userdata and the primitive: freed when both have let go. */
struct stream {
    struct tar_context *context; /* NULL once it has ended */
    struct hold hold;
    struct wait *waiter;
    struct tar_context_result result;
    int fd; /* -1 once it was asked for */
    bool orphan; /* the userdata is gone */
};

struct stream_wait {
    struct wait wait;
    struct stream *stream;
};

static void close_fd(struct stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
}

static void on_sent(void *arg, const struct tar_context_result *result)
{
    struct stream *stream = arg;
    struct wait *waiter = stream->waiter;
    stream->context = NULL;
    stream->result = *result;
    stream->waiter = NULL;
    if (waiter)
        task_wake(waiter);
    hold_release(&stream->hold);
    if (stream->orphan)
        mem_free(stream);
}

static void end_stream(void *thing)
{
    struct stream *stream = thing;
    close_fd(stream);
    if (stream->context)
        tar_context_cancel(stream->context);
}

static struct stream *to_stream(lua_State *L)
{
    return *(struct stream **)luaL_checkudata(L, 1, CONTEXT);
}

static int stream_gc(lua_State *L)
{
    struct stream **slot = lua_touserdata(L, 1), *stream = *slot;
    *slot = NULL;
    if (!stream)
        return 0;
    stream->orphan = true;
    end_stream(stream);
    if (!stream->context)
        mem_free(stream);
    return 0;
}

static const struct opt context_options[] = {
    {"dir", OPT_PLAIN, true},
    {"dockerfile", OPT_PLAIN, false},
    {"dockerfile_text", OPT_TEXT, false},
    {"ignore", OPT_TEXT, false},
    {"classic", OPT_BOOL, false},
    {NULL, 0, false},
};

/* tar.context { dir, … } -> context | nil, err */
int bind_tar_context(lua_State *L)
{
    struct err err;
    bind_options(L, 1, context_options, "tar.context");
    struct tar_context_spec spec = {
        .dir = opt_text(L, 1, "dir", NULL),
        .dockerfile = opt_text(L, 1, "dockerfile", NULL),
        .classic = opt_bool(L, 1, "classic", false),
    };
    spec.text = opt_text(L, 1, "dockerfile_text", &spec.text_len);
    spec.ignore = opt_text(L, 1, "ignore", &spec.ignore_len);
    if (!spec.dockerfile)
        spec.dockerfile = "Dockerfile";
    struct stream **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, CONTEXT);
    struct stream *stream = *slot = mem_alloc(sizeof *stream);
    stream->fd = -1;
    stream->context = tar_context_start(bind_loop(L), &spec, on_sent, stream, &err);
    if (!stream->context)
        return bind_fail(L, &err);
    stream->fd = tar_context_fd_take(stream->context);
    hold_start(L, &stream->hold, end_stream, stream);
    return 1;
}

/* context:fd() -> descriptor, the caller's to close */
static int l_fd(lua_State *L)
{
    struct stream *stream = to_stream(L);
    if (stream->fd < 0)
        return luaL_error(L, "the context's descriptor has been taken or closed already");
    lua_pushinteger(L, stream->fd);
    stream->fd = -1;
    return 1;
}

static void stop_waiting(void *op)
{
    struct stream_wait *wait = op;
    wait->stream->waiter = NULL;
    task_wake(wait);
}

static int push_sent(lua_State *L, const struct tar_context_result *result)
{
    if (result->err.kind != ERR_NONE)
        return bind_fail(L, &result->err);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)result->files);
    lua_setfield(L, -2, "files");
    lua_pushinteger(L, (lua_Integer)result->bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)result->excluded);
    lua_setfield(L, -2, "excluded");
    return 1;
}

static int k_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return push_sent(L, &((struct stream_wait *)context)->stream->result);
}

/* context:wait() -> { files, bytes, excluded } | nil, err */
static int l_wait(lua_State *L)
{
    struct stream *stream = to_stream(L);
    if (!stream->context)
        return push_sent(L, &stream->result);
    if (stream->fd >= 0)
        return luaL_error(L, "nobody reads this context: take its fd() before wait()");
    if (stream->waiter)
        return luaL_error(L, "another task waits for this context already");
    struct stream_wait *wait = bind_wait(L, sizeof *wait, CONTEXT_WAIT, stop_waiting);
    wait->stream = stream;
    stream->waiter = &wait->wait;
    return bind_yield(L, wait, k_wait);
}

static int l_cancel(lua_State *L)
{
    end_stream(to_stream(L));
    return 0;
}

/* --- tar.ignore ------------------------------------------------------------------------------- */

static int ignore_gc(lua_State *L)
{
    struct ignore **slot = lua_touserdata(L, 1);
    ignore_free(*slot);
    *slot = NULL;
    return 0;
}

/* tar.ignore(text) -> matcher | nil, err */
int bind_tar_ignore(lua_State *L)
{
    struct err err;
    size_t len;
    const char *text = bind_text(L, 1, &len);
    struct ignore **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, IGNORE);
    *slot = ignore_new(text, len, ".dockerignore", &err);
    return *slot ? 1 : bind_fail(L, &err);
}

/* matcher:excluded(path[, is_dir]) -> boolean; patterns make no difference between file and
   directory */
static int l_excluded(lua_State *L)
{
    struct ignore *ignore = *(struct ignore **)luaL_checkudata(L, 1, IGNORE);
    const char *given = luaL_checkstring(L, 2);
    if (!ignore)
        return luaL_error(L, "the matcher is closed");
    char *path = path_clean(given);
    size_t size = ignore_state_size(ignore);
    bool *above = mem_alloc(size), *state = mem_alloc(size), excluded = false;
    bool top = true;
    for (char *p = path; *path != '.' || path[1]; p++) {
        p += strcspn(p, "/");
        char was = *p;
        *p = '\0';
        excluded = ignore_excludes(ignore, path, top ? NULL : above, state);
        memcpy(above, state, size);
        top = false;
        *p = was;
        if (was == '\0')
            break;
    }
    mem_free(path);
    mem_free(above);
    mem_free(state);
    lua_pushboolean(L, excluded);
    return 1;
}

static const luaL_Reg context_methods[] = {
    {"fd", l_fd}, {"wait", l_wait}, {"cancel", l_cancel}, {NULL, NULL},
};

static const luaL_Reg ignore_methods[] = {{"excluded", l_excluded}, {NULL, NULL}};

void bind_tar_context_types(lua_State *L)
{
    bind_type(L, CONTEXT, context_methods, stream_gc);
    bind_closable(L, CONTEXT, l_cancel);
    bind_type(L, CONTEXT_WAIT, NULL, NULL);
    bind_type(L, IGNORE, ignore_methods, ignore_gc);
}
