#include "base/ignore.h"

#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/pattern.h"
#include "base/rune.h"

enum {
    TEXT_MAX = 4 << 20,
    LINE_MAX_LEN = 64 << 10, /* Go's scanner refuses a longer line */
    RULES_MAX = 10000,
};

struct rule {
    struct pattern *pattern;
    bool exception;
};

struct ignore {
    struct rule *rules;
    size_t count;
    bool guided[2]; /* [exception]: not all patterns of that kind are paths */
};

void ignore_free(struct ignore *ignore)
{
    if (!ignore)
        return;
    for (size_t i = 0; i < ignore->count; i++)
        pattern_free(ignore->rules[i].pattern);
    mem_free(ignore->rules);
    mem_free(ignore);
}

/* --- parsing ---------------------------------------------------------------------------------- */

/* strings.TrimSpace; cuts text and returns where it begins now. */
static char *trim(char *text)
{
    size_t len;
    while (*text && rune_is_space(rune_next(text, &len)))
        text += len;
    char *end = text;
    for (char *p = text; *p; p += len)
        if (!rune_is_space(rune_next(p, &len)))
            end = p + len;
    *end = '\0';
    return text;
}

/* ignorefile.ReadAll's work on a line that is neither empty nor a comment: "!" and a clean path
   without the leading slash. Caller frees. */
static char *normalize(char *line)
{
    bool inverted = *line == '!';
    if (inverted)
        line = trim(line + 1);
    char *clean = *line ? path_clean(line) : mem_text("");
    const char *path = clean[0] == '/' && clean[1] ? clean + 1 : clean;
    size_t len = strlen(path);
    char *out = mem_alloc(len + 2);
    out[0] = '!';
    memcpy(out + inverted, path, len + 1);
    mem_free(clean);
    return out;
}

/* patternmatcher.New's work on one pattern; text that says nothing adds nothing. */
static bool add_rule(struct ignore *ignore, char *text, struct err *err)
{
    text = trim(text);
    if (*text == '\0')
        return true;
    char *clean = path_clean(text);
    bool exception = *clean == '!', good = false;
    struct pattern *pattern = NULL;
    if (strcmp(clean, "!") == 0)
        err_set(err, ERR_USAGE, "illegal exclusion pattern: \"!\"");
    else if ((pattern = pattern_new(clean + exception, err)))
        good = true;
    mem_free(clean);
    if (!good)
        return false;
    if ((ignore->count & (ignore->count - 1)) == 0)
        ignore->rules = mem_grow(ignore->rules, (ignore->count ? ignore->count * 2 : 1) *
                                                    sizeof *ignore->rules);
    ignore->rules[ignore->count++] = (struct rule){pattern, exception};
    ignore->guided[exception] |= !pattern_is_path(pattern);
    return ignore->count <= RULES_MAX ||
        err_set(err, ERR_LIMIT, "more than %d patterns", RULES_MAX);
}

static bool add_line(struct ignore *ignore, const char *line, size_t len, struct err *err)
{
    if (len >= LINE_MAX_LEN)
        return err_set(err, ERR_LIMIT, "the line is longer than %d bytes", LINE_MAX_LEN);
    if (memchr(line, '\0', len))
        return err_set(err, ERR_USAGE, "the line holds a NUL byte: is the text UTF-16?");
    if (len == 0 || *line == '#')
        return true;
    char *copy = mem_textn(line, len), *text = trim(copy);
    bool good = true;
    if (*text) {
        char *normal = normalize(text);
        good = add_rule(ignore, normal, err);
        mem_free(normal);
    }
    mem_free(copy);
    return good;
}

struct ignore *ignore_new(const char *text, size_t len, const char *name, struct err *err)
{
    if (len > TEXT_MAX) {
        err_set(err, ERR_LIMIT, "%s is larger than %d bytes", name, TEXT_MAX);
        return NULL;
    }
    struct ignore *ignore = mem_alloc(sizeof *ignore);
    const char *end = text + len;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    for (size_t number = 1; text < end; number++) {
        struct err why;
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        if (!add_line(ignore, text, (size_t)(stop - text), &why)) {
            err_set(err, why.kind, "%s, line %zu: %s", name, number, why.message);
            ignore_free(ignore);
            return NULL;
        }
        text = newline ? newline + 1 : end;
    }
    return ignore;
}

struct ignore *ignore_of(const char *const *patterns, size_t count, const char *name,
                         struct err *err)
{
    struct ignore *ignore = mem_alloc(sizeof *ignore);
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        struct err why;
        char *copy = mem_text(patterns[i]);
        if (!(good = add_rule(ignore, copy, &why)))
            err_set(err, why.kind, "%s: %s", name, why.message);
        mem_free(copy);
    }
    if (good)
        return ignore;
    ignore_free(ignore);
    return NULL;
}

/* --- verdicts --------------------------------------------------------------------------------- */

size_t ignore_state_size(const struct ignore *ignore)
{
    return ignore->count ? ignore->count : 1;
}

/* MatchesUsingParentResults: a rule that cannot change the verdict is not asked, and counts as not
   matching for what is below. */
bool ignore_excludes(struct ignore *ignore, const char *path, const bool *parent, bool *state)
{
    bool excluded = false;
    for (size_t i = 0; i < ignore->count; i++) {
        const struct rule *rule = &ignore->rules[i];
        bool match = parent && parent[i];
        if (!match && rule->exception == excluded)
            match = pattern_match(rule->pattern, path);
        state[i] = match;
        if (match)
            excluded = !rule->exception;
    }
    return excluded;
}

/* As fsutil does it: when all patterns of the kind are paths, their text decides. When they are
   not, it enters every directory; what no pattern can match there need not be looked at. */
static bool reaches(const struct ignore *ignore, const struct rule *rule, const char *dir)
{
    return ignore->guided[rule->exception] ? pattern_reaches(rule->pattern, dir)
                                           : pattern_begins_with(rule->pattern, dir);
}

/* Only an exception behind the last rule that excluded dir can bring something back. */
bool ignore_may_include(struct ignore *ignore, const char *dir, const bool *state)
{
    for (size_t i = ignore->count; i-- > 0;) {
        const struct rule *rule = &ignore->rules[i];
        if (!rule->exception && state[i])
            return false;
        if (rule->exception && reaches(ignore, rule, dir))
            return true;
    }
    return false;
}

bool ignore_may_exclude(struct ignore *ignore, const char *dir)
{
    for (size_t i = 0; i < ignore->count; i++)
        if (!ignore->rules[i].exception && reaches(ignore, &ignore->rules[i], dir))
            return true;
    return false;
}
