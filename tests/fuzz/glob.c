/* A pattern, NUL, and a path: the matcher against the definition, which tries every way. */
#include "base/glob.h"

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"

enum { TRIES_MAX = 200000 };

struct trial {
    unsigned tries;
};

static bool match(struct trial *trial, const char *pattern, const char *path);

static bool match_any(struct trial *trial, const char *rest, const char *path, bool deep)
{
    for (;; path++) {
        if (match(trial, rest, path))
            return true;
        if (*path == '\0' || (!deep && *path == '/'))
            return false;
    }
}

static bool match_components(struct trial *trial, const char *rest, const char *path)
{
    while (!match(trial, rest, path)) {
        path = strchr(path, '/');
        if (!path)
            return false;
        path++;
    }
    return true;
}

/* One character against a class, '?', a quoted or a bare character; *pattern moves behind it. */
static bool match_one(const char **pattern, char c)
{
    const char *p = *pattern;
    bool found = false, negated = false;
    if (*p != '[') {
        const bool any = *p == '?';
        p += *p == '\\';
        *pattern = p + 1;
        return any ? c != '/' : *p == c;
    }
    if (*++p == '^') {
        negated = true;
        p++;
    }
    while (*p != ']') {
        p += *p == '\\';
        const unsigned char low = (unsigned char)*p++;
        unsigned char high = low;
        if (*p == '-') {
            p++;
            p += *p == '\\';
            high = (unsigned char)*p++;
        }
        found = found || (low <= (unsigned char)c && (unsigned char)c <= high);
    }
    *pattern = p + 1;
    return found != negated && c != '/';
}

static bool match(struct trial *trial, const char *pattern, const char *path)
{
    if (trial->tries++ > TRIES_MAX)
        return false;
    if (pattern[0] == '*' && pattern[1] == '*')
        return pattern[2] == '/' ? match_components(trial, pattern + 3, path)
                                 : match_any(trial, pattern + 2, path, true);
    if (*pattern == '*')
        return match_any(trial, pattern + 1, path, false);
    if (*pattern == '\0' || *path == '\0')
        return *pattern == *path;
    return match_one(&pattern, *path) && match(trial, pattern, path + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    struct err err;
    char *pattern = fuzz_text(&input, '\0'), *path = fuzz_text(&input, '\0');
    if (glob_check(pattern, &err)) {
        struct trial trial = {0};
        const bool matches = glob_match(pattern, path);
        const bool should = match(&trial, pattern, path);
        fuzz_check(trial.tries > TRIES_MAX || matches == should, "it matches as defined");
        fuzz_check(glob_is_pattern(pattern) || matches == (strcmp(pattern, path) == 0),
                   "what is no pattern matches itself");
    } else {
        fuzz_check(err.kind == ERR_USAGE && glob_is_pattern(pattern), "only a pattern is refused");
    }
    mem_free(path);
    mem_free(pattern);
    return 0;
}
