#include "base/regex.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/rune.h"

enum { RUNE_LAST = 0x10FFFF };

enum op {
    SET,      /* one character of ranges */
    MAYBE,    /* goes on here, or 3 instructions later */
    AT_BEGIN,
    AT_END,
    AT_WORD,  /* "\b" */
    NO_WORD,  /* "\B" */
};

struct range {
    uint32_t low, high;
};

struct instruction {
    enum op op;
    bool star, negated;
    size_t from, count; /* of ranges */
};

struct regex {
    struct instruction *code;
    size_t len;
    struct range *ranges;
    size_t range_count;
    char *tail; /* ASCII that every match ends with */
    size_t tail_len;
    /* the simulation */
    size_t *now, *next, *mark;
    size_t now_len, next_len, turn;
};

/* --- parsing, as regexp/syntax does it with Perl's flags ------------------------------------------ */

struct parser {
    struct regex *regex;
    const char *p;
    bool bad;
};

static bool power_of_two(size_t n)
{
    return (n & (n - 1)) == 0;
}

static void add_range(struct regex *regex, uint32_t low, uint32_t high)
{
    size_t n = regex->range_count;
    if (power_of_two(n))
        regex->ranges = mem_grow(regex->ranges, (n ? n * 2 : 1) * sizeof *regex->ranges);
    regex->ranges[regex->range_count++] = (struct range){low, high};
    regex->code[regex->len - 1].count++;
}

static struct instruction *add_code(struct regex *regex, enum op op)
{
    size_t n = regex->len;
    if (power_of_two(n))
        regex->code = mem_grow(regex->code, (n ? n * 2 : 1) * sizeof *regex->code);
    regex->code[regex->len++] = (struct instruction){.op = op, .from = regex->range_count};
    return &regex->code[n];
}

static void add_literal(struct regex *regex, uint32_t rune)
{
    add_code(regex, SET);
    add_range(regex, rune, rune);
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
static void add_group(struct regex *regex, const char *pairs, bool negated)
{
    uint32_t above = 0;
    for (; *pairs; pairs += 2) {
        uint32_t low = (unsigned char)pairs[0], high = (unsigned char)pairs[1];
        if (!negated)
            add_range(regex, low, high);
        else if (low > above)
            add_range(regex, above, low - 1);
        above = high + 1;
    }
    if (negated)
        add_range(regex, above, RUNE_LAST);
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
    add_group(parser->regex, pairs, !(*parser->p & 32));
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
            add_group(parser->regex, groups[i].pairs, negated);
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
    struct instruction *set = add_code(parser->regex, SET);
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
        add_range(parser->regex, low, high);
    }
    parser->p++;
}

static void parse_quoted(struct parser *parser)
{
    const char *end = strstr(parser->p, "\\E");
    while (*parser->p && parser->p != end)
        add_literal(parser->regex, take_rune(parser));
    if (end)
        parser->p += 2;
}

/* Outside a class; p stands behind the backslash. */
static void parse_backslash(struct parser *parser)
{
    switch (*parser->p) {
    case 'A': add_code(parser->regex, AT_BEGIN); break;
    case 'z': add_code(parser->regex, AT_END); break;
    case 'b': add_code(parser->regex, AT_WORD); break;
    case 'B': add_code(parser->regex, NO_WORD); break;
    case 'Q': parser->p++; parse_quoted(parser); return;
    default:
        add_code(parser->regex, SET);
        if (!parse_perl(parser)) {
            uint32_t rune = parse_escape(parser);
            add_range(parser->regex, rune, rune);
        }
        return;
    }
    parser->p++;
}

static void parse_dot(struct regex *regex)
{
    struct instruction *set = add_code(regex, SET);
    set->negated = true;
    add_range(regex, '\n', '\n');
}

/* Tells whether the text was anchored at its end. */
static bool parse(struct parser *parser)
{
    static const char deep[] = "(.*/)?";
    struct regex *regex = parser->regex;
    while (*parser->p && !parser->bad) {
        char c = *parser->p;
        if (c == '$')
            return true; /* one in the pattern was escaped */
        if (strncmp(parser->p, deep, 6) == 0) {
            add_code(regex, MAYBE);
            parse_dot(regex);
            regex->code[regex->len - 1].star = true;
            add_literal(regex, '/');
            parser->p += 6;
            continue;
        }
        parser->p += strchr("^.[*\\", c) != NULL;
        switch (c) {
        case '^': add_code(regex, AT_BEGIN); break;
        case '.': parse_dot(regex); break;
        case '[': parse_class(parser); break;
        case '*': regex->code[regex->len - 1].star = true; break;
        case '\\': parse_backslash(parser); break;
        default: add_literal(regex, take_rune(parser));
        }
    }
    return false;
}

