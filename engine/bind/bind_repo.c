#include "bind/bind.h"

#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "bind/host.h"
#include "prim/repo.h"

#define REPO "orch.repo.wait"

enum {
    TIMEOUT_S = 600,
    IDLE_S = 60,
    INFO_TIMEOUT_S = 60,
};

struct visit {
    struct wait wait;
    struct repo *repo; /* NULL once it has ended */
    bool info;
    struct err err;
    char *text[REPO_TEXTS];
    int64_t number[REPO_NUMBERS];
};

static int visit_gc(lua_State *L)
{
    struct visit *visit = lua_touserdata(L, 1);
    for (int i = 0; i < REPO_TEXTS; i++) {
        mem_free(visit->text[i]);
        visit->text[i] = NULL;
    }
    return 0;
}

static void on_done(void *arg, const struct repo_result *result)
{
    struct visit *visit = arg;
    visit->repo = NULL;
    visit->err = result->err;
    for (int i = 0; i < REPO_TEXTS; i++)
        visit->text[i] = mem_text(result->text[i]);
    memcpy(visit->number, result->number, sizeof visit->number);
    task_wake(visit);
}

static void visit_cancel(void *op)
{
    struct visit *visit = op;
    if (visit->repo)
        repo_cancel(visit->repo);
}

/* --- results ------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const struct visit *visit, enum repo_text which, const char *key)
{
    if (!visit->text[which])
        return;
    lua_pushstring(L, visit->text[which]);
    lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const struct visit *visit, enum repo_number which,
                       const char *key)
{
    if (visit->number[which] < 0)
        return;
    lua_pushinteger(L, visit->number[which]);
    lua_setfield(L, -2, key);
}

static void set_seconds(lua_State *L, const struct visit *visit, enum repo_number which,
                        const char *key)
{
    lua_pushnumber(L, (lua_Number)visit->number[which] / 1e6);
    lua_setfield(L, -2, key);
}

static int fail(lua_State *L, struct visit *visit)
{
    memcpy(visit->err.op, visit->info ? "info" : "checkout", visit->info ? 5 : 9);
    return bind_fail(L, &visit->err);
}

static void push_commit(lua_State *L, const struct visit *visit)
{
    lua_createtable(L, 0, 12);
    set_text(L, visit, REPO_SHA, "sha");
    set_text(L, visit, REPO_BRANCH, "branch");
    set_text(L, visit, REPO_TAG, "tag");
    set_text(L, visit, REPO_SUBJECT, "subject");
    set_text(L, visit, REPO_AUTHOR, "author");
    set_number(L, visit, REPO_TIME, "time");
}

static int k_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct visit *visit = (struct visit *)context;
    if (visit->err.kind != ERR_NONE)
        return fail(L, visit);
    push_commit(L, visit);
    if (visit->info) {
        set_text(L, visit, REPO_TOP, "top");
        set_text(L, visit, REPO_REMOTE_URL, "remote_url");
        if (visit->number[REPO_DIRTY] >= 0) {
            lua_pushboolean(L, visit->number[REPO_DIRTY] > 0);
            lua_setfield(L, -2, "dirty");
        }
        return 1;
    }
    set_text(L, visit, REPO_REF, "ref");
    set_number(L, visit, REPO_FILES, "files");
    set_number(L, visit, REPO_OBJECTS, "objects");
    set_number(L, visit, REPO_BYTES, "bytes");
    lua_pushboolean(L, visit->number[REPO_MIRROR_HIT] > 0);
    lua_setfield(L, -2, "mirror_hit");
    lua_createtable(L, 0, 2); /* result seconds */
    set_seconds(L, visit, REPO_FETCH_US, "fetch");
    set_seconds(L, visit, REPO_CHECKOUT_US, "checkout");
    lua_setfield(L, -2, "seconds");
    return 1;
}

/* --- functions ---------------------------------------------------------------------------- */

