/* A byte for the size of the pieces, secrets each ended by a NUL, an empty one, and a text to
   mask. */
#include "base/mask.h"

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"

enum { SECRETS_MAX = 6, OUT_MAX = 1 << 20 };

static void check_stream(const struct mask *mask, struct fuzz_input text, const struct buf *whole,
                         size_t piece)
{
    struct buf out;
    struct mask_stream *stream = mask_stream_new(mask);
    buf_init(&out, OUT_MAX);
    for (int round = 0; round < 2; round++) { /* a stream may be used again */
        buf_clear(&out);
        for (size_t at = 0, len; at < text.left; at += len) {
            len = text.left - at < piece ? text.left - at : piece;
            char *copy = mem_copy(text.at + at, len);
            fuzz_check(mask_feed(stream, copy, len, &out), "there is room");
            mem_free(copy);
        }
        fuzz_check(mask_flush(stream, &out) && out.len == whole->len &&
                       (!out.len || memcmp(out.data, whole->data, out.len) == 0),
                   "pieces are masked as the whole is");
    }
    mask_stream_free(stream);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    const size_t piece = fuzz_byte(&input) % 64 + 1;
    char *secrets[SECRETS_MAX] = {NULL};
    bool masked[SECRETS_MAX] = {false};
    struct mask *mask = mask_new();
    for (int i = 0; i < SECRETS_MAX; i++) {
        secrets[i] = fuzz_text(&input, '\0');
        if (!*secrets[i])
            break;
        masked[i] = mask_add(mask, secrets[i], strlen(secrets[i]));
    }
    struct buf whole;
    buf_init(&whole, OUT_MAX);
    fuzz_check(mask_apply(mask, input.left ? input.at : "", input.left, &whole), "there is room");
    for (int i = 0; i < SECRETS_MAX; i++)
        fuzz_check(!masked[i] || !whole.data || strchr(secrets[i], '*') ||
                       !memmem(whole.data, whole.len, secrets[i], strlen(secrets[i])),
                   "no secret is left");
    check_stream(mask, input, &whole, piece);
    check_stream(mask, input, &whole, 1);
    for (int i = 0; i < SECRETS_MAX; i++)
        mem_free(secrets[i]);
    buf_fini(&whole);
    mask_free(mask);
    return 0;
}
