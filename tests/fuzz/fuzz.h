/* What the fuzz targets share. libFuzzer calls LLVMFuzzerTestOneInput with one input after
   another. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what does not hold and ends the program; libFuzzer then keeps the input. */
void fuzz_check(bool good, const char *what);

/* The input, taken piece by piece. */
struct fuzz_input {
    const char *at;
    size_t left;
};

/* A byte, 0 at the end. */
unsigned fuzz_byte(struct fuzz_input *input);
/* The text up to the next stop (taken too) or the end, in a block of just its size, so that a
   sanitizer sees each byte read behind it. Caller frees with mem_free. */
char *fuzz_text(struct fuzz_input *input, char stop);

#endif