/* Most paths fail on their last letters already. */
static void find_tail(struct regex *regex)
{
    size_t i = regex->len - 1;
    regex->tail = mem_alloc(regex->len);
    char *end = regex->tail + regex->len, *p = end;
    while (i-- > 0) {
        const struct instruction *at = &regex->code[i];
        const struct range *range = &regex->ranges[at->from];
        if (at->op != SET || at->star || at->negated || at->count != 1 ||
            range->low != range->high || range->low >= 0x80)
            break;
        if (i >= 2 && regex->code[i - 2].op == MAYBE)
            break; /* the '/' of an optional part */
        *--p = (char)range->low;
    }
    regex->tail_len = (size_t)(end - p);
    memmove(regex->tail, p, regex->tail_len);
}

struct regex *regex_new(const char *text)
{
    struct regex *regex = mem_alloc(sizeof *regex);
    struct parser parser = {.regex = regex, .p = text};
    bool anchored = parse(&parser);
    if (parser.bad) {
        regex_free(regex);
        return NULL;
    }
    if (!anchored) /* "\Q" has eaten the '$' */
        *add_code(regex, SET) = (struct instruction){.op = SET, .star = true, .negated = true};
    add_code(regex, AT_END);
    find_tail(regex);
    regex->now = mem_alloc((regex->len + 1) * sizeof *regex->now);
    regex->next = mem_alloc((regex->len + 1) * sizeof *regex->next);
    regex->mark = mem_alloc((regex->len + 1) * sizeof *regex->mark);
    return regex;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    mem_free(regex->code);
    mem_free(regex->ranges);
    mem_free(regex->tail);
    mem_free(regex->now);
    mem_free(regex->next);
    mem_free(regex->mark);
    mem_free(regex);
}

/* --- matching ------------------------------------------------------------------------------------ */

/* The characters around a position; 0 where the text ends. */
struct place {
    uint32_t before, after;
    bool open; /* what comes after is not known */
};

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || c == '_' || (c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool holds(enum op op, const struct place *place)
{
    if (op == AT_BEGIN)
        return place->before == 0;
    if (place->open)
        return true;
    if (op == AT_END)
        return place->after == 0;
    return (is_word(place->before) != is_word(place->after)) == (op == AT_WORD);
}

/* Adds instruction i to next, and what can be reached from it without a character. */
static void enter(struct regex *regex, size_t i, const struct place *place)
{
    while (regex->mark[i] != regex->turn) {
        regex->mark[i] = regex->turn;
        regex->next[regex->next_len++] = i;
        if (i == regex->len)
            return;
        const struct instruction *at = &regex->code[i];
        if (at->op == MAYBE) {
            enter(regex, i + 1, place); /* one level deep: a starred '.' and a '/' follow */
            i += 3;
        } else if (at->op == SET ? at->star : holds(at->op, place)) {
            i++;
        } else {
            return;
        }
    }
}

static bool in_set(const struct regex *regex, const struct instruction *at, uint32_t rune)
{
    const struct range *range = regex->ranges + at->from;
    for (size_t i = 0; i < at->count; i++)
        if (range[i].low <= rune && rune <= range[i].high)
            return !at->negated;
    return at->negated;
}

static void swap(struct regex *regex)
{
    size_t *now = regex->now;
    regex->now = regex->next;
    regex->now_len = regex->next_len;
    regex->next = now;
    regex->next_len = 0;
    regex->turn++;
}

static void step(struct regex *regex, uint32_t rune, const struct place *place)
{
    swap(regex);
    for (size_t n = 0; n < regex->now_len; n++) {
        size_t i = regex->now[n];
        if (i < regex->len && regex->code[i].op == SET && in_set(regex, &regex->code[i], rune))
            enter(regex, regex->code[i].star ? i : i + 1, place);
    }
}

/* Leaves the instructions reached in next. */
static void run(struct regex *regex, const char *text, bool open)
{
    size_t len, after_len;
    uint32_t rune = rune_next(text, &len);
    regex->next_len = 0;
    regex->turn++;
    enter(regex, 0, &(struct place){.after = rune});
    while (*text && regex->next_len > 0) {
        text += len;
        uint32_t after = rune_next(text, &after_len);
        if (after == 0 && open)
            after = '/';
        step(regex, rune, &(struct place){.before = rune, .after = after});
        rune = after;
        len = after_len;
    }
    if (open && regex->next_len > 0)
        step(regex, '/', &(struct place){.before = '/', .open = true});
}

bool regex_match(struct regex *regex, const char *text)
{
    size_t len = strlen(text);
    if (len < regex->tail_len ||
        memcmp(text + len - regex->tail_len, regex->tail, regex->tail_len) != 0)
        return false;
    run(regex, text, false);
    return regex->mark[regex->len] == regex->turn && regex->next_len > 0;
}

bool regex_reaches(struct regex *regex, const char *prefix)
{
    run(regex, prefix, true);
    return regex->next_len > 0;
}
