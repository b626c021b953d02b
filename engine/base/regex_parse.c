#include <string.h>

#include "base/mem.h"
#include "base/regex_code.h"
#include "base/rune.h"

enum { RUNE_LAST = 0x10FFFF };

/* As regexp/syntax does it with Perl's flags. */
struct parser {
    struct code *code;
    const char *p;
    bool bad;
};

static bool power_of_two(size_t n)
{
    return (n & (n - 1)) == 0;
}

static void add_range(struct code *code, uint32_t low, uint32_t high)
{
    size_t n = code->range_count;
    if (power_of_two(n))
        code->ranges = mem_grow(code->ranges, (n ? n * 2 : 1) * sizeof *code->ranges);
    code->ranges[code->range_count++] = (struct range){low, high};
    code->list[code->len - 1].count++;
}

static struct instruction *add_code(struct code *code, enum op op)
{
    size_t n = code->len;
    if (power_of_two(n))
        code->list = mem_grow(code->list, (n ? n * 2 : 1) * sizeof *code->list);
    code->list[code->len++] = (struct instruction){.op = op, .from = code->range_count};
    return &code->list[n];
}

static void add_literal(struct code *code, uint32_t rune)
{
    add_code(code, SET);
    add_range(code, rune, rune);
}

static uint32_t take_rune(struct parser *parser)
{
    size_t len;
    uint32_t rune = rune_next(parser->p, &len);
    if (rune == 0)
        parser->bad = true;
    else
        parser->p += len;
    return rune;
}

static int hex(uint32_t c)
{
    return c >= '0' && c <= '9'   ? (int)c - '0'
           : c >= 'a' && c <= 'f' ? (int)c - 'a' + 10
           : c >= 'A' && c <= 'F' ? (int)c - 'A' + 10
                                  : -1;
}

/* The character that an escape means; p stands behind the backslash. */
static uint32_t parse_escape(struct parser *parser)
{
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    uint32_t c = take_rune(parser);
    if (c >= '0' && c <= '7') {
        uint32_t value = c - '0';
        if (c != '0' && (*parser->p < '0' || *parser->p > '7'))
            parser->bad = true; /* a back reference */
        for (int i = 1; i < 3 && *parser->p >= '0' && *parser->p <= '7'; i++)
            value = value * 8 + (uint32_t)(*parser->p++ - '0');
        return value;
    }
    if (c == 'x') {
        int high = hex(take_rune(parser)), low = hex(take_rune(parser));
        parser->bad |= high < 0 || low < 0;
        return (uint32_t)(high * 16 + low);
    }
    const char *letter = c && c < 0x80 ? strchr(letters, (int)c) : NULL;
    if (letter)
        return (uint32_t)values[letter - letters];
    bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    parser->bad |= c >= 0x80 || word;
    return c;
}

/* Pairs of bounds, ascending. */
static void add_group(struct code *code, const char *pairs, bool negated)
{
    uint32_t above = 0;
    for (; *pairs; pairs += 2) {
        uint32_t low = (unsigned char)pairs[0], high = (unsigned char)pairs[1];
        if (!negated)
            add_range(code, low, high);
        else if (low > above)
            add_range(code, above, low - 1);
        above = high + 1;
    }
    if (negated)
        add_range(code, above, RUNE_LAST);
}

/* "\d", "\S"…; p stands behind the backslash. False when it is another escape. */
static bool parse_perl(struct parser *parser)
{
    static const char space[] = "\t\n\f\r  ";
    const char *pairs;
    switch (*parser->p | 32) {
    case 'd': pairs = "09"; break;
    case 's': pairs = space; break;
    case 'w': pairs = "09AZ__az"; break;
    case 'p': parser->bad = true; return true;
    default: return false;
    }
    add_group(parser->code, pairs, !(*parser->p & 32));
    parser->p++;
    return true;
}

