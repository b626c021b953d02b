#include "prim/repo_filter.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_lib.h"

/* What makes checked-out bytes differ on a system whose line end is LF; "text" and "binary" do
   not. */
static bool asks(const char *text, size_t len)
{
    static const char *const words[] = {"crlf", "ident", "filter", "working-tree-encoding",
        "[attr]"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(text, len, words[i], strlen(words[i])))
            return true;
    return false;
}

static bool config_asks(git_repository *repo)
{
    git_config *config;
    bool found = false;
    if (git_repository_config_snapshot(&config, repo) != 0)
        return true;
    const char *value;
    if (git_config_get_string(&value, config, "core.autocrlf") == 0)
        found = strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
                strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0;
    if (git_config_get_string(&value, config, "core.eol") == 0)
        found = found || strcasecmp(value, "crlf") == 0;
    if (git_config_get_string(&value, config, "core.attributesfile") == 0)
        found = true;
    git_config_free(config);
    return found;
}

/* Attributes that lie outside the commit. */
static bool machine_asks(git_repository *repo)
{
    char *info = path_join(git_repository_commondir(repo), "info/attributes");
    bool found = access(info, F_OK) == 0 || access("/etc/gitattributes", F_OK) == 0;
    mem_free(info);
    git_buf dir = GIT_BUF_INIT;
    if (git_libgit2_opts(GIT_OPT_GET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, &dir) == 0 && dir.ptr) {
        char *file = path_join(dir.ptr, "attributes");
        found = found || access(file, F_OK) == 0;
        mem_free(file);
    }
    git_buf_dispose(&dir);
    return found;
}

bool filter_needed(git_repository *repo, git_index *index)
{
    if (config_asks(repo) || machine_asks(repo))
        return true;
    git_odb *odb;
    if (git_repository_odb(&odb, repo) != 0)
        return true;
    bool found = false;
    for (size_t i = 0; i < git_index_entrycount(index) && !found; i++) {
        const git_index_entry *entry = git_index_get_byindex(index, i);
        git_odb_object *object;
        if (strcmp(path_base(entry->path), ".gitattributes") != 0 ||
            git_odb_read(&object, odb, &entry->id) != 0)
            continue;
        found = asks(git_odb_object_data(object), git_odb_object_size(object));
        git_odb_object_free(object);
    }
    git_odb_free(odb);
    return found;
}

bool filter_apply(git_repository *repo, const git_index_entry *entry, git_buf *out, struct err *err)
{
    git_blob *blob = NULL;
    git_filter_list *list = NULL;
    int rc = git_blob_lookup(&blob, repo, &entry->id);
    if (rc == 0)
        rc = git_filter_list_load(&list, repo, blob, entry->path, GIT_FILTER_TO_WORKTREE,
                                  GIT_FILTER_ALLOW_UNSAFE);
    if (rc == 0 && list)
        rc = git_filter_list_apply_to_blob(out, list, blob);
    git_filter_list_free(list);
    git_blob_free(blob);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot convert %s", entry->path);
}
