/* Memory that is there or ends the program: no caller checks for NULL. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size); /* zeroed */
void *mem_grow(void *old, size_t size);
void *mem_copy(const void *from, size_t size);
/* NULL stays NULL. */
char *mem_text(const char *text);
/* A copy of size bytes and a closing NUL. */
char *mem_textn(const char *from, size_t size);
void mem_free(void *block);
/* Overwrites before freeing, so that a credential does not stay in the heap. */
void mem_wipe(void *block, size_t size);

#endif
