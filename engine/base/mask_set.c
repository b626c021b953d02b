#include "base/mask_set.h"

#include <ctype.h>

#include "base/mem.h"

enum { SHORTEST = 4, ROOM = MASK_WINDOW + sizeof(struct mask_spelling) };

static void enter(struct mask_set *set, const struct mask_pattern *pattern, const char *window)
{
    uint32_t hash = mask_window_hash(window);
    struct mask_entry **bucket = &set->buckets[hash >> MASK_BUCKET_SHIFT];
    for (const struct mask_entry *each = *bucket; each; each = each->next)
        if (each->pattern == pattern && memcmp(each->window, window, MASK_WINDOW) == 0)
            return;
    struct mask_entry *entry = mem_alloc(sizeof *entry);
    *entry = (struct mask_entry){.next = *bucket, .pattern = pattern};
    memcpy(entry->window, window, MASK_WINDOW);
    *bucket = entry;
    set->filter[hash] = true;
    unsigned pair = mask_pair(window);
    set->pairs[pair / 64] |= (uint64_t)1 << pair % 64;
    unsigned triple = mask_triple(window);
    set->triples[triple / 64] |= (uint64_t)1 << triple % 64;
    set->firsts[(unsigned char)window[0]] = true;
}

/* Enters the pattern under each beginning of MASK_WINDOW bytes that its spellings give; window has
   len of them so far, for the value's bytes before at. */
static void enter_all(struct mask_set *set, const struct mask_pattern *pattern, size_t at,
                      char *window, size_t len)
{
    struct mask_spelling spellings[MASK_SPELLINGS_MAX];
    if (len >= MASK_WINDOW) {
        enter(set, pattern, window);
        return;
    }
    size_t count = mask_form_spell(pattern->form, pattern->text + at, pattern->len - at, spellings);
    for (size_t i = 0; i < count; i++) {
        memcpy(window + len, spellings[i].text, spellings[i].len);
        enter_all(set, pattern, at + spellings[i].of, window, len + spellings[i].len);
    }
}

/* The beginning of the text with the first spelling everywhere: one of the pattern's windows. */
static void first_window(enum mask_form form, const char *text, size_t len, char *window)
{
    struct mask_spelling spellings[MASK_SPELLINGS_MAX];
    for (size_t at = 0, n = 0; n < MASK_WINDOW; n += spellings[0].len, at += spellings[0].of) {
        mask_form_spell(form, text + at, len - at, spellings);
        memcpy(window + n, spellings[0].text, spellings[0].len);
    }
}

static bool is_known(const struct mask_set *set, enum mask_form form, const char *text, size_t len)
{
    char window[ROOM];
    first_window(form, text, len, window);
    const struct mask_entry *each = set->buckets[mask_window_hash(window) >> MASK_BUCKET_SHIFT];
    for (; each; each = each->next)
        if (each->pattern->form == form && each->pattern->len == len &&
            memcmp(each->pattern->text, text, len) == 0)
            return true;
    return false;
}

static void put(struct mask_set *set, enum mask_form form, const char *text, size_t len)
{
    if (is_known(set, form, text, len))
        return;
    struct mask_pattern *pattern = mem_alloc(sizeof *pattern + len);
    *pattern = (struct mask_pattern){.next = set->patterns, .form = form, .len = len};
    memcpy(pattern->text, text, len);
    set->patterns = pattern;
    char window[ROOM];
    enter_all(set, pattern, 0, window, 0);
}

static void put_forms(struct mask_set *set, const char *text, size_t len)
{
    put(set, MASK_PLAIN, text, len);
    for (enum mask_form form = MASK_URL; form <= MASK_QUOTED; form++)
        if (mask_form_differs(form, text, len))
            put(set, form, text, len);
}

static void put_plain(void *arg, const char *text, size_t len)
{
    put(arg, MASK_PLAIN, text, len);
}

/* Braces, dashes and PEM headers stand in many texts: masking them would hide nothing and harm
   all. */
static bool says_something(const char *line, size_t len)
{
    size_t letters = 0;
    for (size_t i = 0; i < len; i++)
        letters += isalnum((unsigned char)line[i]) != 0;
    return letters >= SHORTEST && strncmp(line, "-----", 5) != 0;
}

static void put_lines(struct mask_set *set, const char *value, size_t len)
{
    for (const char *line = value, *end = value + len; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *next = stop ? stop + 1 : end, *last = stop ? stop : end;
        while (last > line && isspace((unsigned char)last[-1]))
            last--;
        while (line < last && isspace((unsigned char)*line))
            line++;
        if (says_something(line, (size_t)(last - line)))
            put_forms(set, line, (size_t)(last - line));
        line = next;
    }
}

bool mask_set_add(struct mask_set *set, const char *value, size_t len)
{
    if (len < SHORTEST)
        return false;
    put_forms(set, value, len);
    put_lines(set, value, len);
    size_t end = len, from = 0; /* files end in a line break that programs drop */
    while (end > 0 && isspace((unsigned char)value[end - 1]))
        end--;
    while (from < end && isspace((unsigned char)value[from]))
        from++;
    if (end - from >= SHORTEST && end - from < len)
        put_forms(set, value + from, end - from);
    mask_form_base64(value, len, put_plain, set);
    mask_form_hex(value, len, put_plain, set);
    return true;
}

bool mask_set_begins(const struct mask_set *set, const char *text, size_t len)
{
    if (len < 2)
        return len == 1 && set->firsts[(unsigned char)*text];
    unsigned pair = mask_pair(text);
    if (len == 2 || !(set->pairs[pair / 64] >> pair % 64 & 1))
        return set->pairs[pair / 64] >> pair % 64 & 1;
    unsigned triple = mask_triple(text);
    if (!(set->triples[triple / 64] >> triple % 64 & 1))
        return false;
    for (int i = 0; i < MASK_BUCKETS; i++)
        for (const struct mask_entry *each = set->buckets[i]; each; each = each->next)
            if (memcmp(each->window, text, len) == 0)
                return true;
    return false;
}

void mask_set_fini(struct mask_set *set)
{
    for (int i = 0; i < MASK_BUCKETS; i++)
        for (struct mask_entry *each = set->buckets[i], *next; each; each = next) {
            next = each->next;
            mem_wipe(each, sizeof *each);
        }
    for (struct mask_pattern *each = set->patterns, *next; each; each = next) {
        next = each->next;
        mem_wipe(each, sizeof *each + each->len);
    }
    explicit_bzero(set, sizeof *set);
}
