/* A byte of flags, then bytes that are encoded, and decoded. */
#include "base/base64.h"

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"

static void there_and_back(const void *data, size_t len, unsigned flags)
{
    struct err err;
    const size_t text_len = base64_encoded_len(len);
    char *text = mem_alloc(text_len + 1), *back = mem_alloc(base64_decoded_max(text_len));
    size_t back_len;
    base64_encode(data, len, flags, text);
    fuzz_check(base64_decode(text, text_len, flags, back, &back_len, &err) && back_len == len &&
                   memcmp(back, data, len) == 0,
               "what was encoded is decoded");
    mem_free(back);
    mem_free(text);
}

static bool same_text(const char *text, size_t len, const char *canonical, unsigned flags)
{
    for (size_t i = 0; i < len; i++) {
        if (flags & BASE64_SPACE && strchr(" \t\r\n", text[i]) && text[i])
            continue;
        if (text[i] != *canonical++)
            return false;
    }
    return *canonical == '\0' || (flags & BASE64_URL && *canonical == '=');
}

static void decode(const char *text, size_t len, unsigned flags)
{
    struct err err;
    char *data = mem_alloc(base64_decoded_max(len));
    size_t data_len;
    if (base64_decode(text, len, flags, data, &data_len, &err)) {
        char *canonical = mem_alloc(base64_encoded_len(data_len) + 1);
        base64_encode(data, data_len, flags, canonical);
        fuzz_check(data_len <= base64_decoded_max(len), "no more comes out than was said");
        fuzz_check(same_text(text, len, canonical, flags), "one value has one spelling");
        mem_free(canonical);
    } else {
        fuzz_check(err.kind == ERR_USAGE, "a wrong text is the caller's fault");
    }
    mem_free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    const unsigned flags = fuzz_byte(&input) & (BASE64_URL | BASE64_SPACE);
    there_and_back(input.at, input.left, flags);
    decode(input.at, input.left, flags);
    return 0;
}
