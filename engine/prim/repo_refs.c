#include "prim/repo_refs.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/repo_lib.h"

enum {
    REF_MAX = 4096,
    NEAR_MAX = 5,       /* names listed */
    NEAR_NAME_MAX = 96, /* longer names are near nothing */
    NEAR_LOOKS = 20000, /* names compared */
};

void refs_add(struct refs *refs, const char *name, const git_oid *id)
{
    if (refs->count == refs->room) {
        refs->room = refs->room ? refs->room * 2 : 64;
        refs->list = mem_grow(refs->list, refs->room * sizeof *refs->list);
    }
    refs->list[refs->count++] = (struct ref){.name = mem_text(name), .id = *id};
}

const struct ref *refs_find(const struct refs *refs, const char *name)
{
    for (size_t i = 0; i < refs->count; i++)
        if (strcmp(refs->list[i].name, name) == 0)
            return &refs->list[i];
    return NULL;
}

void refs_fini(struct refs *refs)
{
    for (size_t i = 0; i < refs->count; i++)
        mem_free(refs->list[i].name);
    mem_free(refs->list);
    *refs = (struct refs){0};
}

bool refs_read(struct refs *refs, git_repository *repo, const char *pattern, struct err *err)
{
    git_reference_iterator *iterator;
    int rc = git_reference_iterator_glob_new(&iterator, repo, pattern);
    if (rc != 0)
        return lib_fail_as(err, rc, "cannot list the refs of %s", git_repository_path(repo));
    for (const char *name; (rc = git_reference_next_name(&name, iterator)) == 0;) {
        git_oid id;
        if (git_reference_name_to_id(&id, repo, name) == 0)
            refs_add(refs, name, &id);
    }
    git_reference_iterator_free(iterator);
    return true;
}

char *refs_wish_form(const char *wish, int form)
{
    const bool full = strncmp(wish, "refs/", 5) == 0;
    if (full)
        return form == 0 ? mem_text(wish) : NULL;
    struct buf name;
    buf_init(&name, REF_MAX);
    buf_format(&name, "refs/%s/%s", form == 0 ? "heads" : "tags", wish);
    if (name.len > 0)
        return buf_take(&name);
    return mem_text("");
}

/* --- names that are near ------------------------------------------------------------------ */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t d = a < b ? a : b;
    return d < c ? d : c;
}

/* Edits between two short texts; a swap of neighbours counts as two. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_NAME_MAX + 1];
    const size_t len = strlen(b);
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len];
}

static const char *short_name(const char *name)
{
    if (strncmp(name, "refs/heads/", 11) == 0)
        return name + 11;
    return strncmp(name, "refs/tags/", 10) == 0 ? name + 10 : NULL;
}

/* Smaller is nearer; SIZE_MAX is far. */
static size_t farness(const char *wish, const char *name)
{
    const size_t wish_len = strlen(wish), name_len = strlen(name);
    if (wish_len > NEAR_NAME_MAX || name_len > NEAR_NAME_MAX || wish_len == 0)
        return SIZE_MAX;
    size_t edits = distance(wish, name);
    if (edits <= 1 + wish_len / 3 && edits < wish_len)
        return edits;
    return wish_len >= 3 && (strcasestr(name, wish) || strcasestr(wish, name)) ? 50 + edits
                                                                            : SIZE_MAX;
}

bool refs_missing(const struct refs *refs, const char *wish, const char *where, struct err *err)
{
    const char *near[NEAR_MAX] = {NULL};
    size_t far[NEAR_MAX], count = 0;
    const char *short_wish = short_name(wish) ? short_name(wish) : wish;
    for (size_t i = 0; i < refs->count && i < NEAR_LOOKS; i++) {
        const char *name = short_name(refs->list[i].name);
        size_t f = name ? farness(short_wish, name) : SIZE_MAX;
        if (f == SIZE_MAX)
            continue;
        size_t at = count < NEAR_MAX ? count++ : NEAR_MAX;
        for (; at > 0 && far[at - 1] > f; at--)
            if (at < NEAR_MAX) {
                near[at] = near[at - 1];
                far[at] = far[at - 1];
            }
        if (at < NEAR_MAX) {
            near[at] = name;
            far[at] = f;
        }
    }
    struct buf list;
    buf_init(&list, 1024);
    for (size_t i = 0; i < count; i++)
        buf_format(&list, "%s%s", i ? ", " : "; near: ", near[i]);
    if (strncmp(wish, "refs/", 5) == 0)
        err_set(err, ERR_MISSING, "no ref '%s' in %s%s", wish, where, list.len ? list.data : "");
    else
        err_set(err, ERR_MISSING, "no branch or tag '%s' in %s%s", wish, where,
                list.len        ? list.data
                : refs->count   ? ""
                                : ", which has none at all");
    buf_fini(&list);
    return false;
}

/* --- targets ------------------------------------------------------------------------------ */

void target_fini(struct target *target)
{
    mem_free(target->ref);
    refs_fini(&target->tags);
    *target = (struct target){0};
}

bool target_peel(git_repository *repo, const git_oid *id, git_oid *commit)
{
    git_object *object = NULL, *peeled = NULL;
    bool good = git_object_lookup(&object, repo, id, GIT_OBJECT_ANY) == 0 &&
                git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) == 0;
    if (good)
        git_oid_cpy(commit, git_object_id(peeled));
    git_object_free(peeled);
    git_object_free(object);
    return good;
}
