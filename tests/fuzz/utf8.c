/* Text of any bytes, as a character at a time, cleaned, and cut in an error. */
#include "base/utf8.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rune.h"
#include "fuzz.h"

static void check_chars(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t bad = 0, rune_len;
        const size_t step = utf8_char(text + i, len - i, &bad);
        const uint32_t rune = rune_next(text + i, &rune_len);
        char again[4];
        fuzz_check(step <= len - i && (step || (bad > 0 && bad <= len - i)), "it stays inside");
        fuzz_check(step ? rune_len == step : rune == RUNE_ERROR && rune_len == 1,
                   "two readers see the same characters");
        if (step)
            fuzz_check(rune_put(rune, again) == step && memcmp(again, text + i, step) == 0,
                       "a character is written as it was read");
        i += step ? step : bad;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_textn((const char *)data, size);
    const bool valid = utf8_valid(text, size);
    struct buf clean, again;
    buf_init(&clean, 3 * size);
    buf_init(&again, 3 * size);
    check_chars(text, size);
    fuzz_check(utf8_clean(text, size, &clean) &&
        utf8_valid(clean.data ? clean.data : "", clean.len),
               "what was cleaned is valid");
    fuzz_check(!valid || (clean.len == size && (!size || memcmp(clean.data, text, size) == 0)),
               "what is valid stays as it is");
    fuzz_check(utf8_clean(clean.data ? clean.data : "", clean.len, &again) &&
        again.len == clean.len,
               "cleaning twice is cleaning once");
    struct err err;
    err_set(&err, ERR_FAILED, "%s", text);
    fuzz_check(!valid || utf8_valid(err.message, strlen(err.message)), "a cut error stays valid");
    fuzz_check(strlen(text) >= sizeof err.message || strcmp(err.message, text) == 0,
               "a short error is not cut");
    buf_fini(&again);
    buf_fini(&clean);
    mem_free(text);
    return 0;
}
