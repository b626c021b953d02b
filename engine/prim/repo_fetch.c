#include "prim/repo_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/repo_http.h"
#include "prim/repo_lib.h"
#include "prim/repo_ssh.h"
#include "prim/repo_talk.h"

struct fetch {
    const struct fetch_spec *spec;
    struct fetch_stats *stats;
    git_remote *remote;
    git_fetch_options options;
    struct refs refs; /* what the remote advertises */
    char *head;       /* the branch that its HEAD names, NULL if unknown */
    git_oid head_id;
    bool has_head;
    struct http_access http;
    struct err ssh; /* what ssh said */
    char *proxy, *ca_file;
};

/* --- libgit2's callbacks ------------------------------------------------------------------ */

static int on_transfer(const git_indexer_progress *progress, void *payload)
{
    (void)payload;
    const bool all = progress->received_objects == progress->total_objects;
    talk_progress(all ? "index" : "fetch",
        all ? progress->indexed_deltas : progress->received_objects,
                  all ? progress->total_deltas : progress->total_objects, progress->received_bytes);
    return 0;
}

static int on_sideband(const char *text, int len, void *payload)
{
    (void)text, (void)len, (void)payload;
    talk_progress("fetch", 0, 0, 0); /* the remote counts objects: it lives */
    return 0;
}

/* --- what went wrong ---------------------------------------------------------------------- */

static bool fail(const struct fetch *fetch, int code, struct err *err)
{
    const char *where = fetch->spec->url->clean;
    if (fetch->http.err.kind != ERR_NONE || fetch->ssh.kind != ERR_NONE) {
        const struct err *said = fetch->http.err.kind != ERR_NONE ? &fetch->http.err : &fetch->ssh;
        if (said == &fetch->http.err)
            *err = *said;
        else
            err_set(err, said->kind, "cannot fetch from %s: %s", where, said->message);
        return false;
    }
    if (lib_class() == GIT_ERROR_OS || lib_class() == GIT_ERROR_FILESYSTEM)
        return lib_fail(err, ERR_IO, "cannot store what %s sent", where);
    if (lib_class() == GIT_ERROR_NET || lib_class() == GIT_ERROR_INDEXER || code == GIT_EEOF)
        return lib_fail(err, ERR_REMOTE, "%s gave no answer that a git server gives", where);
    return lib_fail(err, ERR_FAILED, "cannot fetch from %s", where);
}

/* --- connecting --------------------------------------------------------------------------- */

static bool connect_remote(struct fetch *fetch, struct err *err)
{
    git_remote_connect_options options;
    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    options.callbacks = fetch->options.callbacks;
    talk_progress("fetch", 0, 0, 0);
    int rc = git_remote_connect_ext(fetch->remote, GIT_DIRECTION_FETCH, &options);
    return rc == 0 ? true : fail(fetch, rc, err);
}

static char *setting(git_repository *repo, const char *key)
{
    git_config *config;
    git_buf value = GIT_BUF_INIT;
    char *text = NULL;
    if (git_repository_config(&config, repo) != 0)
        return NULL;
    if (git_config_get_string_buf(&value, config, key) == 0 && value.size > 0)
        text = mem_text(value.ptr);
    git_buf_dispose(&value);
    git_config_free(config);
    return text;
}

static void register_transports(struct fetch *fetch)
{
    const struct fetch_spec *spec = fetch->spec;
    const char *ca_file = getenv("GIT_SSL_CAINFO");
    fetch->proxy = setting(spec->repo, "http.proxy");
    fetch->ca_file = ca_file ? mem_text(ca_file) : setting(spec->repo, "http.sslcainfo");
    fetch->http = (struct http_access){.url = spec->url, .user = spec->user,
                                       .password = spec->password, .proxy = fetch->proxy,
                                       .ca_file = fetch->ca_file};
    http_register(&fetch->http);
    ssh_register(&fetch->ssh);
}

static void unregister_transports(struct fetch *fetch)
{
    http_unregister();
    ssh_unregister();
    mem_free(fetch->proxy);
    mem_free(fetch->ca_file);
}

static bool open_remote(struct fetch *fetch, struct err *err)
{
    git_fetch_options_init(&fetch->options, GIT_FETCH_OPTIONS_VERSION);
    fetch->options.callbacks.transfer_progress = on_transfer;
    fetch->options.callbacks.sideband_progress = on_sideband;
    fetch->options.callbacks.payload = fetch;
    fetch->options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    int rc = git_remote_create_anonymous(&fetch->remote, fetch->spec->repo,
        fetch->spec->url->clean);
    if (rc != 0)
        return lib_fail(err, ERR_USAGE, "no usable URL: %s", fetch->spec->url->clean);
    return connect_remote(fetch, err);
}

