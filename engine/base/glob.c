#include "base/glob.h"

#include <string.h>

#include "base/mem.h"
#include "base/rune.h"

/* One character of a class, perhaps quoted; NULL when it is none. */
static const char *class_char(const char *p, uint32_t *rune)
{
    size_t len;
    if (*p == '\0' || *p == ']' || *p == '-')
        return NULL;
    p += *p == '\\';
    *rune = rune_next(p, &len);
    return *rune == 0 || (*rune == RUNE_ERROR && len == 1) ? NULL : p + len;
}

/* One class after its '[': moves *at behind the closing ']', tells whether c is in it. */
static bool class_match(const char **at, uint32_t c, bool *well_formed)
{
    const char *p = *at;
    bool negated = *p == '^', found = false;
    p += negated;
    *well_formed = false;
    for (bool first = true; first || *p != ']'; first = false) {
        uint32_t low, high;
        p = class_char(p, &low);
        high = low;
        if (p && *p == '-')
            p = class_char(p + 1, &high);
        if (!p)
            return false;
        found |= low <= c && c <= high;
    }
    *at = p + 1;
    *well_formed = true;
    return found != negated;
}

bool glob_check(const char *pattern, struct err *err)
{
    for (const char *p = pattern; *p;) {
        char c = *p++;
        bool good = true;
        if (c == '\\')
            good = *p++ != '\0';
        else if (c == '[')
            class_match(&p, 0, &good);
        if (!good)
            return err_set(err, ERR_USAGE, "syntax error in pattern \"%s\"", pattern);
    }
    return true;
}

/* Where the match of a path may stand in the pattern: a set of offsets. */
enum {
    LIVE = 1,    /* here */
    ENTERED = 2, /* and behind the stars that begin here, since a star may take nothing */
};

/* 3 for "**" and its '/', 2 for "**", 1 for '*', else 0. */
static size_t star_len(const char *pattern)
{
    return pattern[0] != '*' ? 0 : pattern[1] != '*' ? 1 : pattern[2] != '/' ? 2 : 3;
}

static void enter(const char *pattern, unsigned char *set, size_t at)
{
    while (!(set[at] & ENTERED)) {
        set[at] = LIVE | ENTERED;
        at += star_len(pattern + at);
    }
}

/* The length of what the pattern says about one character of the path, 0 when it is not this
   one. */
static size_t one_match(const char *pattern, const char *c, size_t len)
{
    const char *next = pattern + 1;
    bool good = true;
    size_t same;
    if (*pattern == '\0' || (*c == '/' && (*pattern == '?' || *pattern == '[')))
        return 0;
    if (*pattern == '?')
        return 1;
    if (*pattern == '[')
        return class_match(&next, rune_next(c, &same), &good) ? (size_t)(next - pattern) : 0;
    next = pattern + (*pattern == '\\');
    return strncmp(next, c, len) == 0 ? (size_t)(next - pattern) + len : 0;
}

static void step(const char *pattern, const char *c, size_t c_len, const unsigned char *now,
                 unsigned char *next)
{
    const size_t len = strlen(pattern);
    memset(next, 0, len + 1);
    for (size_t at = 0; at <= len; at++) {
        const size_t star = now[at] ? star_len(pattern + at) : 0;
        const size_t one = now[at] && star == 0 ? one_match(pattern + at, c, c_len) : 0;
        if (star == 3)
            next[at] |= LIVE; /* goes on only behind the next '/' */
        if (star == 2 || (star == 1 && *c != '/'))
            enter(pattern, next, at);
        if ((star == 3 && *c == '/') || one > 0)
            enter(pattern, next, at + star + one);
    }
}

/* All ways at once: time is pattern length x path length, whatever a hostile pattern says. */
bool glob_match(const char *pattern, const char *path)
{
    const size_t len = strlen(pattern);
    unsigned char *now = mem_alloc(2 * (len + 1)), *next = now + len + 1, *block = now;
    size_t c_len;
    for (enter(pattern, now, 0); *path; path += c_len) {
        rune_next(path, &c_len);
        step(pattern, path, c_len, now, next);
        unsigned char *swap = now;
        now = next;
        next = swap;
    }
    const bool matches = now[len] != 0;
    mem_free(block);
    return matches;
}

bool glob_is_pattern(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}
