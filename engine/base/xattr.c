#include "base/xattr.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"

enum { FEW = 256 }; /* bytes of keys that most files have at most */

static bool each_key(const char *path, const char *keys, size_t len, xattr_one *each, void *arg)
{
    char *value = mem_alloc(XATTR_SIZE_MAX);
    bool good = true;
    for (const char *key = keys; good && key < keys + len; key += strlen(key) + 1) {
        const ssize_t size = lgetxattr(path, key, value, XATTR_SIZE_MAX);
        good = size < 0 || each(arg, key, value, (size_t)size);
    }
    mem_free(value);
    return good;
}

bool xattr_each(int dir, const char *name, xattr_one *each, void *arg)
{
    char path[NAME_MAX + 40], few[FEW], *many = NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    ssize_t len = llistxattr(path, few, sizeof few);
    if (len < 0 && errno == ERANGE) {
        many = mem_alloc(XATTR_LIST_MAX);
        len = llistxattr(path, many, XATTR_LIST_MAX);
    }
    const bool good = len <= 0 || each_key(path, many ? many : few, (size_t)len, each, arg);
    mem_free(many);
    return good;
}
