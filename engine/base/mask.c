#include "base/mask.h"

#include <ctype.h>
#include <stdint.h>

#include "base/mask_set.h"
#include "base/mem.h"
#include "base/term.h"

enum {
    RUN_MIN = 60,     /* base64 characters before a break that is looked through */
    INDENT_MAX = 256, /* blanks behind such a break */
    SEQUENCES_MAX = 256, /* bytes of control sequences that are looked through in one place */
    BLOCK = 32 << 10, /* searched for breaks ahead of the filter, while it is in the cache */
    STRIDE = 8,
    ESCAPE = 0x1b,
    HELD_MAX = 1 << 30,
};

struct mask {
    struct mask_set *set; /* NULL until there is a secret: most runs have none, and it is large */
};

struct mask_stream {
    const struct mask *mask;
    struct buf held;
    size_t covered; /* so many of the held bytes belong to a *** that is out */
    size_t run;     /* base64 characters in a row before the held bytes, up to RUN_MIN */
};

struct mask *mask_new(void)
{
    return mem_alloc(sizeof(struct mask));
}

bool mask_is_empty(const struct mask *mask)
{
    return !mask->set;
}

void mask_free(struct mask *mask)
{
    if (!mask)
        return;
    if (mask->set)
        mask_set_fini(mask->set);
    mem_free(mask->set);
    mem_free(mask);
}

bool mask_add(struct mask *mask, const char *value, size_t len)
{
    if (!mask->set)
        mask->set = mem_alloc(sizeof *mask->set);
    return mask_set_add(mask->set, value, len);
}

/* --- looking at one place --------------------------------------------------------------------- */

struct view {
    const struct mask_set *set; /* NULL: nothing is looked for */
    const char *text;
    size_t len;
    size_t run; /* base64 characters in a row before the text, up to RUN_MIN */
    bool last;  /* nothing follows the text */
};

/* What stands at a place: the end of the longest pattern there, and whether the text ends within
   one. */
struct sight {
    size_t end;
    bool part;
};

/* Both alphabets, without the padding: a bit for each character. */
static bool in_base64(char c)
{
    static const uint64_t letters[4] = {0x03FFA80000000000, 0x07FFFFFE87FFFFFE, 0, 0};
    unsigned char byte = (unsigned char)c;
    return letters[byte >> 6] >> (byte & 63) & 1;
}

static size_t run_before(const struct view *view, size_t at)
{
    size_t run = 0;
    while (run < at && run < RUN_MIN && in_base64(view->text[at - run - 1]))
        run++;
    if (run == at)
        run += view->run;
    return run < RUN_MIN ? run : RUN_MIN;
}

/* The length of the line break at the place if it is one to look through, else 0. At the end of the
   text it may be the beginning of one. */
static size_t break_at(const struct view *view, size_t at)
{
    const char *text = view->text;
    if ((text[at] != '\n' && text[at] != '\r') || run_before(view, at) < RUN_MIN)
        return 0;
    size_t end = at;
    if (text[end] == '\r' && ++end == view->len)
        return end - at;
    if (text[end++] != '\n')
        return 0;
    size_t limit = view->len - end < INDENT_MAX ? view->len : end + INDENT_MAX;
    while (end < limit && (text[end] == ' ' || text[end] == '\t'))
        end++;
    return end - at;
}

/* The length of the control sequences at the place, of which a screen shows nothing. At the end of
   the text the last may be the beginning of one. */
static size_t sequences_at(const struct view *view, size_t at)
{
    size_t len = 0, one;
    bool part = false;
    do {
        one = term_sequence(view->text + at + len, view->len - at - len, &part);
        len = part ? view->len - at : len + one;
    } while (one > 0 && len < SEQUENCES_MAX);
    return len;
}

/* The length of what is looked through at the place, else 0. */
static size_t gap_at(const struct view *view, size_t at)
{
    size_t len = break_at(view, at);
    return len + sequences_at(view, at + len);
}

/* How many bytes of the text at the place spell what the pattern has from done on, *of bytes of it;
   0 when none do. When the text ends within a spelling, *of is 0. */
