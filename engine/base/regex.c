#include "base/regex.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex_code.h"
#include "base/rune.h"

struct regex {
    struct code code;
    char *tail; /* ASCII that every match ends with */
    size_t tail_len;
    /* the simulation */
    size_t *now, *next, *mark;
    size_t now_len, next_len, turn;
    size_t matched; /* the turn of the last match */
};

/* Most paths fail on their last letters already. */
static void find_tail(struct regex *regex)
{
    size_t i = regex->code.len - 1; /* behind it: MATCHED */
    regex->tail = mem_alloc(regex->code.len);
    char *end = regex->tail + regex->code.len, *p = end;
    i -= regex->code.list[i - 1].op == AT_END;
    while (regex->code.list[0].from == 0 && i-- > 1) {
        const struct instruction *at = &regex->code.list[i];
        if (at->op != SET || at->again || at->spare || at->negated || at->count != 1)
            break; /* there may be no range at all */
        const struct range *range = &regex->code.ranges[at->from];
        if (range->low != range->high || range->low >= 0x80)
            break;
        if (i >= 2 && regex->code.list[i - 2].op == MAYBE)
            break; /* the '/' of an optional part */
        *--p = (char)range->low;
    }
    regex->tail_len = (size_t)(end - p);
    memmove(regex->tail, p, regex->tail_len);
}

struct regex *regex_new(const char *text)
{
    struct regex *regex = mem_alloc(sizeof *regex);
    if (!code_parse(&regex->code, text)) {
        regex_free(regex);
        return NULL;
    }
    find_tail(regex);
    regex->now = mem_alloc(regex->code.len * sizeof *regex->now);
    regex->next = mem_alloc(regex->code.len * sizeof *regex->next);
    regex->mark = mem_alloc(regex->code.len * sizeof *regex->mark);
    return regex;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    code_fini(&regex->code);
    mem_free(regex->tail);
    mem_free(regex->now);
    mem_free(regex->next);
    mem_free(regex->mark);
    mem_free(regex);
}

/* --- matching --------------------------------------------------------------------------------- */

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

/* Adds instruction i to next, and what can be reached from it without a character. Recursion is two
   deep: an alternative, an optional part in it. */
static void enter(struct regex *regex, size_t i, const struct place *place)
{
    while (regex->mark[i] != regex->turn) {
        const struct instruction *at = &regex->code.list[i];
        regex->mark[i] = regex->turn;
        regex->next[regex->next_len++] = i;
        switch (at->op) {
        case FORK:
            enter(regex, i + 1, place);
            if (at->from == 0)
                return;
            i = at->from;
            break;
        case MAYBE:
            enter(regex, i + 1, place);
            i += 3;
            break;
        case SET:
            if (!at->spare)
                return;
            i++;
            break;
        case MATCHED:
            regex->matched = regex->turn;
            return;
        default:
            if (!holds(at->op, place))
                return;
            i++;
        }
    }
}

static bool in_set(const struct regex *regex, const struct instruction *at, uint32_t rune)
{
    const struct range *range = regex->code.ranges + at->from;
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
        const struct instruction *at = &regex->code.list[i];
        if (at->op == SET && in_set(regex, at, rune))
            enter(regex, at->again ? i : i + 1, place);
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
    return regex->matched == regex->turn;
}

bool regex_reaches(struct regex *regex, const char *prefix)
{
    run(regex, prefix, true);
    return regex->next_len > 0;
}
