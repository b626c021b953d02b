/* A pattern, NUL, and a path: the matcher against the definition, which tries every way. */
#include "base/glob.h"

#include <string.h>

#include "base/mem.h"
#include "base/rune.h"
#include "fuzz.h"

enum { TRIES_MAX = 200000 };

struct trial {
    unsigned tries;
};

static bool match(struct trial *trial, const char *pattern, const char *path);

/* The length of the path's next character, which may be one byte that is none. */
static size_t char_len(const char *path)
{
    size_t len;
    rune_next(path, &len);
    return len;
}

static bool match_any(struct trial *trial, const char *rest, const char *path, bool deep)
{
    for (;; path += char_len(path)) {
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

static uint32_t class_char(const char **pattern)
{
    size_t len;
    *pattern += **pattern == '\\';
    const uint32_t rune = rune_next(*pattern, &len);
    *pattern += len;
    return rune;
}

static bool match_class(const char **pattern, const char *path)
{
    const char *p = *pattern + 1;
    const bool negated = *p == '^';
    bool found = false;
    size_t len;
    const uint32_t c = rune_next(path, &len);
    for (p += negated; *p != ']';) {
        const uint32_t low = class_char(&p);
        uint32_t high = low;
        if (*p == '-') {
            p++;
            high = class_char(&p);
        }
        found = found || (low <= c && c <= high);
    }
    *pattern = p + 1;
    return found != negated && c != '/';
}

/* One character against a class, '?', a quoted or a bare character; *pattern moves behind it. */
static bool match_one(const char **pattern, const char *path)
{
    const size_t len = char_len(path);
    if (**pattern == '[')
        return match_class(pattern, path);
    if (**pattern == '?') {
        *pattern += 1;
        return *path != '/';
    }
    *pattern += **pattern == '\\';
    if (strncmp(*pattern, path, len) != 0)
        return false;
    *pattern += len;
    return true;
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
    return match_one(&pattern, path) && match(trial, pattern, path + char_len(path));
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
