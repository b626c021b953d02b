#include <string.h>

#include "base/mem.h"
#include "base/regex_code.h"
#include "base/rune.h"

enum {
    RUNE_LAST = 0x10FFFF,
    TIMES_MAX = 1000,    /* Go's limit of {n} */
    CODE_MAX = 1 << 17,  /* instructions */
};

/* As regexp/syntax does it with Perl's flags. */
struct parser {
    struct code *code;
    const char *p;
    size_t item;   /* what a repetition would repeat: the last instruction; 0 = nothing is there */
    bool repeated; /* it is already */
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

/* Behind "\x": two digits, or any number of them in braces. */
static uint32_t parse_hex(struct parser *parser)
{
    const bool braces = *parser->p == '{';
    uint32_t value = 0;
    int digits = 0;
    for (parser->p += braces; digits < 2 || braces; digits++) {
        if (braces && *parser->p == '}' && digits > 0)
            break;
        const int digit = hex((unsigned char)*parser->p);
        if (digit < 0 || value * 16 + (uint32_t)digit > RUNE_LAST) {
            parser->bad = true;
            return 0;
        }
        value = value * 16 + (uint32_t)digit;
        parser->p++;
    }
    parser->p += braces;
    return value;
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
    if (c == 'x')
        return parse_hex(parser);
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
    while (*parser->p && parser->p != end) {
        parser->item = parser->code->len;
        parser->repeated = false;
        add_literal(parser->code, take_rune(parser));
    }
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

/* --- repetitions ------------------------------------------------------------------------------ */

/* A number without leading zeros; -1 = none, beyond TIMES_MAX = too large. */
static int parse_times(const char **text)
{
    const char *p = *text;
    int number = 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        number = number > TIMES_MAX ? number : number * 10 + (*p - '0');
    *text = p;
    return number;
}

/* "{n}", "{n,}" (most is -1 then) or "{n,m}" at p; false: '{' is a character like others. */
static bool parse_bounds(struct parser *parser, int *least, int *most)
{
    const char *p = parser->p + 1;
    *least = *most = parse_times(&p);
    if (*least >= 0 && *p == ',' && *++p != '}' && (*most = parse_times(&p)) < 0)
        return false;
    if (*least < 0 || *p != '}')
        return false;
    if (p[-1] == ',')
        *most = -1;
    parser->p = p + 1;
    return true;
}

static void repeat(struct parser *parser, int least, int most)
{
    struct code *code = parser->code;
    if (parser->item == 0 || parser->repeated || least > TIMES_MAX || most > TIMES_MAX ||
        (most >= 0 && least > most)) {
        parser->bad = true;
        return;
    }
    struct instruction one = code->list[parser->item];
    if (one.op != SET) { /* at a place one is as often as one likes */
        code->len -= least == 0;
        return;
    }
    code->len--;
    for (int i = 0; i < least || i < most || (most < 0 && i == least); i++) {
        one.spare = i >= least;
        one.again = most < 0 && i == least;
        *add_code(code, SET) = one;
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static void add_anything(struct code *code)
{
    *add_code(code, SET) = (struct instruction){.op = SET, .again = true, .spare = true,
        .negated = true};
}

/* An expression matches anywhere in a text that it does not hold at its ends. */
static void begin_alternative(struct parser *parser)
{
    add_code(parser->code, FORK)->from = 0;
    if (*parser->p != '^' || parser->p[1] == '{')
        add_anything(parser->code);
    parser->item = 0;
}

static void end_alternative(struct code *code)
{
    if (code->list[code->len - 1].op != AT_END)
        add_anything(code);
    add_code(code, MATCHED);
}

static void parse_deep(struct code *code)
{
    add_code(code, MAYBE);
    parse_dot(code);
    code->list[code->len - 1].again = code->list[code->len - 1].spare = true;
    add_literal(code, '/');
}

/* What is no repetition; p stands behind c. */
static void parse_item(struct parser *parser, char c)
{
    switch (c) {
    case '^': add_code(parser->code, AT_BEGIN); break;
    case '$': add_code(parser->code, AT_END); break; /* one in the pattern was escaped */
    case '.': parse_dot(parser->code); break;
    case '[': parse_class(parser); break;
    case '\\': parse_backslash(parser); break;
    default:
        parser->p--;
        add_literal(parser->code, take_rune(parser));
    }
}

static void parse_one(struct parser *parser)
{
    static const char deep[] = "(.*/)?";
    struct code *code = parser->code;
    int least, most;
    if (strncmp(parser->p, deep, 6) == 0) {
        parse_deep(code);
        parser->p += 6;
    } else if (*parser->p == '*') {
        code->list[code->len - 1].again = code->list[code->len - 1].spare = true;
        parser->p++;
    } else if (*parser->p == '{' && parse_bounds(parser, &least, &most)) {
        repeat(parser, least, most);
    } else {
        const size_t before = code->len;
        const bool quote = strncmp(parser->p, "\\Q", 2) == 0; /* sees to its own items */
        parse_item(parser, *parser->p++);
        if (!quote) {
            parser->item = before;
            parser->repeated = false;
        }
        return;
    }
    parser->repeated = true;
}

bool code_parse(struct code *code, const char *text)
{
    struct parser parser = {.code = code, .p = text};
    size_t fork = 0;
    begin_alternative(&parser);
    while (!parser.bad && *parser.p) {
        if (*parser.p != '|') {
            parse_one(&parser);
        } else {
            end_alternative(code);
            parser.p++;
            code->list[fork].from = code->len;
            fork = code->len;
            begin_alternative(&parser);
        }
        parser.bad |= code->len > CODE_MAX;
    }
    end_alternative(code);
    return !parser.bad;
}

void code_fini(struct code *code)
{
    mem_free(code->list);
    mem_free(code->ranges);
}