static size_t step(const struct view *view, size_t at, const struct mask_pattern *pattern,
    size_t done,
                   size_t *of)
{
    const char *value = pattern->text + done, *text = view->text + at;
    size_t left = pattern->len - done, rest = view->len - at;
    if (pattern->form == MASK_PLAIN || isalnum((unsigned char)*value))
        return *of = *value == *text;
    struct mask_spelling spellings[MASK_SPELLINGS_MAX];
    size_t count = mask_form_spell(pattern->form, value, left, spellings);
    for (size_t i = 0; i < count; i++) {
        size_t len = spellings[i].len < rest ? spellings[i].len : rest;
        if (memcmp(spellings[i].text, text, len) == 0) {
            *of = len == spellings[i].len ? spellings[i].of : 0;
            return len;
        }
    }
    return 0;
}

static void fit(const struct view *view, size_t at, const struct mask_pattern *pattern,
    struct sight *sight)
{
    bool skipped = false; /* or else an endless row of sequences would be held back */
    for (size_t done = 0; done < pattern->len;) {
        size_t of = 0, len = 0;
        if (at < view->len)
            len = step(view, at, pattern, done, &of);
        if (at == view->len || (len > 0 && of == 0)) {
            sight->part = true;
            return;
        }
        skipped = len == 0 && done > 0 && !skipped;
        if (skipped)
            len = gap_at(view, at);
        if (len == 0)
            return;
        done += of;
        at += len;
    }
    if (at > sight->end)
        sight->end = at;
}

/* The first bytes at the place as a pattern would have them, without gaps. */
static size_t window_at(const struct view *view, size_t at, char *window)
{
    size_t len = 0;
    while (len < MASK_WINDOW && at < view->len) {
        at += len > 0 ? gap_at(view, at) : 0;
        if (at < view->len)
            window[len++] = view->text[at++];
    }
    return len;
}

static void look_for(const struct view *view, size_t at, const char *window, size_t len,
                     struct sight *sight)
{
    if (len < MASK_WINDOW) {
        sight->part |= mask_set_begins(view->set, window, len);
        return;
    }
    const struct mask_entry *each =
        view->set->buckets[mask_window_hash(window) >> MASK_BUCKET_SHIFT];
    for (; each; each = each->next)
        if (memcmp(each->window, window, MASK_WINDOW) == 0)
            fit(view, at, each->pattern, sight);
}

/* A quick no for most of the places before a gap. */
static bool may_begin(const struct view *view, size_t at)
{
    const char *text = view->text + at;
    bool one = view->len - at == 1 || text[1] == ESCAPE || text[1] == '\n' || text[1] == '\r';
    return mask_set_begins(view->set, text, one ? 1 : 2);
}

static struct sight look(const struct view *view, size_t at)
{
    char window[MASK_WINDOW];
    const char *text = view->text + at;
    size_t rest = view->len - at < MASK_WINDOW ? view->len - at : MASK_WINDOW;
    struct sight sight = {0};
    if (!may_begin(view, at))
        return sight;
    look_for(view, at, text, rest, &sight); /* a secret may hold what else is a gap */
    size_t len = window_at(view, at, window);
    if (len != rest || memcmp(window, text, len) != 0)
        look_for(view, at, window, len, &sight);
    return sight;
}

/* --- going through a text --------------------------------------------------------------------- */

/* Places that the filter cannot judge, since a gap or the end of the text stands in their
   window. */
struct zone {
    size_t from, to;
    size_t next;   /* gaps before it are known */
    size_t escape; /* none from next to there */
    size_t line; /* where the line that is at next begins */
};

static size_t find(const struct view *view, char c, size_t from, size_t limit)
{
    const char *found = from < limit ? memchr(view->text + from, c, limit - from) : NULL;
    return found ? (size_t)(found - view->text) : limit;
}

/* The next end of a line or escape from zone->next on, else limit. */
static size_t next_mark(const struct view *view, struct zone *zone, size_t limit)
{
    if (zone->escape < zone->next)
        zone->escape = zone->next;
    if (zone->escape < limit && view->text[zone->escape] != ESCAPE)
        zone->escape = find(view, ESCAPE, zone->escape, limit);
    return find(view, '\n', zone->next, zone->escape < limit ? zone->escape : limit);
}

