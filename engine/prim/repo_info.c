#include "prim/repo_info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "prim/repo_lib.h"
#include "prim/repo_refs.h"
#include "prim/repo_url.h"

enum { AUTHOR_MAX = 1024 };

bool info_commit(git_repository *repo, const git_oid *id, struct err *err)
{
    git_commit *commit;
    int rc = git_commit_lookup(&commit, repo, id);
    if (rc != 0)
        return lib_fail_as(err, rc, "cannot read the commit");
    char hex[GIT_OID_HEXSZ + 1], author[AUTHOR_MAX];
    const git_signature *by = git_commit_author(commit);
    talk_text("sha", git_oid_tostr(hex, sizeof hex, id));
    talk_text("subject", git_commit_summary(commit));
    snprintf(author, sizeof author, "%s <%s>", by ? by->name : "", by ? by->email : "");
    talk_text("author", author);
    talk_number("time", git_commit_time(commit));
    git_commit_free(commit);
    return true;
}

static void say_top(git_repository *repo)
{
    const char *dir = git_repository_workdir(repo);
    if (!dir)
        dir = git_repository_path(repo);
    size_t len = strlen(dir);
    char *top = mem_textn(dir, len > 1 && dir[len - 1] == '/' ? len - 1 : len);
    talk_text("top", top);
    mem_free(top);
}

static void say_remote(git_repository *repo)
{
    git_remote *origin;
    struct url url;
    if (git_remote_lookup(&origin, repo, "origin") != 0)
        return;
    const char *text = git_remote_url(origin);
    if (text && url_parse(&url, text, NULL))
        talk_text("remote_url", url.clean);
    else if (text && !strchr(text, '@')) /* a form we do not know cannot be freed of a password */
        talk_text("remote_url", text);
    url_fini(&url);
    git_remote_free(origin);
}

/* The tag at that very commit: an annotated one first, then the last by name. */
static void say_tag(git_repository *repo, const git_oid *commit)
{
    struct refs refs = {0};
    const struct ref *best = NULL;
    bool best_annotated = false;
    refs_read(&refs, repo, "refs/tags/*", NULL);
    for (size_t i = 0; i < refs.count; i++) {
        const struct ref *ref = &refs.list[i];
        git_oid at;
        const bool light = git_oid_equal(&ref->id, commit);
        if (!light && (!target_peel(repo, &ref->id, &at) || !git_oid_equal(&at, commit)))
            continue;
        if (best && (best_annotated > !light ||
                     (best_annotated == !light && strcmp(best->name, ref->name) > 0)))
            continue;
        best = ref;
        best_annotated = !light;
    }
    talk_text("tag", best ? best->name + strlen("refs/tags/") : NULL);
    refs_fini(&refs);
}

/* As "git status --porcelain" printing anything. */
static bool say_dirty(git_repository *repo, struct err *err)
{
    git_status_options options;
    git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED;
    git_status_list *list;
    int rc = git_repository_is_bare(repo) ? 1 : git_status_list_new(&list, repo, &options);
    if (rc < 0)
        return lib_fail_as(err, rc, "cannot compare %s with its index",
                           git_repository_workdir(repo));
    talk_number("dirty", rc == 0 && git_status_list_entrycount(list) > 0);
    if (rc == 0)
        git_status_list_free(list);
    return true;
}

static bool say_head(git_repository *repo, struct err *err)
{
    git_reference *head = NULL;
    int rc = git_reference_lookup(&head, repo, "HEAD");
    if (rc == 0 && git_reference_type(head) == GIT_REFERENCE_SYMBOLIC) {
        const char *target = git_reference_symbolic_target(head);
        if (strncmp(target, "refs/heads/", 11) == 0)
            talk_text("branch", target + 11);
    }
    git_reference_free(head);
    git_oid id;
    if (rc != 0 || git_reference_name_to_id(&id, repo, "HEAD") != 0)
        return true; /* no commit yet */
    say_tag(repo, &id);
    return info_commit(repo, &id, err);
}

bool info_run(const struct ask *ask, struct err *err)
{
    const char *dir = ask->dir ? ask->dir : ".";
    if (access(dir, F_OK) != 0)
        return err_system(err, errno, "cannot look for a git repository in %s", dir);
    git_repository *repo = NULL;
    int rc = git_repository_open_ext(&repo, dir, 0, NULL);
    if (rc == GIT_ENOTFOUND)
        return err_set(err, ERR_MISSING, "%s is in no git repository", dir);
    if (rc != 0)
        return lib_fail_as(err, rc, "cannot open the git repository of %s", dir);
    say_top(repo);
    say_remote(repo);
    bool good = say_head(repo, err) && (!ask->dirty || say_dirty(repo, err));
    git_repository_free(repo);
    return good;
}
