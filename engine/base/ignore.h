/* .dockerignore: which paths of a build context are not sent, as BuildKit and fsutil decide it.

   The last pattern that matches a path or a directory above it wins. A walk asks top down and hands
   each directory's state to what is in it, so that every path is matched once. */
#ifndef BASE_IGNORE_H
#define BASE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ignore;

/* name is what an error calls the text: "/src/.dockerignore". ERR_USAGE names the line; a text or a
   number of patterns beyond reason is ERR_LIMIT. */
struct ignore *ignore_new(const char *text, size_t len, const char *name, struct err *err);
/* The same of patterns as fsutil gets them: no comments, no cleaning of a leading slash. */
struct ignore *ignore_of(const char *const *patterns, size_t count, const char *name,
                         struct err *err);
void ignore_free(struct ignore *ignore);

/* Bytes of the state of one path, never 0. */
size_t ignore_state_size(const struct ignore *ignore);
/* Is path ("a/b", relative, clean) excluded? parent is the state of its directory, NULL at the top;
   state gets the path's own. Uses memory of ignore: not from two threads at once. */
bool ignore_excludes(struct ignore *ignore, const char *path, const bool *parent, bool *state);
/* May anything below the excluded directory dir be included again? False means: no need to
   enter. */
bool ignore_may_include(struct ignore *ignore, const char *dir, const bool *state);
/* May anything below dir, which is not excluded, be excluded? */
bool ignore_may_exclude(struct ignore *ignore, const char *dir);

#endif
