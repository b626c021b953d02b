#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *present(void *block, size_t size)
{
    if (!block && size > 0) {
        fputs("orch: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return present(calloc(1, size), size);
}

void *mem_grow(void *old, size_t size)
{
    return present(realloc(old, size), size);
}

void *mem_copy(const void *from, size_t size)
{
    void *copy = present(malloc(size), size);
    if (size > 0)
        memcpy(copy, from, size);
    return copy;
}

char *mem_textn(const char *from, size_t size)
{
    char *copy = mem_alloc(size + 1);
    if (size > 0)
        memcpy(copy, from, size);
    return copy;
}

char *mem_text(const char *text)
{
    return text ? mem_textn(text, strlen(text)) : NULL;
}

void mem_free(void *block)
{
    free(block);
}

void mem_wipe(void *block, size_t size)
{
    if (!block)
        return;
    explicit_bzero(block, size);
    free(block);
}