/* A text without NUL bytes: the helper's protocol and every path end there. */
static const char *plain_text(lua_State *L, const char *key, const char *function)
{
    size_t len;
    const char *text = opt_text(L, 1, key, &len);
    if (text && strlen(text) != len)
        luaL_error(L, "%s: option '%s' holds a NUL byte", function, key);
    if (text && len == 0)
        luaL_error(L, "%s: option '%s' is empty; leave it out to have the default", function, key);
    return text;
}

static uint64_t milliseconds(lua_State *L, const char *key, lua_Number fallback)
{
    return (uint64_t)(opt_number(L, 1, key, fallback) * 1000 + 0.5);
}

static int start(lua_State *L, struct visit *visit, struct repo_spec *spec)
{
    char *helper = path_join(bind_host(L)->lib_dir, "orch-repo");
    spec->helper = helper;
    visit->repo = repo_start(bind_loop(L), spec, on_done, visit, &visit->err);
    mem_free(helper);
    if (visit->repo)
        return bind_yield(L, visit, k_done);
    return fail(L, visit);
}

static const struct opt checkout_options[] = {
    {"url", OPT_TEXT, true},       {"ref", OPT_TEXT, false},       {"sha", OPT_TEXT, false},
    {"into", OPT_TEXT, true},      {"mirror", OPT_TEXT, false},    {"user", OPT_TEXT, false},
    {"password", OPT_TEXT, false}, {"submodules", OPT_BOOL, false}, {"tags", OPT_BOOL, false},
    {"times", OPT_TEXT, false},    {"timeout", OPT_NUMBER, false},
    {"idle_timeout", OPT_NUMBER, false}, {NULL, 0, false},
};

/* repo.checkout { … } -> { sha, ref, branch, … } | nil, err */
static int l_checkout(lua_State *L)
{
    static const char name[] = "repo.checkout";
    bind_options(L, 1, checkout_options, name);
    struct repo_spec spec = {
        .op = REPO_CHECKOUT,
        .url = plain_text(L, "url", name),
        .ref = plain_text(L, "ref", name),
        .sha = plain_text(L, "sha", name),
        .into = plain_text(L, "into", name),
        .mirror = plain_text(L, "mirror", name),
        .times = plain_text(L, "times", name),
        .user = plain_text(L, "user", name),
        .password = plain_text(L, "password", name),
        .submodules = opt_bool(L, 1, "submodules", false),
        .tags = opt_bool(L, 1, "tags", false),
        .timeout_ms = milliseconds(L, "timeout", TIMEOUT_S),
        .idle_ms = milliseconds(L, "idle_timeout", IDLE_S),
    };
    return start(L, bind_wait(L, sizeof(struct visit), REPO, visit_cancel), &spec);
}

static const struct opt info_options[] = {
    {"dir", OPT_TEXT, false}, {"dirty", OPT_BOOL, false}, {"timeout", OPT_NUMBER, false},
    {NULL, 0, false},
};

/* repo.info { … } -> { top, sha, branch, … } | nil, err */
static int l_info(lua_State *L)
{
    static const char name[] = "repo.info";
    bind_options(L, 1, info_options, name);
    struct repo_spec spec = {
        .op = REPO_INFO,
        .dir = plain_text(L, "dir", name),
        .dirty = opt_bool(L, 1, "dirty", false),
        .timeout_ms = milliseconds(L, "timeout", INFO_TIMEOUT_S),
    };
    struct visit *visit = bind_wait(L, sizeof *visit, REPO, visit_cancel);
    visit->info = true;
    return start(L, visit, &spec);
}

static const luaL_Reg functions[] = {
    {"checkout", l_checkout},
    {"info", l_info},
    {NULL, NULL},
};

int luaopen_orch_repo(lua_State *L);
int luaopen_orch_repo(lua_State *L)
{
    bind_type(L, REPO, NULL, visit_gc);
    bind_module(L, functions);
    return 1;
}
