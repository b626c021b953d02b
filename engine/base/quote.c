#include "base/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rune.h"
#include "base/term.h"
#include "base/utf8.h"

/* --- texts ------------------------------------------------------------------------------------ */

static bool stands_for_itself(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static bool escape(struct buf *out, uint32_t rune)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *each = letters; *each; each += 2)
        if (rune == (unsigned char)each[0])
            return buf_char(out, '\\') && buf_char(out, each[1]);
    if (rune < 0x10000)
        return buf_format(out, "\\u%04X", rune);
    rune -= 0x10000;
    return buf_format(out, "\\u%04X\\u%04X", 0xD800 + (rune >> 10), 0xDC00 + (rune & 0x3FF));
}

/* What does not stand for itself; how many bytes it is. */
static size_t quote_one(struct buf *out, const char *text, size_t len, bool *good)
{
    const unsigned char c = (unsigned char)text[0];
    size_t bad, size = c < 0x80 ? 1 : utf8_char(text, len, &bad);
    const uint32_t rune = size > 1 ? rune_next(text, &size) : c;
    if (size == 0)
        *good = buf_text(out, "\xef\xbf\xbd");
    else if (size == 1 || term_is_deceptive(rune))
        *good = escape(out, rune);
    else
        *good = buf_add(out, text, size);
    return size > 0 ? size : bad;
}

/* All of it stands for itself. */
static bool quote_plain(struct buf *out, const char *text, size_t len)
{
    char *room = buf_room(out, len + 2);
    if (!room)
        return false;
    room[0] = room[len + 1] = '"';
    memcpy(room + 1, text, len);
    buf_grew(out, len + 2);
    return true;
}

bool quote_text(struct buf *out, const char *text, size_t len)
{
    size_t plain = 0;
    while (plain < len && stands_for_itself((unsigned char)text[plain]))
        plain++;
    if (plain == len)
        return quote_plain(out, text, len);
    bool good = buf_char(out, '"');
    for (size_t at = 0, from = 0; good && at < len; from = at) {
        while (at < len && stands_for_itself((unsigned char)text[at]))
            at++;
        good = buf_add(out, text + from, at - from);
        if (good && at < len)
            at += quote_one(out, text + at, len - at, &good);
    }
    return good && buf_char(out, '"');
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Written backwards from end; where they begin. */
static char *digits(char *end, uint64_t number)
{
    do
        *--end = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return end;
}

bool quote_integer(struct buf *out, int64_t number)
{
    char room[24], *end = room + sizeof room;
    char *text = digits(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    if (number < 0)
        *--text = '-';
    return buf_add(out, text, (size_t)(end - text));
}

/* As digits, for a number of at most six decimals, as most are: its digits come from an integer.
   NULL for any other. */
static char *few_decimals(char *end, double number)
{
    const double size = number < 0 ? -number : number, micro = size * 1e6;
    if (!(micro >= 100 && micro < 1e15))
        return NULL;
    const uint64_t whole = (uint64_t)micro;
    if ((double)whole != micro || micro / 1e6 != size)
        return NULL;
    uint64_t decimals = whole % 1000000;
    int count = 6;
    for (; count > 1 && decimals % 10 == 0; count--)
        decimals /= 10;
    for (; count > 0; count--, decimals /= 10)
        *--end = (char)('0' + decimals % 10);
    *--end = '.';
    end = digits(end, whole / 1000000);
    if (number < 0)
        *--end = '-';
    return end;
}

static void print_real(char *text, size_t size, double number)
{
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, size, "%.*g", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    char *exponent = strchr(text, 'e');
    if (exponent) { /* bare: 1e300, not 1e+300 */
        exponent += exponent[1] == '-' ? 2 : 1;
        const char *from = exponent + strspn(exponent, "+0");
        memmove(exponent, from, strlen(from) + 1);
    } else if (!strchr(text, '.')) {
        memcpy(text + strlen(text), ".0", sizeof ".0");
    }
}

bool quote_real(struct buf *out, double number)
{
    char room[40], *end = room + sizeof room, *text = few_decimals(end, number);
    if (text)
        return buf_add(out, text, (size_t)(end - text));
    print_real(room, sizeof room, number);
    return buf_text(out, room);
}
