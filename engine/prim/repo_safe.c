#include "prim/repo_safe.h"

#include <stddef.h>
#include <string.h>

enum { IGNORED_LEN = 3 };

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
