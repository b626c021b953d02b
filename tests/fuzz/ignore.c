/* .dockerignore: a line, NUL, and a path to ask about. */
#include "base/ignore.h"

#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "fuzz.h"

/* What the walk says about the path, each directory above it asked first. Sets *closed when a
   directory was said to hold nothing that is sent. */
static bool walk(struct ignore *ignore, const char *path, bool *closed)
{
    const size_t size = ignore_state_size(ignore);
    bool *above = mem_alloc(size), *state = mem_alloc(size);
    bool excluded = false, any = false;
    char *part = mem_text(path);
    *closed = false;
    for (size_t at = 0; at <= strlen(path); at++) {
        if (path[at] != '/' && path[at] != '\0')
            continue;
        part[at] = '\0';
        excluded = ignore_excludes(ignore, part, any ? above : NULL, state);
        memset(above, 1, any ? 0 : size);
        if (path[at] == '/' && excluded && !ignore_may_include(ignore, part, state))
            *closed = true;
        bool *swap = above;
        above = state;
        state = swap;
        any = true;
        part[at] = path[at];
    }
    mem_free(part);
    mem_free(above);
    mem_free(state);
    return excluded;
}

/* Without exceptions a path is left out when one line alone leaves it out. */
static bool any_line(const char *text, const char *path)
{
    bool found = false;
    struct fuzz_input input = {text, strlen(text)};
    while (input.left > 0 && !found) {
        char *line = fuzz_text(&input, '\n');
        struct ignore *ignore = ignore_new(line, strlen(line), "line", NULL);
        bool closed;
        found = ignore && walk(ignore, path, &closed);
        ignore_free(ignore);
        mem_free(line);
    }
    return found;
}

/* fsutil enters no directory that the text of no exception begins with, though these mean more than
   they say; and of "a / * / **" it takes away both ends, so that it enters nothing below a. */
static bool says_what_it_means(const char *text)
{
    for (; *text; text++) {
        const size_t gap = strncmp(text, "/*/", 3) == 0 ? strspn(text + 2, "/.") : 0;
        if ((unsigned char)*text >= 0x80 || *text == '|' || *text == '{' ||
            (gap > 0 && strncmp(text + 2 + gap, "**", 2) == 0))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    struct err err;
    char *text = fuzz_text(&input, '\0'), *asked = fuzz_text(&input, '\0');
    char *path = path_clean(asked);
    struct ignore *ignore = ignore_new(text, strlen(text), ".dockerignore", &err);
    if (ignore && path_is_inner(path) && strcmp(path, ".") != 0) {
        bool closed, again;
        const bool excluded = walk(ignore, path, &closed);
        fuzz_check(excluded == walk(ignore, path, &again), "asked twice, the same is said");
        fuzz_check(excluded || !closed || !says_what_it_means(text),
                   "nothing below a directory that is not entered is sent");
        /* which only the first line may begin with */
        if (!strchr(text, '!') && !strstr(text, "\xef\xbb\xbf"))
            fuzz_check(excluded == any_line(text, path), "the lines decide one by one");
    }
    ignore_free(ignore);
    mem_free(path);
    mem_free(asked);
    mem_free(text);
    return 0;
}