/* What git itself takes for a ref: no "..", no control characters (libgit2 takes DEL). What a tag
   leads to ("^{}") is none either. */
static bool is_ref(const char *name)
{
    int valid = 0;
    return strncmp(name, "refs/", 5) == 0 && !strchr(name, '\x7f') &&
           git_reference_name_is_valid(&valid, name) == 0 && valid;
}

static bool list_refs(struct fetch *fetch, struct err *err)
{
    const git_remote_head **heads;
    size_t count;
    int rc = git_remote_ls(&heads, &count, fetch->remote);
    if (rc != 0)
        return fail(fetch, rc, err);
    for (size_t i = 0; i < count; i++) {
        const git_remote_head *head = heads[i];
        if (strcmp(head->name, "HEAD") == 0) {
            fetch->has_head = true;
            fetch->head_id = head->oid;
            mem_free(fetch->head);
            fetch->head = mem_text(head->symref_target);
        } else if (is_ref(head->name)) {
            refs_add(&fetch->refs, head->name, &head->oid);
        }
    }
    return true;
}

/* --- what to ask for ---------------------------------------------------------------------- */

static bool pick_head(struct fetch *fetch, struct target *target, struct err *err)
{
    if (!fetch->has_head)
        return err_set(err, ERR_MISSING, "%s has no HEAD%s", fetch->spec->url->clean,
                       fetch->refs.count ? ": name the branch" : ": it is empty");
    if (!fetch->head) /* an old server: a branch with HEAD's id is it */
        for (size_t i = 0; i < fetch->refs.count && !fetch->head; i++)
            if (strncmp(fetch->refs.list[i].name, "refs/heads/", 11) == 0 &&
                git_oid_equal(&fetch->refs.list[i].id, &fetch->head_id))
                fetch->head = mem_text(fetch->refs.list[i].name);
    target->ref = mem_text(fetch->head ? fetch->head : "HEAD");
    target->tip = fetch->head_id;
    return true;
}

static bool pick(struct fetch *fetch, struct target *target, struct err *err)
{
    const char *wish = fetch->spec->ref;
    if (!wish)
        return fetch->spec->sha ? true : pick_head(fetch, target, err);
    for (int form = 0; form < REFS_WISH_FORMS; form++) {
        char *name = refs_wish_form(wish, form);
        const struct ref *ref = name ? refs_find(&fetch->refs, name) : NULL;
        if (ref) {
            target->ref = name;
            target->tip = ref->id;
            return true;
        }
        mem_free(name);
    }
    return refs_missing(&fetch->refs, wish, fetch->spec->url->clean, err);
}

static bool has_object(git_repository *repo, const git_oid *id)
{
    git_odb *odb;
    if (git_repository_odb(&odb, repo) != 0)
        return false;
    bool found = git_odb_exists(odb, id) == 1;
    git_odb_free(odb);
    return found;
}

static int download(struct fetch *fetch, char **specs, size_t count)
{
    git_strarray list = {.strings = specs, .count = count};
    int rc = git_remote_download(fetch->remote, &list, &fetch->options);
    const git_indexer_progress *stats = git_remote_stats(fetch->remote);
    if (rc == 0 && stats) {
        fetch->stats->objects += stats->received_objects;
        fetch->stats->bytes += stats->received_bytes;
    }
    return rc;
}

/* Asks for the ref and the commit at once, since a forced push may have parted them. */
static bool get(struct fetch *fetch, const struct target *target, const git_oid *commit,
                struct err *err)
{
    char ref[4200], sha[160], hex[GIT_OID_HEXSZ + 1] = "", tags[] = "+refs/tags/*:refs/tags/*";
    char heads[] = "+refs/heads/*:refs/heads/*", *specs[3];
    size_t count = 0;
    git_repository *repo = fetch->spec->repo;
    if (target->ref && !has_object(repo, &target->tip)) {
        snprintf(ref, sizeof ref, "+%s:%s", target->ref, target->ref);
        specs[count++] = ref;
    }
    if (fetch->spec->tags)
        specs[count++] = tags;
    const size_t without = count;
    if (commit && !has_object(repo, commit) &&
        !(target->ref && git_oid_equal(commit, &target->tip))) {
        git_oid_tostr(hex, sizeof hex, commit);
        snprintf(sha, sizeof sha, "%s:refs/orch/%s", hex, hex);
        specs[count++] = sha;
    }
    if (count == 0) {
        fetch->stats->hit = true;
        return true;
    }
    int rc = download(fetch, specs, count);
    if (rc == 0 || count == without)
        return rc == 0 ? true : fail(fetch, rc, err);
    /* this server gives no commit by its id, or has none of that id: then with the refs' history */
    git_remote_disconnect(fetch->remote);
    fetch->http.err.kind = fetch->ssh.kind = ERR_NONE;
    if (!connect_remote(fetch, err))
        return false;
    count = without;
    if (!target->ref || count == 0)
        specs[count++] = heads;
    rc = download(fetch, specs, count);
    return rc == 0 ? true : fail(fetch, rc, err);
}

