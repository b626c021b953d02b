#include "base/term.h"

#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/rune.h"
#include "base/utf8.h"
#include "base/width.h"

enum { ESC = 0x1b, TAB_STOP = 8, PARAMETERS_MAX = 64, SEQUENCE_MAX = 128 };

bool term_size(int fd, unsigned *columns, unsigned *rows)
{
    struct winsize size;
    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return false;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return true;
}

/* --- control sequences ------------------------------------------------------------------------ */

/* ECMA-48 §5.4: CSI, parameter bytes, intermediate bytes, a final byte. */
size_t term_sequence(const char *text, size_t len, bool *part)
{
    size_t at = 2, limit = len < SEQUENCE_MAX ? len : SEQUENCE_MAX;
    *part = false;
    if (len == 0 || text[0] != ESC || (len > 1 && text[1] != '['))
        return 0;
    while (at < limit && text[at] >= 0x30 && text[at] <= 0x3f)
        at++;
    while (at < limit && text[at] >= 0x20 && text[at] <= 0x2f)
        at++;
    *part = at >= len;
    return at < limit && text[at] >= 0x40 && text[at] <= 0x7e ? at + 1 : 0;
}

static size_t csi_len(const char *text, size_t len)
{
    bool part;
    return term_sequence(text, len, &part);
}

/* Colour, weight and their end; not blinking (5, 6) nor concealing (8). 38, 48 and 58 have a colour
   behind them: 5;n or 2;r;g;b. */
static bool sgr_is_harmless(const char *csi, size_t len)
{
    unsigned value = 0, skip = 0;
    bool extended = false;
    if (csi[len - 1] != 'm' || len > PARAMETERS_MAX)
        return false;
    for (size_t i = 2; i < len; i++) {
        if (csi[i] >= '0' && csi[i] <= '9') {
            value = value * 10 + (unsigned)(csi[i] - '0');
            continue;
        }
        if (csi[i] != ';' && csi[i] != 'm')
            return false;
        if (extended)
            skip = value == 5 ? 1 : 3, extended = false;
        else if (skip > 0)
            skip--;
        else if (value == 38 || value == 48 || value == 58)
            extended = true;
        else if (value == 5 || value == 6 || value == 8)
            return false;
        value = 0;
    }
    return true;
}

/* --- printable -------------------------------------------------------------------------------- */

/* Controls; marks, embeddings and isolates that turn text around (UAX #9), by which what is read is
   not what is there; and what is unseen: two names that look the same are not, and a text may hold
   another. From Unicode's Default_Ignorable_Code_Point and Cf, but for joiners and variation
   selectors, which scripts of India, Persian, emoji and Japanese names are written with. Of the
   tags, flags of regions are made: those three are worth less. */
static const struct range {
    uint32_t first, last;
} deceptive[] = {
    {0, 8},           {0xa, 0x1f},         {0x7f, 0x9f},       {0xad, 0xad},
    {0x61c, 0x61c},   {0x115f, 0x1160},    {0x17b4, 0x17b5},   {0x180e, 0x180e},
    {0x200b, 0x200b}, {0x200e, 0x200f},    {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x3164, 0x3164}, {0xfeff, 0xfeff},    {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff}, {0xe01f0, 0xe0fff},
};

bool term_is_deceptive(uint32_t rune)
{
    size_t i = 0;
    while (i < sizeof deceptive / sizeof *deceptive && deceptive[i].last < rune)
        i++;
    return i < sizeof deceptive / sizeof *deceptive && deceptive[i].first <= rune;
}

/* The length of the piece at text that is added, shown or taken out as one. */
static size_t print_piece(const char *text, size_t len, bool *coloured, struct buf *out)
{
    size_t sequence = csi_len(text, len);
    if (sequence > 0) {
        if (*coloured && sgr_is_harmless(text, sequence))
            return buf_add(out, text, sequence) ? sequence : 0;
        return sequence;
    }
    size_t bad, size = utf8_char(text, len, &bad);
    uint32_t rune = size > 0 ? rune_next(text, &size) : (unsigned char)*text;
    bool good;
    if (size == 0)
        size = 1, good = buf_format(out, "\\x%02x", rune);
    else if (!term_is_deceptive(rune))
        good = buf_add(out, text, size);
    else
        good = buf_format(out, rune < 0xa0 ? "\\x%02x" : "\\u{%x}", rune);
    return good ? size : 0;
}

/* Most text is plain: how much of it can be added at once. */
static size_t plain_len(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && ((text[at] >= 0x20 && text[at] < 0x7f) || text[at] == '\t'))
        at++;
    return at;
}

bool term_is_plain(const char *text, size_t len)
{
    return plain_len(text, len) == len;
}

bool term_printable(const char *text, size_t len, bool colours, struct buf *out)
{
    size_t before = out->len, sequences = 0;
    for (size_t i = 0; i < len;) {
        size_t plain = plain_len(text + i, len - i);
        if (!buf_add(out, text + i, plain))
            return false;
        i += plain;
        if (i == len)
            break;
        size_t start = out->len, step = print_piece(text + i, len - i, &colours, out);
        if (step == 0)
            return false;
        sequences += out->len > start && out->data[start] == ESC;
        i += step;
    }
    return sequences == 0 || out->len == before || buf_text(out, "\033[0m");
}

/* --- fit -------------------------------------------------------------------------------------- */

/* The columns of the piece at text, and its length. */
static unsigned measure(const char *text, size_t len, unsigned column, size_t *size)
{
    *size = csi_len(text, len);
    if (*size > 0)
        return 0;
    *size = utf8_char(text, len, NULL);
    if (*text == '\t')
        return TAB_STOP - column % TAB_STOP;
    if (*size == 0)
        return *size = 1, 1;
    return (unsigned)width_of(rune_next(text, size));
}

/* Where the text must end to leave a column for …, or len when all fits. */
static size_t cut_at(const char *text, size_t len, unsigned columns)
{
    size_t size, last = 0;
    unsigned column = 0;
    for (size_t i = 0; i < len; i += size) {
        unsigned width = measure(text + i, len - i, column, &size);
        if (column + width > columns)
            return last;
        column += width;
        if (column < columns)
            last = i + size;
    }
    return len;
}

/* Adds the pieces of text; of what is beyond end, only sequences: a reset there must stay. */
static bool add_pieces(const char *text, size_t end, size_t len, struct buf *out, unsigned *column)
{
    size_t size;
    bool good = true;
    for (size_t i = 0; good && i < len; i += size) {
        if (i == end)
            good = buf_text(out, "…"), ++*column;
        unsigned width = measure(text + i, len - i, *column, &size);
        if (i >= end && (text[i] != ESC || size < 2))
            continue;
        *column += width;
        if (text[i] != '\t')
            good = good && buf_add(out, text + i, size);
        else
            good = good && buf_add(out, "        ", width);
    }
    return good;
}

bool term_fit(const char *text, size_t len, unsigned columns, struct buf *out, unsigned *used)
{
    unsigned column = 0;
    bool good = columns == 0
                || add_pieces(text, cut_at(text, len, columns), len, out, &column);
    if (used)
        *used = column;
    return good;
}
