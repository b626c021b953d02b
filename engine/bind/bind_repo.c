#include "bind/bind.h"

#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "bind/host.h"
#include "bind/options.h"
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
    {"url", OPT_PLAIN, true},       {"ref", OPT_PLAIN, false},       {"sha", OPT_PLAIN, false},
    {"into", OPT_PLAIN, true},      {"mirror", OPT_PLAIN, false},    {"user", OPT_PLAIN, false},
    {"password", OPT_PLAIN, false}, {"submodules", OPT_BOOL, false}, {"tags", OPT_BOOL, false},
    {"times", OPT_PLAIN, false},    {"timeout", OPT_NUMBER, false},
    {"idle_timeout", OPT_NUMBER, false}, {NULL, 0, false},
};

/* repo.checkout { … } -> { sha, ref, branch, … } | nil, err */
static int l_checkout(lua_State *L)
{
    static const char name[] = "repo.checkout";
    bind_options(L, 1, checkout_options, name);
    struct repo_spec spec = {
        .op = REPO_CHECKOUT,
        .url = opt_text(L, 1, "url", NULL),
        .ref = opt_text(L, 1, "ref", NULL),
        .sha = opt_text(L, 1, "sha", NULL),
        .into = opt_text(L, 1, "into", NULL),
        .mirror = opt_text(L, 1, "mirror", NULL),
        .times = opt_text(L, 1, "times", NULL),
        .user = opt_text(L, 1, "user", NULL),
        .password = opt_text(L, 1, "password", NULL),
        .submodules = opt_bool(L, 1, "submodules", false),
        .tags = opt_bool(L, 1, "tags", false),
        .timeout_ms = opt_milliseconds(L, 1, "timeout", TIMEOUT_S),
        .idle_ms = opt_milliseconds(L, 1, "idle_timeout", IDLE_S),
    };
    return start(L, bind_wait(L, sizeof(struct visit), REPO, visit_cancel), &spec);
}

static const struct opt info_options[] = {
    {"dir", OPT_PLAIN, false}, {"dirty", OPT_BOOL, false}, {"timeout", OPT_NUMBER, false},
    {NULL, 0, false},
};

/* repo.info { … } -> { top, sha, branch, … } | nil, err */
static int l_info(lua_State *L)
{
    static const char name[] = "repo.info";
    bind_options(L, 1, info_options, name);
    struct repo_spec spec = {
        .op = REPO_INFO,
        .dir = opt_text(L, 1, "dir", NULL),
        .dirty = opt_bool(L, 1, "dirty", false),
        .timeout_ms = opt_milliseconds(L, 1, "timeout", INFO_TIMEOUT_S),
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
