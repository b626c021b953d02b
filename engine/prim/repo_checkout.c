#include "prim/repo_checkout.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_fetch.h"
#include "prim/repo_info.h"
#include "prim/repo_lib.h"
#include "prim/repo_mirror.h"
#include "prim/repo_modules.h"
#include "prim/repo_place.h"
#include "prim/repo_source.h"
#include "prim/repo_times.h"
#include "prim/repo_tree.h"

enum { MODULE_DEPTH_MAX = 10 };

struct checkout {
    const struct ask *ask;
    /* of the outermost repository: what credentials are for; NULL = it is us */
    const struct url *top;
    int depth;
    struct url url;
    struct place place;
    struct mirror mirror;
    git_repository *repo; /* the one in place.work */
    struct target target;
    struct fetch_stats fetched;
    struct tree_stats written;
    int64_t fetch_us, checkout_us;
};

/* --- the objects -------------------------------------------------------------------------- */

static char *git_dir(const struct checkout *checkout)
{
    git_repository *repo = NULL;
    char *dir = NULL;
    if (git_repository_open_ext(&repo, checkout->place.work, GIT_REPOSITORY_OPEN_NO_SEARCH,
        NULL) == 0)
        dir = mem_text(git_repository_commondir(repo));
    git_repository_free(repo);
    return dir ? dir : path_join(checkout->place.work, ".git");
}

static bool borrow(struct checkout *checkout, git_repository *source, struct err *err)
{
    char *dir = git_dir(checkout);
    bool good = source_borrow(source, dir, err);
    mem_free(dir);
    return good;
}

static bool open_path(struct checkout *checkout, git_repository **source, struct err *err)
{
    const char *path = checkout->url.path;
    int rc = git_repository_open_ext(source, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == GIT_ENOTFOUND)
        return err_set(err, ERR_MISSING, "no git repository at %s", path);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot open the git repository at %s", path);
}

static bool from_path(struct checkout *checkout, struct err *err)
{
    const struct ask *ask = checkout->ask;
    git_repository *source = NULL;
    bool good = open_path(checkout, &source, err) &&
                source_resolve(source, checkout->url.path, ask->ref, ask->sha, &checkout->target,
                               err) &&
                (!ask->tags || refs_read(&checkout->target.tags, source, "refs/tags/*", err)) &&
                borrow(checkout, source, err);
    git_repository_free(source);
    checkout->fetched.hit = true;
    return good;
}

static bool open_work(struct checkout *checkout, struct err *err)
{
    int rc = git_repository_open_ext(&checkout->repo, checkout->place.work,
                                     GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc != 0)
        return lib_fail(err, ERR_CONFLICT,
            "%s holds a .git that is no usable repository: delete it "
                                           "or check out elsewhere", checkout->place.into);
    if (git_repository_is_bare(checkout->repo))
        return err_set(err, ERR_CONFLICT, "%s is a repository without a work tree",
                       checkout->place.into);
    return true;
}

static bool fetch(struct checkout *checkout, git_repository *repo, struct err *err)
{
    const struct ask *ask = checkout->ask;
    const bool trusted = !checkout->top || url_same_server(&checkout->url, checkout->top);
    const struct fetch_spec spec = {
        .repo = repo,
        .url = &checkout->url,
        .user = trusted ? ask->user ? ask->user : checkout->url.user : NULL,
        .password = trusted ? ask->password ? ask->password : checkout->url.password : NULL,
        .ref = ask->ref,
        .sha = ask->sha,
        .tags = ask->tags,
        .pin = repo == checkout->mirror.repo,
    };
    return fetch_run(&spec, &checkout->target, &checkout->fetched, err);
}

static bool from_remote(struct checkout *checkout, struct err *err)
{
    const char *dir = checkout->ask->mirror;
    if (!dir)
        return open_work(checkout, err) && fetch(checkout, checkout->repo, err);
    bool good = mirror_open(&checkout->mirror, dir, &checkout->url, err) &&
                fetch(checkout, checkout->mirror.repo, err) &&
                borrow(checkout, checkout->mirror.repo, err);
    mirror_close(&checkout->mirror);
    return good;
}

/* --- names -------------------------------------------------------------------------------- */

static const char *inner(const char *ref, const char *prefix)
{
    size_t len = strlen(prefix);
    return ref && strncmp(ref, prefix, len) == 0 ? ref + len : NULL;
}

