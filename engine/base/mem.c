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

/* Up to here malloc gives at once what this thread has freed, which calloc never does. */
enum { QUICK_MAX = 1024 };

void *mem_alloc(size_t size)
{
    if (size > QUICK_MAX)
        return present(calloc(1, size), size);
    void *block = present(malloc(size), size);
    return size > 0 ? memset(block, 0, size) : block;
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
    char *copy = present(malloc(size + 1), size + 1);
    if (size > 0)
        memcpy(copy, from, size);
    copy[size] = '\0';
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
