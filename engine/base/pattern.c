#include "base/pattern.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/rune.h"

enum { REGEX_MAX = 1 << 20 };

enum how { EXACT, PREFIX, SUFFIX, REGEX };

struct pattern {
    char *text;
    size_t len;
    enum how how;
    struct regex *regex;
};

/* --- the check: does filepath.Match(pattern, ".") report an error? ---------------------------- */

/* One character of a class; NULL when it is malformed or nothing follows it. */
static const char *class_char(const char *p, const char *end, uint32_t *rune)
{
    if (p == end || *p == '-' || *p == ']')
        return NULL;
    if (*p == '\\' && ++p == end)
        return NULL;
    size_t len;
    *rune = rune_next(p, &len);
    if (*rune == RUNE_ERROR && len == 1)
        return NULL;
    return p + len < end ? p + len : NULL;
}

/* From behind the '[' to behind the ']'; dot: is '.' in the class? */
static const char *class_end(const char *p, const char *end, bool *dot)
{
    const bool negated = p < end && *p == '^';
    p += negated;
    *dot = false;
    for (bool first = true; first || *p != ']'; first = false) {
        uint32_t low, high;
        p = class_char(p, end, &low);
        high = low;
        if (p && *p == '-')
            p = class_char(p + 1, end, &high);
        if (!p)
            return NULL;
        *dot |= low <= '.' && '.' <= high;
    }
    *dot ^= negated;
    return p + 1;
}

/* What stands between stars; dot: does it match "."? */
static bool chunk_is_good(const char *p, const char *end, bool *dot)
{
    size_t characters = 0;
    for (*dot = true; p < end; characters++) {
        bool matches = *p == '.' || *p == '?';
        if (*p == '[') {
            if (!(p = class_end(p + 1, end, &matches)))
                return false;
        } else {
            if (*p == '\\') {
                if (++p == end)
                    return false;
                matches = *p == '.';
            }
            p++;
        }
        *dot = *dot && matches;
    }
    *dot = *dot && characters == 1;
    return true;
}

static const char *chunk_end(const char *p)
{
    for (bool in_class = false; *p && (*p != '*' || in_class); p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '[' || *p == ']')
            in_class = *p == '[';
    }
    return p;
}

/* It looks at no chunk behind the first one that does not match. */
static bool well_formed(const char *p)
{
    bool dot = true;
    for (bool first = true; *p && dot; first = false) {
        p += strspn(p, "*");
        const char *end = chunk_end(p);
        if (!chunk_is_good(p, end, &dot))
            return false;
        dot = dot && first;
        p = end;
    }
    return true;
}

/* --- the conversion, step by step as Pattern.compile does it ---------------------------------- */

struct conversion {
    struct buf out;
    enum how how;
};

static void add_rune(struct conversion *to, uint32_t rune)
{
    char bytes[4];
    buf_add(&to->out, bytes, rune_put(rune, bytes));
}

/* After "**"; returns what is left of the pattern. */
static const char *convert_deep(struct conversion *to, const char *p, bool first)
{
    p += *p == '/';
    if (*p) {
        buf_text(&to->out, "(.*/)?");
        to->how = REGEX;
    } else if (to->how == EXACT) {
        to->how = PREFIX;
    } else {
        buf_text(&to->out, ".*");
        to->how = REGEX;
    }
    if (first)
        to->how = SUFFIX;
    return p;
}

static const char *convert_one(struct conversion *to, const char *p, bool first)
{
    size_t len;
    uint32_t rune = rune_next(p, &len);
    p += len;
    if (rune == '*' && *p == '*')
        return convert_deep(to, p + 1, first);
    if (rune == '*' || rune == '?') {
        buf_text(&to->out, rune == '*' ? "[^/]*" : "[^/]");
        to->how = REGEX;
    } else if (rune < 0x80 && strchr(".+()$", (int)rune)) {
        buf_char(&to->out, '\\');
        buf_char(&to->out, (char)rune);
    } else if (rune == '\\') {
        buf_char(&to->out, '\\');
        if (*p == '\0')
            return p;
        add_rune(to, rune_next(p, &len));
        to->how = REGEX;
        p += len;
    } else {
        add_rune(to, rune);
        if (rune == '[' || rune == ']')
            to->how = REGEX;
    }
    return p;
}

static void convert(struct conversion *to, const char *p)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* Go's scanner drops it */
    if (strncmp(p, mark, 3) == 0)
        p += 3;
    buf_init(&to->out, REGEX_MAX);
    to->how = EXACT;
    buf_char(&to->out, '^');
    for (bool first = true; *p; first = false)
        p = convert_one(to, p, first);
    buf_char(&to->out, '$');
}

struct pattern *pattern_new(const char *text, struct err *err)
{
    struct conversion to;
    if (!well_formed(text)) {
        err_set(err, ERR_USAGE, "syntax error in pattern \"%s\"", text);
        return NULL;
    }
    convert(&to, text);
    struct regex *regex = NULL;
    if (to.how == REGEX && !(regex = regex_new(to.out.data)))
        err_set(err, ERR_USAGE, "syntax error in pattern \"%s\"", text);
    buf_fini(&to.out);
    if (to.how == REGEX && !regex)
        return NULL;
    struct pattern *pattern = mem_alloc(sizeof *pattern);
    *pattern = (struct pattern){mem_text(text), strlen(text), to.how, regex};
    return pattern;
}

void pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    regex_free(pattern->regex);
    mem_free(pattern->text);
    mem_free(pattern);
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t path_len = strlen(path), len = strlen(suffix);
    return path_len >= len && memcmp(path + path_len - len, suffix, len) == 0;
}

bool pattern_match(struct pattern *pattern, const char *path)
{
    switch (pattern->how) {
    case EXACT:
        return strcmp(path, pattern->text) == 0;
    case PREFIX: /* less the "**" at its end */
        return strncmp(path, pattern->text, pattern->len - 2) == 0;
    case SUFFIX: {
        const char *suffix = pattern->text + 2;
        return ends_with(path, suffix) || (*suffix == '/' && strcmp(path, suffix + 1) == 0);
    }
    case REGEX:
        return regex_match(pattern->regex, path);
    }
    return false;
}

bool pattern_reaches(struct pattern *pattern, const char *dir)
{
    size_t len = strlen(dir);
    if (pattern->how == REGEX)
        return regex_reaches(pattern->regex, dir);
    if (pattern->how == SUFFIX)
        return true;
    size_t fixed = pattern->how == PREFIX ? pattern->len - 2 : pattern->len;
    if (fixed <= len)
        return pattern->how == PREFIX && memcmp(dir, pattern->text, fixed) == 0;
    return memcmp(dir, pattern->text, len) == 0 && pattern->text[len] == '/';
}

/* Bytes of the text without a slash and one or two stars at its end. */
static size_t bare_len(const struct pattern *pattern)
{
    size_t len = pattern->len;
    if (len >= 3 && memcmp(pattern->text + len - 3, "/**", 3) == 0)
        len -= 3;
    if (len >= 2 && memcmp(pattern->text + len - 2, "/*", 2) == 0)
        len -= 2;
    return len;
}

bool pattern_is_path(const struct pattern *pattern)
{
    return strcspn(pattern->text, "*[]?^\\") >= bare_len(pattern);
}

bool pattern_begins_with(const struct pattern *pattern, const char *dir)
{
    const size_t len = strlen(dir), bare = bare_len(pattern);
    return bare >= len && memcmp(pattern->text, dir, len) == 0 &&
           (bare == len || pattern->text[len] == '/');
}