static bool set_ref(git_repository *repo, const char *name, const git_oid *id, struct err *err)
{
    git_oid now;
    git_reference *ref = NULL;
    if (git_reference_name_to_id(&now, repo, name) == 0 && git_oid_equal(&now, id))
        return true;
    int rc = git_reference_create(&ref, repo, name, id, 1, "orch: checkout");
    git_reference_free(ref);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot set %s", name);
}

static bool set_origin(struct checkout *checkout, struct err *err)
{
    git_repository *repo = checkout->repo;
    git_remote *origin = NULL;
    const char *url = checkout->url.clean;
    int rc = git_remote_lookup(&origin, repo, "origin");
    if (rc == GIT_ENOTFOUND)
        rc = git_remote_create(&origin, repo, "origin", url);
    else if (rc == 0 && (!git_remote_url(origin) || strcmp(git_remote_url(origin), url) != 0))
        rc = git_remote_set_url(repo, "origin", url);
    git_remote_free(origin);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot set the URL of origin");
}

/* What pull and push of the branch mean, as after git clone. */
static bool set_upstream(git_repository *repo, const char *branch, struct err *err)
{
    char key[4200], merge[4200];
    git_config *config = NULL;
    git_buf value = GIT_BUF_INIT;
    int rc = git_repository_config(&config, repo);
    snprintf(key, sizeof key, "branch.%s.remote", branch);
    if (rc == 0 && git_config_get_string_buf(&value, config, key) == GIT_ENOTFOUND) {
        rc = git_config_set_string(config, key, "origin");
        snprintf(key, sizeof key, "branch.%s.merge", branch);
        snprintf(merge, sizeof merge, "refs/heads/%s", branch);
        if (rc == 0)
            rc = git_config_set_string(config, key, merge);
    }
    git_buf_dispose(&value);
    git_config_free(config);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot set the upstream of %s", branch);
}

static bool set_names(struct checkout *checkout, struct err *err)
{
    git_repository *repo = checkout->repo;
    const struct target *target = &checkout->target;
    const char *branch = inner(target->ref, "refs/heads/"), *tag = inner(target->ref, "refs/tags/");
    char name[4200];
    for (size_t i = 0; i < target->tags.count; i++)
        if (!set_ref(repo, target->tags.list[i].name, &target->tags.list[i].id, err))
            return false;
    if (tag && !set_ref(repo, target->ref, &target->tip, err))
        return false;
    if (!branch) {
        int rc = git_repository_set_head_detached(repo, &target->commit);
        return rc == 0 ? true : lib_fail_as(err, rc, "cannot set HEAD");
    }
    snprintf(name, sizeof name, "refs/remotes/origin/%s", branch);
    if (!set_ref(repo, name, &target->tip, err) ||
        !set_ref(repo, target->ref, &target->commit, err))
        return false;
    int rc = git_repository_set_head(repo, target->ref);
    if (rc != 0)
        return lib_fail_as(err, rc, "cannot set HEAD to %s", branch);
    return set_upstream(repo, branch, err);
}

/* --- the whole ---------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool make_work(struct checkout *checkout, struct err *err)
{
    if (checkout->place.kind == PLACE_REPO) {
        bool good = open_work(checkout, err); /* before anything is fetched in vain */
        git_repository_free(checkout->repo);
        checkout->repo = NULL;
        return good;
    }
    git_repository *repo = NULL;
    git_repository_init_options options;
    git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags = GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
    int rc = git_repository_init_ext(&repo, checkout->place.work, &options);
    git_repository_free(repo);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot make a repository for %s",
                                        checkout->place.into);
}

static bool run(struct checkout *checkout, struct err *err);

/* Into the work tree that is being made: what is published is all of it. */
static bool add_module(struct checkout *outer, const struct module *module, struct err *err)
{
    char *into = path_join(outer->place.work, module->path);
    struct ask ask = *outer->ask;
    ask.url = module->url;
    ask.ref = NULL;
    ask.sha = module->sha;
    ask.into = into;
    ask.times = NULL; /* a submodule's files are as new as their checkout */
    struct checkout inner = {.ask = &ask, .depth = outer->depth + 1,
                             .top = outer->top ? outer->top : &outer->url};
    struct err why;
    bool good = run(&inner, &why);
    mem_free(into);
    if (!good)
        return err_set(err, why.kind, "submodule %s: %s", module->path, why.message);
    outer->written.files += inner.written.files;
    outer->fetched.objects += inner.fetched.objects;
    outer->fetched.bytes += inner.fetched.bytes;
    outer->fetched.hit = outer->fetched.hit && inner.fetched.hit;
    return modules_activate(outer->repo, module, err);
}

