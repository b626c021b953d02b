#include "prim/repo_safe.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "prim/repo_lib.h"

enum {
    IGNORED_LEN = 3,
    PATH_CEILING = 1 << 16,
    ENTRIES_MAX = 5 * 1000 * 1000, /* of a commit; the largest repositories have 3 million files */
};

struct walk {
    size_t entries;
    char *bad; /* the first path that must not be written */
};

/* The UTF-8 forms of the code points that HFS+ leaves out when it compares names. */
static bool is_ignored(const unsigned char *p, size_t len)
{
    if (len < IGNORED_LEN)
        return false;
    if (p[0] == 0xef)
        return p[1] == 0xbb && p[2] == 0xbf;
    if (p[0] != 0xe2)
        return false;
    if (p[1] == 0x80)
        return (p[2] >= 0x8c && p[2] <= 0x8f) || (p[2] >= 0xaa && p[2] <= 0xae);
    return p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf;
}

static bool is_hfs_git(const char *part, size_t len)
{
    char seen[5];
    size_t count = 0;
    for (size_t i = 0; i < len;) {
        if (is_ignored((const unsigned char *)part + i, len - i)) {
            i += IGNORED_LEN;
            continue;
        }
        if (count == 4)
            return false;
        seen[count++] = part[i++];
    }
    return count == 4 && strncasecmp(seen, ".git", 4) == 0;
}

/* NTFS drops dots and blanks at the end, and takes what follows a colon for a stream. */
static bool is_ntfs_git(const char *part, size_t len)
{
    size_t head = 0;
    if (len >= 4 && strncasecmp(part, ".git", 4) == 0)
        head = 4;
    else if (len >= 5 && strncasecmp(part, "git~1", 5) == 0)
        head = 5;
    else
        return false;
    for (size_t i = head; i < len; i++) {
        if (part[i] == ':')
            return true;
        if (part[i] != '.' && part[i] != ' ')
            return false;
    }
    return true;
}

static bool safe_part(const char *part, size_t len)
{
    if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
        return false;
    if (is_hfs_git(part, len))
        return false;
    for (size_t from = 0; from <= len;) { /* a backslash separates too, there */
        const char *stop = memchr(part + from, '\\', len - from);
        size_t end = stop ? (size_t)(stop - part) : len;
        if (is_ntfs_git(part + from, end - from))
            return false;
        from = end + 1;
    }
    return true;
}

bool safe_path(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");
        if (!safe_part(path, len))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

/* What is read as .gitmodules must be this repository's. */
static bool is_door(const git_tree_entry *entry)
{
    return git_tree_entry_filemode(entry) == GIT_FILEMODE_LINK &&
           strcasecmp(git_tree_entry_name(entry), ".gitmodules") == 0;
}

static int check_entry(const char *dir, const git_tree_entry *entry, void *arg)
{
    struct walk *walk = arg;
    const char *name = git_tree_entry_name(entry);
    if (++walk->entries > ENTRIES_MAX)
        return GIT_EUSER;
    if (safe_path(name) && !strchr(name, '/') && !is_door(entry))
        return 0;
    struct buf path;
    buf_init(&path, PATH_CEILING);
    buf_format(&path, "%s%s", dir, name);
    walk->bad = buf_take(&path);
    return GIT_EUSER;
}

bool safe_tree(git_tree *root, struct err *err)
{
    struct walk walk = {0};
    int rc = git_tree_walk(root, GIT_TREEWALK_PRE, check_entry, &walk);
    if (walk.bad)
        err_set(err, ERR_FAILED,
                "refused to write '%s': a path that leads out of the work tree or into its .git; "
                "the repository is hostile", walk.bad);
    else if (walk.entries > ENTRIES_MAX)
        err_set(err, ERR_LIMIT, "the commit has more than %d files and directories", ENTRIES_MAX);
    else if (rc != 0)
        lib_fail_as(err, rc, "cannot read the commit's tree");
    mem_free(walk.bad);
    return rc == 0;
}

/* A malformed tree may name a link and, once more, a directory of the same name. */
bool safe_index(git_index *index, struct err *err)
{
    const char *last = "";
    size_t last_len = 0;
    for (size_t i = 0; i < git_index_entrycount(index); i++) {
        const char *path = git_index_get_byindex(index, i)->path;
        const size_t len = (size_t)(path_base(path) - path);
        if (len == last_len && memcmp(path, last, len) == 0)
            continue;
        last = path;
        last_len = len;
        for (const char *p = path; (p = memchr(p, '/', len - (size_t)(p - path))); p++) {
            char *above = mem_textn(path, (size_t)(p - path));
            bool twice = git_index_get_bypath(index, above, 0) != NULL;
            mem_free(above);
            if (twice)
                return err_set(err, ERR_FAILED,
                               "refused to write '%s': a part of its path is a file or link of the "
                               "same commit; the repository is hostile", path);
        }
    }
    return true;
}
