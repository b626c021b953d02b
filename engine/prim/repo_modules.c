#include "prim/repo_modules.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/repo_lib.h"
#include "prim/repo_safe.h"

enum { MODULES_MAX = 1000, KEY_MAX = 8 << 10 };

struct reading {
    struct modules *modules;
    struct err *err; /* set when collect returns GIT_EUSER */
};

static int collect(git_submodule *submodule, const char *name, void *arg)
{
    const struct reading *reading = arg;
    struct modules *modules = reading->modules;
    const git_oid *id = git_submodule_index_id(submodule);
    const char *path = git_submodule_path(submodule), *url = git_submodule_url(submodule);
    git_buf resolved = GIT_BUF_INIT;
    if (!id || !safe_path(path)) /* none of this commit's: its paths are safe */
        return 0;
    if (!url) { /* nor does libgit2 tell one that begins with '-', or of a name with ".." */
        err_set(reading->err, ERR_FAILED,
                "submodule %s: .gitmodules has no URL for it, or none that may be used", path);
        return GIT_EUSER;
    }
    if (modules->count == MODULES_MAX) {
        err_set(reading->err, ERR_LIMIT, "more than %d submodules", MODULES_MAX);
        return GIT_EUSER;
    }
    int rc = git_submodule_resolve_url(&resolved, git_submodule_owner(submodule), url);
    if (rc != 0)
        return rc;
    modules->list = mem_grow(modules->list, (modules->count + 1) * sizeof *modules->list);
    struct module *module = &modules->list[modules->count++];
    *module = (struct module){.name = mem_text(name), .path = mem_text(path),
                              .url = mem_text(resolved.ptr)};
    git_oid_tostr(module->sha, sizeof module->sha, id);
    git_buf_dispose(&resolved);
    return 0;
}

bool modules_read(struct modules *modules, git_repository *repo, struct err *err)
{
    *modules = (struct modules){0};
    int rc = git_submodule_foreach(repo, collect, &(struct reading){modules, err});
    return rc == 0 || rc == GIT_EUSER ? rc == 0
                                      : lib_fail_as(err, rc, "cannot read the submodules");
}

void modules_fini(struct modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        mem_free(modules->list[i].name);
        mem_free(modules->list[i].path);
        mem_free(modules->list[i].url);
    }
    mem_free(modules->list);
    *modules = (struct modules){0};
}

bool modules_activate(git_repository *repo, const struct module *module, struct err *err)
{
    struct buf key;
    git_config *config = NULL;
    buf_init(&key, KEY_MAX);
    buf_format(&key, "submodule.%s.url", module->name);
    int rc = git_repository_config(&config, repo);
    if (rc == 0)
        rc = git_config_set_string(config, key.data ? key.data : "", module->url);
    git_config_free(config);
    buf_fini(&key);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot note the submodule %s", module->path);
}
