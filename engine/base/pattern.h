/* One pattern of a .dockerignore, with the meaning of moby's patternmatcher.

   That matcher turns a pattern into a regular expression of Go and lets it through half quoted:
   "\d" is a digit, "[[:alpha:]]" a letter, "^*" an anchor, "[*]" not a class of a star. Files that
   Docker sends must be the files that we send, so the same expression is made here, and matched by
   a simulated automaton: time is path length x pattern length, whatever a hostile pattern says. */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stdbool.h>

#include "base/err.h"

struct pattern;

/* text is a cleaned path pattern; NULL and ERR_USAGE when Go would refuse it. */
struct pattern *pattern_new(const char *text, struct err *err);
void pattern_free(struct pattern *pattern);
/* Uses memory of the pattern: not from two threads at once. */
bool pattern_match(struct pattern *pattern, const char *path);
/* May the pattern match something below the directory? True when in doubt. */
bool pattern_reaches(struct pattern *pattern, const char *dir);

/* fsutil looks at a pattern's text, not at what it means, before it leaves a directory aside: one
   without special characters, but for a star or two at its end, is a path that begins with the
   directory's. */
bool pattern_is_path(const struct pattern *pattern);
bool pattern_begins_with(const struct pattern *pattern, const char *dir);

#endif
