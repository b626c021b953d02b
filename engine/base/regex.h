/* The regular expressions that base/pattern.c makes: literals, classes, '.', starred ones of these,
   an optional run of whole components, anchors and word boundaries, with the syntax and meaning of
   Go's regexp. Not a regex library. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>

struct regex;

/* NULL when Go's regexp.Compile would refuse the text; also for "\p", whose tables are not here. */
struct regex *regex_new(const char *text);
void regex_free(struct regex *regex);
/* Uses memory of the regex: not from two threads at once. */
bool regex_match(struct regex *regex, const char *text);
/* Is there a text that begins with prefix and '/' and matches? True when in doubt. */
bool regex_reaches(struct regex *regex, const char *prefix);

#endif