static void next_zone(const struct view *view, struct zone *zone)
{
    size_t start = zone->to, at;
    size_t limit = view->len - zone->next < BLOCK ? view->len : zone->next + BLOCK;
    while ((at = next_mark(view, zone, limit)) < limit) {
        size_t line = zone->line;
        bool escape = view->text[at] == ESCAPE;
        zone->next = at + 1;
        if (!escape)
            zone->line = at + 1;
        if (!escape && at > 0 && view->text[at - 1] == '\r')
            at--;
        /* No run is longer than its line; the first line may go on from the text before. */
        bool is_short = line > 0 && at < line + RUN_MIN;
        if (at <= start || (!escape && (is_short || run_before(view, at) < RUN_MIN)))
            continue;
        zone->from = at - start < MASK_WINDOW ? start : at - (MASK_WINDOW - 1);
        zone->to = at;
        return;
    }
    zone->next = limit;
    zone->to = limit == view->len ? limit : limit - MASK_WINDOW;
    zone->from = limit < start + MASK_WINDOW ? start : limit - MASK_WINDOW;
}

/* The first place from at on, before end, whose window the filter lets through. */
static size_t sift(const bool *filter, const char *text, size_t at, size_t end)
{
    /* one branch for several places: this loop is the masker's speed */
    while (end - at >= STRIDE) {
        bool any = false;
        for (int i = 0; i < STRIDE; i++)
            any |= filter[mask_window_hash(text + at + i)];
        if (any)
            break;
        at += STRIDE;
    }
    while (at < end && !filter[mask_window_hash(text + at)])
        at++;
    return at;
}

/* The next place from at on where a pattern may begin. */
static size_t next_place(const struct view *view, struct zone *zone, size_t at)
{
    if (!view->set)
        return view->len;
    for (; at < view->len; next_zone(view, zone)) {
        if (at < zone->from)
            at = sift(view->set->filter, view->text, at, zone->from);
        if (at < zone->to)
            return at;
    }
    return at;
}

/* Adds what is decided to out, *used bytes of the text; covered is as in struct mask_stream. */
static bool scan(const struct view *view, struct buf *out, size_t *covered, size_t *used)
{
    struct zone zone = {0};
    size_t hidden = *covered, end = view->len, from = hidden;
    for (size_t at = next_place(view, &zone, 0); at < end; at = next_place(view, &zone, at + 1)) {
        struct sight sight = look(view, at);
        if (sight.end > hidden) {
            if (at >= hidden &&
                !(buf_add(out, view->text + from, at - from) && buf_text(out, "***")))
                return false;
            hidden = from = sight.end;
        }
        if (sight.part && !view->last)
            end = at;
    }
    *covered = hidden > end ? hidden - end : 0;
    *used = end;
    return from >= end || buf_add(out, view->text + from, end - from);
}

bool mask_apply(const struct mask *mask, const char *text, size_t len, struct buf *out)
{
    struct view view = {.set = mask->set, .text = text, .len = len, .last = true};
    size_t covered = 0, used;
    buf_room(out, len); /* at once, since growing copies */
    return scan(&view, out, &covered, &used);
}

/* --- a text in pieces ------------------------------------------------------------------------- */

struct mask_stream *mask_stream_new(const struct mask *mask)
{
    struct mask_stream *stream = mem_alloc(sizeof *stream);
    stream->mask = mask;
    buf_init(&stream->held, HELD_MAX);
    return stream;
}

static void wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->cap);
    buf_fini(buf);
}

void mask_stream_free(struct mask_stream *stream)
{
    if (!stream)
        return;
    wipe(&stream->held);
    mem_free(stream);
}

bool mask_feed(struct mask_stream *stream, const char *data, size_t len, struct buf *out)
{
    struct buf *held = &stream->held;
    bool direct = held->len == 0;
    if (!direct && !buf_add(held, data, len))
        return false;
    struct view view = {.set = stream->mask->set, .text = direct ? data : held->data,
                        .len = direct ? len : held->len, .run = stream->run};
    size_t used;
    buf_room(out, view.len);
    if (!scan(&view, out, &stream->covered, &used))
        return false;
    stream->run = run_before(&view, used);
    if (direct)
        return buf_add(held, data + used, len - used);
    buf_drop(held, used);
    return true;
}

bool mask_flush(struct mask_stream *stream, struct buf *out)
{
    struct view view = {.set = stream->mask->set, .text = stream->held.data,
        .len = stream->held.len,
                        .run = stream->run, .last = true};
    size_t used;
    bool good = scan(&view, out, &stream->covered, &used);
    wipe(&stream->held);
    stream->covered = stream->run = 0;
    return good;
}