/* --- pins --------------------------------------------------------------------------------- */

/* Hashed, since "a" and "a/b" may both have been branches of the remote, at different times. */
static void pin_name(char *out, size_t size, const char *name)
{
    git_oid id;
    git_odb_hash(&id, name, strlen(name), GIT_OBJECT_BLOB);
    char hex[GIT_OID_HEXSZ + 1];
    snprintf(out, size, "refs/orch/%s", git_oid_tostr(hex, sizeof hex, &id));
}

static bool pin(git_repository *repo, const char *name, const git_oid *id, struct err *err)
{
    char full[80];
    git_reference *ref = NULL;
    pin_name(full, sizeof full, name);
    int rc = git_reference_create(&ref, repo, full, id, 1, NULL);
    git_reference_free(ref);
    return rc == 0 ? true : lib_fail_as(err, rc, "cannot note %s in the mirror", name);
}

/* The commit is there already, and what the ref is was learnt earlier: no need to ask. */
static bool known(const struct fetch_spec *spec, struct target *target, const git_oid *commit)
{
    if (!commit || !spec->pin || spec->tags || !has_object(spec->repo, commit))
        return false;
    if (!spec->ref)
        return true;
    for (int form = 0; form < REFS_WISH_FORMS; form++) {
        char full[80], *name = refs_wish_form(spec->ref, form);
        if (name) {
            pin_name(full, sizeof full, name);
            if (git_reference_name_to_id(&target->tip, spec->repo, full) == 0) {
                target->ref = name;
                return true;
            }
        }
        mem_free(name);
    }
    return false;
}

/* --- the whole ---------------------------------------------------------------------------- */

static bool settle(struct fetch *fetch, struct target *target, const git_oid *wanted,
                   struct err *err)
{
    const struct fetch_spec *spec = fetch->spec;
    const git_oid *id = wanted ? wanted : &target->tip;
    if (!target_peel(spec->repo, id, &target->commit)) {
        char hex[GIT_OID_HEXSZ + 1];
        git_oid_tostr(hex, sizeof hex, id);
        return err_set(err, ERR_MISSING, "no commit %s in %s%s%s", hex, spec->url->clean,
                       target->ref ? ", nor in the history of " : "",
                       target->ref ? target->ref : "");
    }
    if (spec->tags)
        for (size_t i = 0; i < fetch->refs.count; i++)
            if (strncmp(fetch->refs.list[i].name, "refs/tags/", 10) == 0)
                refs_add(&target->tags, fetch->refs.list[i].name, &fetch->refs.list[i].id);
    if (!spec->pin)
        return true;
    char sha[64], hex[GIT_OID_HEXSZ + 1];
    snprintf(sha, sizeof sha, "sha/%s", git_oid_tostr(hex, sizeof hex, &target->commit));
    return pin(spec->repo, sha, &target->commit, err) &&
           (!target->ref || pin(spec->repo, target->ref, &target->tip, err));
}

bool fetch_run(const struct fetch_spec *spec, struct target *target, struct fetch_stats *stats,
               struct err *err)
{
    git_oid id, *wanted = NULL;
    if (spec->sha) {
        if (strlen(spec->sha) != GIT_OID_HEXSZ || git_oid_fromstr(&id, spec->sha) != 0)
            return err_set(err, ERR_USAGE, "'%s' is no commit id: 40 hexadecimal digits are needed "
                                           "for a remote repository", spec->sha);
        wanted = &id;
    }
    struct fetch fetch = {.spec = spec, .stats = stats};
    if (known(spec, target, wanted)) {
        stats->hit = true;
        return settle(&fetch, target, wanted, err);
    }
    register_transports(&fetch);
    bool good = open_remote(&fetch, err) && list_refs(&fetch, err) && pick(&fetch, target, err) &&
                get(&fetch, target, wanted, err) && settle(&fetch, target, wanted, err);
    refs_fini(&fetch.refs);
    mem_free(fetch.head);
    git_remote_free(fetch.remote);
    unregister_transports(&fetch);
    return good;
}
