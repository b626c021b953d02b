#include "base/mask.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

enum { SHORTEST = 4, VARIANT_MAX = 1 << 20 };

struct pattern {
    struct pattern *next; /* same first byte, not longer */
    size_t len;
    char text[];
};

struct mask {
    struct pattern *by_first[256];
};

struct mask *mask_new(void)
{
    return mem_alloc(sizeof(struct mask));
}

void mask_free(struct mask *mask)
{
    if (!mask)
        return;
    for (int i = 0; i < 256; i++)
        for (struct pattern *each = mask->by_first[i], *next; each; each = next) {
            next = each->next;
            mem_wipe(each, sizeof *each + each->len);
        }
    mem_free(mask);
}

static void put(struct mask *mask, const char *text, size_t len)
{
    struct pattern **at = &mask->by_first[(unsigned char)text[0]];
    for (; *at && (*at)->len >= len; at = &(*at)->next)
        if ((*at)->len == len && memcmp((*at)->text, text, len) == 0)
            return;
    struct pattern *pattern = mem_alloc(sizeof *pattern + len);
    pattern->len = len;
    memcpy(pattern->text, text, len);
    pattern->next = *at;
    *at = pattern;
}

static void put_buf(struct mask *mask, struct buf *variant)
{
    if (variant->len >= SHORTEST)
        put(mask, variant->data, variant->len);
    if (variant->data)
        explicit_bzero(variant->data, variant->cap);
    buf_fini(variant);
}

static void put_url_form(struct mask *mask, const char *value, size_t len)
{
    struct buf form;
    buf_init(&form, VARIANT_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (isalnum(c) || (c && strchr("-._~", c)))
            buf_char(&form, (char)c);
        else
            buf_format(&form, "%%%02X", c);
    }
    put_buf(mask, &form);
}

static void put_json_form(struct mask *mask, const char *value, size_t len)
{
    static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
    struct buf form;
    buf_init(&form, VARIANT_MAX);
    for (size_t i = 0; i < len; i++) {
        const char *special = value[i] ? strchr(plain, value[i]) : NULL;
        if (special)
            buf_format(&form, "\\%c", escaped[special - plain]);
        else if ((unsigned char)value[i] < 0x20)
            buf_format(&form, "\\u%04x", value[i]);
        else
            buf_char(&form, value[i]);
    }
    put_buf(mask, &form);
}

/* Braces, dashes and PEM headers stand in many texts: masking them would hide nothing and harm all. */
static bool says_something(const char *line, size_t len)
{
    size_t letters = 0;
    for (size_t i = 0; i < len; i++)
        letters += isalnum((unsigned char)line[i]) != 0;
    return len >= SHORTEST && letters >= SHORTEST && strncmp(line, "-----", 5) != 0;
}

static void put_lines(struct mask *mask, const char *value, size_t len)
{
    for (const char *line = value, *end = value + len; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop)
            stop = end;
        size_t line_len = (size_t)(stop - line);
        while (line_len > 0 && isspace((unsigned char)line[line_len - 1]))
            line_len--;
        if (says_something(line, line_len))
            put(mask, line, line_len);
        line = stop + 1;
    }
}

bool mask_add(struct mask *mask, const char *value, size_t len)
{
    if (len < SHORTEST)
        return false;
    put(mask, value, len);
    put_lines(mask, value, len);
    put_url_form(mask, value, len);
    put_json_form(mask, value, len);
    return true;
}

static const struct pattern *match(const struct mask *mask, const char *text, size_t len)
{
    const struct pattern *each = mask->by_first[(unsigned char)text[0]];
    while (each && (each->len > len || memcmp(each->text, text, each->len) != 0))
        each = each->next;
    return each;
}

bool mask_apply(const struct mask *mask, const char *text, size_t len, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < len;) {
        const struct pattern *found = match(mask, text + i, len - i);
        if (!found) {
            i++;
            continue;
        }
        if (!buf_add(out, text + from, i - from) || !buf_text(out, "***"))
            return false;
        from = i += found->len;
    }
    return buf_add(out, text + from, len - from);
}
