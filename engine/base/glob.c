#include "base/glob.h"

#include <string.h>

/* One class after its '[': moves *at behind the closing ']', tells whether c is in it. */
static bool class_match(const char **at, unsigned char c, bool *well_formed)
{
    const char *p = *at;
    bool negated = *p == '^', found = false;
    p += negated;
    *well_formed = false;
    for (bool first = true; first || *p != ']'; first = false) {
        if (*p == '\0' || *p == ']' || *p == '-')
            return false;
        if (*p == '\\' && *++p == '\0')
            return false;
        unsigned char low = (unsigned char)*p++, high = low;
        if (*p == '-') {
            if (*++p == '\0' || *p == ']' || (*p == '\\' && *++p == '\0'))
                return false;
            high = (unsigned char)*p++;
        }
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

/* Backtracks over the last star only, and over the last "**" when that fails: time is bounded by
   pattern length x path length squared, whatever a hostile pattern says. */
bool glob_match(const char *pattern, const char *path)
{
    const char *star = NULL, *star_path = NULL;
    const char *deep = NULL, *deep_path = NULL;
    bool deep_whole = false; /* "**" followed by '/': whole components, none included */
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            pattern += 2;
            deep_whole = *pattern == '/';
            deep = pattern += deep_whole;
            deep_path = path;
            star = NULL;
            continue;
        }
        if (*pattern == '*') {
            star = ++pattern;
            star_path = path;
            continue;
        }
        const char *next = pattern;
        bool good = true, same = false;
        if (*pattern == '\0')
            same = *path == '\0';
        else if (*path == '\0')
            same = false;
        else if (*pattern == '[')
            next++, same = class_match(&next, (unsigned char)*path, &good) && *path != '/';
        else if (*pattern == '?')
            next++, same = *path != '/';
        else {
            next += *next == '\\';
            same = *next++ == *path;
        }
        if (same && *pattern == '\0')
            return true;
        if (same) {
            pattern = next;
            path++;
        } else if (star && *star_path && *star_path != '/') {
            pattern = star;
            path = ++star_path;
        } else {
            if (deep && deep_whole)
                deep_path = strchr(deep_path, '/');
            if (!deep || !deep_path || *deep_path == '\0')
                return false;
            pattern = deep;
            path = ++deep_path;
            star = NULL;
        }
    }
}

bool glob_is_pattern(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}
