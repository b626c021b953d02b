#include "base/mask_form.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/rune.h"
#include "base/utf8.h"

enum { BASE64_SHORTEST = 8 };

struct spellings {
    struct mask_spelling *out;
    size_t count;
};

__attribute__((format(printf, 3, 4))) static void put(struct spellings *list, size_t of,
                                                      const char *format, ...)
{
    struct mask_spelling *each = &list->out[list->count++];
    va_list args;
    va_start(args, format);
    each->len = (unsigned char)vsnprintf(each->text, sizeof each->text, format, args);
    va_end(args);
    each->of = of;
}

/* printf's %c would end the text at a NUL. */
static void put_byte(struct spellings *list, char byte)
{
    list->out[list->count++] = (struct mask_spelling){.text = {byte}, .len = 1, .of = 1};
}

/* Both cases of the hexadecimal digits, where they differ. */
static void put_hex(struct spellings *list, size_t of, const char *lead, int digits,
    unsigned number)
{
    put(list, of, "%s%0*x", lead, digits, number);
    put(list, of, "%s%0*X", lead, digits, number);
    const struct mask_spelling *last = &list->out[list->count - 1];
    if (memcmp(last[0].text, last[-1].text, last->len) == 0)
        list->count--;
}

static void put_url(struct spellings *list, unsigned char c)
{
    if (c != '%')
        put_byte(list, (char)c);
    if (c == ' ')
        put_byte(list, '+');
    put_hex(list, 1, "%", 2, c);
}

static void put_pair(struct spellings *list, size_t of, uint32_t rune)
{
    unsigned high = 0xD800 + ((rune - 0x10000) >> 10), low = 0xDC00 + ((rune - 0x10000) & 0x3FF);
    put(list, of, "\\u%04x\\u%04x", high, low);
    put(list, of, "\\u%04X\\u%04X", high, low);
}

static void put_backslash(struct spellings *list, const char *value, size_t len)
{
    static const char controls[] = "\b\f\n\r\t", letters[] = "bfnrt";
    unsigned char c = (unsigned char)*value;
    if (c != '\\')
        put_byte(list, (char)c);
    if (c >= 0x20 && c < 0x7F)
        put(list, 1, "\\%c", c);
    else
        put_hex(list, 1, "\\x", 2, c);
    const char *control = c ? strchr(controls, c) : NULL;
    if (control)
        put(list, 1, "\\%c", letters[control - controls]);
    if (c < 0x80) {
        put_hex(list, 1, "\\u", 4, c);
        return;
    }
    size_t bad, of = utf8_char(value, len, &bad);
    char text[5] = {0};
    memcpy(text, value, of);
    uint32_t rune = of ? rune_next(text, &bad) : 0;
    if (rune >= 0x10000)
        put_pair(list, of, rune);
    else if (rune)
        put_hex(list, of, "\\u", 4, rune);
}

size_t mask_form_spell(enum mask_form form, const char *value, size_t len,
                       struct mask_spelling out[MASK_SPELLINGS_MAX])
{
    struct spellings list = {out, 0};
    unsigned char c = (unsigned char)*value;
    if (form == MASK_PLAIN || isalnum(c)) {
        put_byte(&list, (char)c);
    } else if (form == MASK_URL) {
        put_url(&list, c);
    } else if (form == MASK_BACKSLASH) {
        put_backslash(&list, value, len);
    } else if (c == '\'') {
        put(&list, 1, "'\\''");
        put(&list, 1, "'\"'\"'");
    } else {
        put_byte(&list, (char)c);
    }
    return list.count;
}

bool mask_form_differs(enum mask_form form, const char *value, size_t len)
{
    if (form == MASK_QUOTED)
        return memchr(value, '\'', len) != NULL;
    for (size_t i = 0; form != MASK_PLAIN && i < len; i++)
        if (!isalnum((unsigned char)value[i]))
            return true;
    return false;
}

static void call_from(const char *text, size_t first, size_t end, mask_form_call *call, void *arg)
{
    if (end >= first + BASE64_SHORTEST)
        call(arg, text + first, end - first);
}

void mask_form_base64(const char *value, size_t len, mask_form_call *call, void *arg)
{
    for (size_t before = 0; before < 3; before++) { /* bytes of the group that are another's */
        size_t size = before + len, first = (before * 8 + 5) / 6;
        size_t sure = size * 8 / 6, shown = (size * 8 + 5) / 6, padded = base64_encoded_len(size);
        char *bytes = mem_alloc(size), *text = mem_alloc(padded);
        memcpy(bytes + before, value, len);
        for (unsigned url = 0; url < 2; url++) {
            base64_encode(bytes, size, url ? BASE64_URL : 0, text);
            call_from(text, first, sure, call, arg);
            call_from(text, first, shown, call, arg);
            call_from(text, first, padded, call, arg);
        }
        mem_wipe(bytes, size);
        mem_wipe(text, padded);
    }
}

void mask_form_hex(const char *value, size_t len, mask_form_call *call, void *arg)
{
    static const char *const digits[] = {"0123456789abcdef", "0123456789ABCDEF"};
    char *text = mem_alloc(2 * len);
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < len; i++) {
            text[2 * i] = digits[k][(unsigned char)value[i] >> 4];
            text[2 * i + 1] = digits[k][value[i] & 15];
        }
        call(arg, text, 2 * len);
    }
    mem_wipe(text, 2 * len);
}
