#include "base/base64.h"

#include <stdint.h>

static const char alphabets[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encoded_len(size_t len)
{
    return len / 3 * 4 + (len % 3 ? 4 : 0);
}

void base64_encode(const void *data, size_t len, unsigned flags, char *out)
{
    const unsigned char *byte = data;
    const char *alphabet = alphabets[flags & BASE64_URL ? 1 : 0];
    for (; len > 0; byte += 3, out += 4) {
        uint32_t bits = (uint32_t)byte[0] << 16;
        if (len > 1)
            bits |= (uint32_t)byte[1] << 8;
        if (len > 2)
            bits |= byte[2];
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = len > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = len > 2 ? alphabet[bits & 63] : '=';
        len = len > 3 ? len - 3 : 0;
    }
}

size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

/* The six bits a character stands for, or -1. */
static int bits_of(char c, unsigned flags)
{
    const char *last = flags & BASE64_URL ? "-_" : "+/";
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool odd_byte(size_t at, struct err *err)
{
    return err_set(err, ERR_USAGE, "not base64: an odd character at byte %zu", at + 1);
}

/* What stands behind the last whole group: its missing bytes and the padding. */
static bool finish(uint32_t bits, int held, int padding, unsigned flags, struct err *err)
{
    bool padded = held == 0 ? padding == 0 : held + padding == 4;
    if (held == 1 || !(padded || (padding == 0 && flags & BASE64_URL)))
        return err_set(err, ERR_USAGE, "not base64: it is cut off or its padding is wrong");
    if ((held == 2 && bits & 0xf) || (held == 3 && bits & 3))
        return err_set(err, ERR_USAGE, "not base64: stray bits in the last character");
    return true;
}

bool base64_decode(const char *text, size_t len, unsigned flags, void *out, size_t *out_len,
                   struct err *err)
{
    unsigned char *to = out;
    uint32_t bits = 0;
    int held = 0, padding = 0;
    for (size_t i = 0; i < len; i++) {
        if (flags & BASE64_SPACE && is_space(text[i]))
            continue;
        if (text[i] == '=' && held + padding < 4 && held > 1) {
            padding++;
            continue;
        }
        int six = bits_of(text[i], flags);
        if (six < 0 || padding)
            return odd_byte(i, err);
        bits = bits << 6 | (uint32_t)six;
        if (++held < 4)
            continue;
        *to++ = (unsigned char)(bits >> 16);
        *to++ = (unsigned char)(bits >> 8);
        *to++ = (unsigned char)bits;
        held = 0;
        bits = 0;
    }
    if (!finish(bits, held, padding, flags, err))
        return false;
    if (held >= 2)
        *to++ = (unsigned char)(held == 2 ? bits >> 4 : bits >> 10);
    if (held == 3)
        *to++ = (unsigned char)(bits >> 2);
    *out_len = (size_t)(to - (unsigned char *)out);
    return true;
}
