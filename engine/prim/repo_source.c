#include "prim/repo_source.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_lib.h"

enum { ALTERNATES_MAX = 1 << 20, SHALLOW_MAX = 64 << 20, DEPTH_MAX = 5 };

/* --- what is meant ------------------------------------------------------------------------ */

static bool find_head(git_repository *repo, const char *where, struct target *target,
                      struct err *err)
{
    git_reference *head = NULL;
    int rc = git_repository_head(&head, repo);
    if (rc != 0)
        return rc == GIT_EUNBORNBRANCH || rc == GIT_ENOTFOUND
                   ? err_set(err, ERR_MISSING, "%s has no commit yet", where)
                   : lib_fail_as(err, rc, "cannot read the HEAD of %s", where);
    const char *name = git_reference_name(head);
    target->ref = mem_text(name);
    target->tip = *git_reference_target(head);
    git_reference_free(head);
    return true;
}

static bool find_ref(git_repository *repo, const char *where, const char *wish,
                     struct target *target, struct err *err)
{
    for (int form = 0; form < REFS_WISH_FORMS; form++) {
        char *name = refs_wish_form(wish, form);
        if (name && git_reference_name_to_id(&target->tip, repo, name) == 0) {
            target->ref = name;
            return true;
        }
        mem_free(name);
    }
    struct refs refs = {0};
    if (refs_read(&refs, repo, "refs/*", err))
        refs_missing(&refs, wish, where, err);
    refs_fini(&refs);
    return false;
}

static bool find_sha(git_repository *repo, const char *where, const char *sha,
                     struct target *target, struct err *err)
{
    const size_t len = strlen(sha);
    git_oid prefix;
    git_object *object = NULL;
    if (len < 7 || len > GIT_OID_HEXSZ || strspn(sha, "0123456789abcdefABCDEF") != len ||
        git_oid_fromstrn(&prefix, sha, len) != 0)
        return err_set(err, ERR_USAGE,
                       "'%s' is no commit id: 7 to 40 hexadecimal digits are needed", sha);
    int rc = git_object_lookup_prefix(&object, repo, &prefix, len, GIT_OBJECT_ANY);
    if (rc == GIT_EAMBIGUOUS)
        return err_set(err, ERR_MISSING, "more than one object of %s begins with %s: give more "
                                         "digits", where, sha);
    bool good = rc == 0 && target_peel(repo, git_object_id(object), &target->commit);
    git_object_free(object);
    return good ? true : err_set(err, ERR_MISSING, "no commit %s in %s", sha, where);
}

bool source_resolve(git_repository *repo, const char *where, const char *ref, const char *sha,
                    struct target *target, struct err *err)
{
    if (ref ? !find_ref(repo, where, ref, target, err)
            : !sha && !find_head(repo, where, target, err))
        return false;
    if (sha)
        return find_sha(repo, where, sha, target, err);
    if (target_peel(repo, &target->tip, &target->commit))
        return true;
    return err_set(err, ERR_MISSING, "%s in %s leads to no commit that is there", target->ref,
        where);
}

/* --- borrowing ---------------------------------------------------------------------------- */

static bool lists(const struct buf *list, const char *line)
{
    const size_t len = strlen(line);
    for (const char *p = list->data; p && *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (strcspn(p, "\n") == len && memcmp(p, line, len) == 0)
            return true;
    return false;
}

/* The directory and, as absolute paths, all that it borrows from: nested relative lines mean
   different things to git and libgit2. */
static bool add_objects(struct buf *list, const char *dir, int depth, struct err *err)
{
    char real[PATH_MAX];
    if (!realpath(dir, real))
        return depth > 0 ? true : err_system(err, errno, "cannot find the objects in %s", dir);
    if (strchr(real, '\n'))
        return err_set(err, ERR_USAGE,
            "a repository whose path holds a line feed cannot be borrowed "
                                       "from: %s", real);
    if (lists(list, real) || depth > DEPTH_MAX)
        return true;
    if (!buf_format(list, "%s\n", real))
        return err_set(err, ERR_LIMIT, "%s borrows from too many repositories", real);
    struct buf lines;
    buf_init(&lines, ALTERNATES_MAX);
    char *file = path_join(real, "info/alternates");
    bool good = access(file, F_OK) != 0 || file_read(file, &lines, err);
    for (char *p = lines.data; good && p && *p;) {
        char *end = p + strcspn(p, "\n");
        const bool last = *end == '\0';
        *end = '\0';
        if (*p && *p != '#') {
            char *next = path_join(real, p);
            good = add_objects(list, next, depth + 1, err);
            mem_free(next);
        }
        p = last ? end : end + 1;
    }
    mem_free(file);
    buf_fini(&lines);
    return good;
}

static bool copy_shallow(git_repository *source, const char *git_dir, struct err *err)
{
    char *from = path_join(git_repository_commondir(source), "shallow");
    char *to = path_join(git_dir, "shallow");
    struct buf bytes;
    buf_init(&bytes, SHALLOW_MAX);
    bool good = access(from, F_OK) != 0 ||
                (file_read(from, &bytes, err) &&
                 (bytes.len == 0 || file_append(&(struct file_spec){.path = to, .data = bytes.data,
                                                                    .len = bytes.len}, err)));
    buf_fini(&bytes);
    mem_free(from);
    mem_free(to);
    return good;
}

bool source_borrow(git_repository *source, const char *git_dir, struct err *err)
{
    struct buf list;
    buf_init(&list, ALTERNATES_MAX);
    char *objects = path_join(git_repository_commondir(source), "objects");
    char *info = path_join(git_dir, "objects/info"), *file = path_join(info, "alternates");
    bool good = dir_make(info, 0777, err) &&
                (access(file, F_OK) != 0 || file_read(file, &list, err));
    if (good && list.len > 0 && list.data[list.len - 1] != '\n')
        buf_char(&list, '\n');
    const size_t before = list.len;
    good = good && add_objects(&list, objects, 0, err);
    if (good && list.len > before)
        good = file_replace(&(struct file_spec){.path = file, .data = list.data, .len = list.len},
                            err) &&
               copy_shallow(source, git_dir, err);
    mem_free(file);
    mem_free(info);
    mem_free(objects);
    buf_fini(&list);
    return good;
}
