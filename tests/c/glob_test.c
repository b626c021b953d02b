#include "base/glob.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "test.h"

static bool refused(const char *pattern)
{
    struct err err = {0};
    return !glob_check(pattern, &err) && err.kind == ERR_USAGE && strstr(err.message, pattern);
}

static bool matches(const char *pattern, const char *path)
{
    return glob_check(pattern, NULL) && glob_match(pattern, path);
}

static void test_stars(void)
{
    test_it("a star stops at '/'");
    CHECK(matches("*", "") && matches("*", "a") && !matches("*", "a/b") &&
        matches("a*/b", "axx/b"));
    CHECK(matches("*.c", ".c") && !matches("*.c", "a.h") && matches("*a*b*c*", "xaybzc"));
    test_it("two stars cross '/', and whole components with a '/' behind them");
    CHECK(matches("**", "a/b") && matches("a/**", "a/b/c") && !matches("a/**", "a"));
    CHECK(matches("**/b", "b") && matches("**/b", "a/b") && !matches("**/b", "ab"));
    CHECK(matches("a/**/b", "a/b") && matches("a/**/b", "a/x/y/b") && !matches("a/**/b", "a/xb"));
    CHECK(matches("**/x/**/y", "x/q/x/y"));
    test_it("a star before two stars takes as much as it must");
    CHECK(matches("*a**/b", "aab") && matches("**/x**/y", "xb/xy"));
}

static void test_characters(void)
{
    test_it("a class, a '?' and a quoted character are one character");
    CHECK(matches("a[0-9x]?", "a5z") && !matches("a[0-9x]?", "ay1") && matches("[^a-c]", "d"));
    CHECK(!matches("[^a]", "/") && !matches("?", "/") && !matches("?", ""));
    CHECK(matches("\\*", "*") && !matches("\\*", "a") && matches("[\\]]", "]") &&
        matches("[a\\-z]", "-"));
    test_it("a character may be several bytes");
    CHECK(matches("?", "\u00e9") && !matches("??", "\u00e9") &&
        matches("[\u00e0-\u00ff]x", "\u00e9x"));
    CHECK(matches("\\\u00e9*", "\u00e9a") && matches("?", "\xff") && matches("\xff", "\xff") &&
        !matches("\xfe", "\xff"));
    CHECK(refused("[\xff]"));
    test_it("a pattern of bad form is refused");
    CHECK(refused("[") && refused("a[") && refused("[]") && refused("[a") && refused("[a-") &&
          refused("[-a]") && refused("[^]") && refused("a\\") && refused("[\\"));
}

static void test_time(void)
{
    test_it("a hostile pattern takes no time to speak of");
    enum { STARS = 200, LETTERS = 4000 };
    char *pattern = mem_alloc(4 * STARS + 2), *path = mem_alloc(LETTERS + 1);
    for (int i = 0; i < STARS; i++)
        memcpy(pattern + 4 * i, "*a**", 4);
    pattern[4 * STARS] = 'b';
    memset(path, 'a', LETTERS);
    const clock_t before = clock();
    CHECK(!matches(pattern, path));
    CHECK(clock() - before < 2 * CLOCKS_PER_SEC);
    mem_free(path);
    mem_free(pattern);
}

void test_glob(void)
{
    test_stars();
    test_characters();
    test_time();
}