/* "[:alpha:]" inside a class; false when it is none. */
static bool parse_named(struct parser *parser)
{
    static const struct {
        const char *name, *pairs;
    } groups[] = {
        {"alnum", "09AZaz"},   {"alpha", "AZaz"},         {"ascii", "\1\x7f"},
        {"blank", "\t\t  "},   {"cntrl", "\1\x1f\x7f\x7f"}, {"digit", "09"},
        {"graph", "!~"},       {"lower", "az"},           {"print", " ~"},
        {"punct", "!/:@[`{~"}, {"space", "\t\r  "},       {"upper", "AZ"},
        {"word", "09AZ__az"},  {"xdigit", "09AFaf"},
    };
    const char *name = parser->p + 2, *end;
    if (strncmp(parser->p, "[:", 2) != 0 || !(end = strstr(name, ":]")))
        return false;
    bool negated = *name == '^';
    name += negated;
    size_t len = (size_t)(end - name);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (end > name && strlen(groups[i].name) == len && !memcmp(groups[i].name, name, len)) {
            add_group(parser->code, groups[i].pairs, negated);
            parser->p = end + 2;
            return true;
        }
    parser->bad = true;
    return true;
}

static uint32_t class_rune(struct parser *parser)
{
    uint32_t rune = take_rune(parser);
    return rune == '\\' ? parse_escape(parser) : rune;
}

/* p stands behind the '['. */
static void parse_class(struct parser *parser)
{
    struct instruction *set = add_code(parser->code, SET);
    set->negated = *parser->p == '^';
    parser->p += set->negated;
    for (bool first = true; !parser->bad && (first || *parser->p != ']'); first = false) {
        if (parse_named(parser))
            continue;
        if (*parser->p == '\\') {
            parser->p++;
            if (parse_perl(parser))
                continue;
            parser->p--;
        }
        uint32_t low = class_rune(parser), high = low;
        if (*parser->p == '-' && parser->p[1] && parser->p[1] != ']') {
            parser->p++;
            high = class_rune(parser);
        }
        parser->bad |= high < low;
        add_range(parser->code, low, high);
    }
    if (!parser->bad)
        parser->p++;
}

static void parse_quoted(struct parser *parser)
{
    const char *end = strstr(parser->p, "\\E");
    while (*parser->p && parser->p != end)
        add_literal(parser->code, take_rune(parser));
    if (end)
        parser->p += 2;
}

/* Outside a class; p stands behind the backslash. */
static void parse_backslash(struct parser *parser)
{
    switch (*parser->p) {
    case 'A': add_code(parser->code, AT_BEGIN); break;
    case 'z': add_code(parser->code, AT_END); break;
    case 'b': add_code(parser->code, AT_WORD); break;
    case 'B': add_code(parser->code, NO_WORD); break;
    case 'Q': parser->p++; parse_quoted(parser); return;
    default:
        add_code(parser->code, SET);
        if (!parse_perl(parser)) {
            uint32_t rune = parse_escape(parser);
            add_range(parser->code, rune, rune);
        }
        return;
    }
    parser->p++;
}

static void parse_dot(struct code *code)
{
    struct instruction *set = add_code(code, SET);
    set->negated = true;
    add_range(code, '\n', '\n');
}

/* Tells whether the text was anchored at its end. */
static bool parse(struct parser *parser)
{
    static const char deep[] = "(.*/)?";
    struct code *code = parser->code;
    while (!parser->bad && *parser->p) {
        char c = *parser->p;
        if (c == '$')
            return true; /* one in the pattern was escaped */
        if (strncmp(parser->p, deep, 6) == 0) {
            add_code(code, MAYBE);
            parse_dot(code);
            code->list[code->len - 1].star = true;
            add_literal(code, '/');
            parser->p += 6;
            continue;
        }
        parser->p += strchr("^.[*\\", c) != NULL;
        switch (c) {
        case '^': add_code(code, AT_BEGIN); break;
        case '.': parse_dot(code); break;
        case '[': parse_class(parser); break;
        case '*': code->list[code->len - 1].star = true; break;
        case '\\': parse_backslash(parser); break;
        default: add_literal(code, take_rune(parser));
        }
    }
    return false;
}

bool code_parse(struct code *code, const char *text)
{
    struct parser parser = {.code = code, .p = text};
    bool anchored = parse(&parser);
    if (!anchored) /* "\Q" has eaten the '$' */
        *add_code(code, SET) = (struct instruction){.op = SET, .star = true, .negated = true};
    add_code(code, AT_END);
    return !parser.bad;
}

void code_fini(struct code *code)
{
    mem_free(code->list);
    mem_free(code->ranges);
}
