#include "base/path.h"

#include <string.h>

#include "base/mem.h"
#include "test.h"

static bool cleans(const char *path, const char *to)
{
    char *clean = path_clean(path);
    const bool same = strcmp(clean, to) == 0;
    mem_free(clean);
    return same;
}

static bool joins(const char *base, const char *path, const char *to)
{
    char *joined = path_join(base, path);
    const bool same = strcmp(joined, to) == 0;
    mem_free(joined);
    return same;
}

static bool has_dir(const char *path, const char *dir)
{
    char *found = path_dir(path);
    const bool same = strcmp(found, dir) == 0;
    mem_free(found);
    return same;
}

void test_path(void)
{
    test_it("a path is cleaned by its text");
    CHECK(cleans("", ".") && cleans("./", ".") && cleans("a//b/./c/", "a/b/c") && cleans("/", "/"));
    CHECK(cleans("a/..", ".") && cleans("a/../..", "..") && cleans("../a/../..", "../.."));
    CHECK(cleans("...", "...") && cleans("a/..b", "a/..b"));
    test_it("a cleaned path never leaves the root");
    CHECK(cleans("/..", "/") && cleans("/../../a", "/a") && cleans("//a/../..", "/"));
    test_it("paths are joined, an absolute one stands alone");
    CHECK(joins("/a", "b", "/a/b") && joins("a", "../b", "b") && joins("/a", "/b", "/b"));
    CHECK(joins("", "b", "b") && joins("", "", ".") && joins("/", "", "/"));
    test_it("a path has a directory and a name");
    CHECK(has_dir("/a/b", "/a") && has_dir("/a", "/") && has_dir("a", ".") && has_dir("a/b", "a"));
    CHECK(strcmp(path_base("/a/b"), "b") == 0 && strcmp(path_base("a"), "a") == 0);
    test_it("a path with '..' anywhere or a root is not inside");
    CHECK(path_is_inner("a") && path_is_inner("./a/..b/...") && path_is_inner("."));
    CHECK(!path_is_inner("") && !path_is_inner("/a") && !path_is_inner("a/../b") &&
        !path_is_inner(".."));
    CHECK(!path_is_inner("a/.."));
}
