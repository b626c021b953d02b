/* Two paths, with a NUL between them. */
#include "base/path.h"

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"

/* Is there a ".." behind a component that is another? */
static bool goes_back(const char *path)
{
    bool named = path[0] == '/';
    for (const char *p = path; *p;) {
        const size_t len = strcspn(p, "/");
        const bool up = len == 2 && memcmp(p, "..", 2) == 0;
        if (up && named)
            return true;
        named = named || (len > 0 && !up);
        p += len;
        p += *p == '/';
    }
    return false;
}

static void check_clean(const char *path)
{
    char *clean = path_clean(path), *again = path_clean(clean);
    const size_t len = strlen(clean);
    fuzz_check(strcmp(clean, again) == 0, "what is clean stays as it is");
    fuzz_check((path[0] == '/') == (clean[0] == '/'), "the root stays, and none comes");
    fuzz_check(len > 0 && (len == 1 || clean[len - 1] != '/') && !strstr(clean, "//") &&
                   !strstr(clean, "/./"),
               "no slash and no dot is left over");
    fuzz_check(!goes_back(clean), "'..' stands only where a relative path begins");
    fuzz_check(!path_is_inner(path) || path_is_inner(clean), "what is inside stays inside");
    if (len > 1 && path_is_inner(clean)) {
        char *dir = path_dir(clean), *joined = path_join(dir, path_base(clean));
        fuzz_check(strcmp(joined, clean) == 0, "directory and name make the path");
        mem_free(joined);
        mem_free(dir);
    }
    mem_free(again);
    mem_free(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    char *base = fuzz_text(&input, '\0'), *path = fuzz_text(&input, '\0');
    check_clean(base);
    check_clean(path);
    char *joined = path_join(base, path);
    check_clean(joined);
    if (path_is_inner(path)) {
        char *from = path_clean(base);
        const size_t len = strlen(from);
        fuzz_check(strcmp(from, ".") == 0 || strcmp(from, "/") == 0 ||
                       (strncmp(joined, from, len) == 0 &&
                        (joined[len] == '/' || joined[len] == '\0')),
                   "what is inside is joined below its base");
        mem_free(from);
    }
    mem_free(joined);
    mem_free(path);
    mem_free(base);
    return 0;
}
