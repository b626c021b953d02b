#include "prim/tar_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NAMES_MAX_BYTES = 512 << 20 };

void tar_names_init(struct tar_names *names)
{
    *names = (struct tar_names){0};
    buf_init(&names->text, NAMES_MAX_BYTES);
}

void tar_names_fini(struct tar_names *names)
{
    buf_fini(&names->text);
    mem_free(names->list);
    *names = (struct tar_names){0};
}

bool tar_names_add(struct tar_names *names, const char *path)
{
    if (!buf_add(&names->text, path, strlen(path) + 1))
        return false;
    names->count++;
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void tar_names_sort(struct tar_names *names)
{
    names->list = mem_alloc((names->count + 1) * sizeof *names->list);
    const char *p = names->text.data;
    for (size_t i = 0; i < names->count; i++, p += strlen(p) + 1)
        names->list[i] = p;
    if (names->count == 0)
        return;
    qsort(names->list, names->count, sizeof *names->list, compare);
    size_t kept = 1;
    for (size_t i = 1; i < names->count; i++)
        if (strcmp(names->list[i], names->list[kept - 1]) != 0)
            names->list[kept++] = names->list[i];
    names->count = kept;
}
