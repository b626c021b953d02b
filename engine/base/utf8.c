#include "base/utf8.h"

size_t utf8_char(const char *text, size_t len, size_t *bad)
{
    const unsigned char *byte = (const unsigned char *)text;
    unsigned char first = byte[0], low = 0x80, high = 0xbf;
    size_t more = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    if (first < 0x80)
        return 1;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    size_t good = 1;
    while (good <= more && good < len && byte[good] >= low && byte[good] <= high) {
        good++;
        low = 0x80;
        high = 0xbf;
    }
    if (bad)
        *bad = good;
    return more && good > more ? good : 0;
}

bool utf8_valid(const char *text, size_t len)
{
    size_t step;
    for (size_t i = 0; i < len; i += step)
        if (!(step = utf8_char(text + i, len - i, NULL)))
            return false;
    return true;
}

bool utf8_clean(const char *text, size_t len, struct buf *out)
{
    size_t bad = 0, step;
    for (size_t i = 0; i < len; i += step ? step : bad) {
        step = utf8_char(text + i, len - i, &bad);
        if (!buf_add(out, step ? text + i : "\xef\xbf\xbd", step ? step : 3))
            return false;
    }
    return true;
}
