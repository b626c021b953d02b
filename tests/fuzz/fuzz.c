#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void fuzz_check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "fuzz: this does not hold: %s\n", what);
    abort();
}

unsigned fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return (unsigned char)*input->at++;
}

char *fuzz_text(struct fuzz_input *input, char stop)
{
    const char *end = input->left ? memchr(input->at, stop, input->left) : NULL;
    const size_t len = end ? (size_t)(end - input->at) : input->left;
    char *text = mem_textn(input->at, len);
    input->at += len + (end != NULL);
    input->left -= len + (end != NULL);
    return text;
}