static bool add_modules(struct checkout *checkout, struct err *err)
{
    struct modules modules;
    bool good = modules_read(&modules, checkout->repo, err);
    if (good && modules.count > 0 && checkout->depth == MODULE_DEPTH_MAX)
        good = err_set(err, ERR_LIMIT, "more than %d levels of submodules", MODULE_DEPTH_MAX);
    for (size_t i = 0; good && i < modules.count; i++)
        good = add_module(checkout, &modules.list[i], err);
    modules_fini(&modules);
    return good;
}

/* TERM waits: what is made is whole, and moving it takes a moment. */
static bool publish(struct checkout *checkout, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    bool good = place_publish(&checkout->place, err);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return good;
}

static void say(const struct checkout *checkout)
{
    const char *ref = checkout->target.ref;
    talk_text("ref", ref);
    talk_text("branch", inner(ref, "refs/heads/"));
    talk_text("tag", inner(ref, "refs/tags/"));
    talk_number("files", (int64_t)checkout->written.files);
    talk_number("objects", (int64_t)checkout->fetched.objects);
    talk_number("bytes", (int64_t)checkout->fetched.bytes);
    talk_number("fetch_us", checkout->fetch_us);
    talk_number("checkout_us", checkout->checkout_us);
    talk_number("mirror_hit", checkout->fetched.hit);
}

/* A work tree that is updated in place has its times. */
static bool date(struct checkout *checkout, struct err *err)
{
    const char *times = checkout->ask->times;
    return !times ||
        ((checkout->place.kind == PLACE_REPO || times_take(checkout->repo, times, err)) &&
                      times_keep(checkout->repo, times, err));
}

static bool work(struct checkout *checkout, struct err *err)
{
    const double start = now();
    if (!place_open(&checkout->place, checkout->ask->into, err) || !make_work(checkout, err))
        return false;
    if (checkout->url.kind == URL_PATH ? !from_path(checkout, err) : !from_remote(checkout, err))
        return false;
    const double fetched = now();
    if ((!checkout->repo && !open_work(checkout, err)) || !set_origin(checkout, err) ||
        !tree_checkout(checkout->repo, &checkout->target.commit, &checkout->written, err) ||
        !date(checkout, err) || !set_names(checkout, err) ||
        (checkout->ask->submodules && !add_modules(checkout, err)) ||
        (!checkout->top && !info_commit(checkout->repo, &checkout->target.commit, err)))
        return false;
    git_repository_free(checkout->repo);
    checkout->repo = NULL;
    if (!publish(checkout, err))
        return false;
    checkout->fetch_us = (int64_t)((fetched - start) * 1e6);
    checkout->checkout_us = (int64_t)((now() - fetched) * 1e6);
    return true;
}

/* A repository elsewhere must not make us read one that happens to be on this machine. */
static bool may_read(const struct checkout *checkout, struct err *err)
{
    if (checkout->url.kind != URL_PATH || !checkout->top || checkout->top->kind == URL_PATH)
        return true;
    return err_set(err, ERR_FAILED,
        "refused to read %s of this machine, which a repository elsewhere "
                                    "names", checkout->url.path);
}

static bool run(struct checkout *checkout, struct err *err)
{
    checkout->place.lock = checkout->mirror.lock = -1;
    bool good = url_parse(&checkout->url, checkout->ask->url, err);
    if (good && !checkout->top)
        talk_text("url", checkout->url.clean);
    good = good && may_read(checkout, err) && work(checkout, err);
    if (good && !checkout->top)
        say(checkout);
    git_repository_free(checkout->repo);
    mirror_close(&checkout->mirror);
    place_close(&checkout->place);
    target_fini(&checkout->target);
    url_fini(&checkout->url);
    return good;
}

bool checkout_run(const struct ask *ask, struct err *err)
{
    if (!ask->url || !ask->into)
        return err_set(err, ERR_USAGE, "a checkout needs url and into");
    struct checkout checkout = {.ask = ask};
    return run(&checkout, err);
}

void checkout_sweep(const struct ask *ask)
{
    struct url url;
    if (ask->into)
        place_sweep(ask->into);
    if (ask->mirror && ask->url && url_parse(&url, ask->url, NULL)) {
        char *path = mirror_path(ask->mirror, &url);
        mirror_sweep_idle(path);
        mem_free(path);
        url_fini(&url);
    }
}
