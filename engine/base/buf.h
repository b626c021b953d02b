/* A growing byte string, born with a ceiling. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* always NUL-terminated once something was added; else NULL */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds it */
};

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);
/* Empties without giving memory back. */
void buf_clear(struct buf *buf);
/* false, and nothing added, when the ceiling would be passed. */
bool buf_add(struct buf *buf, const void *data, size_t len);
bool buf_text(struct buf *buf, const char *text);
bool buf_char(struct buf *buf, char c);
bool buf_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for len more bytes after data + len, or NULL at the ceiling; buf_grew tells how many
   came. */
char *buf_room(struct buf *buf, size_t len);
void buf_grew(struct buf *buf, size_t len);
/* Drops the first len bytes. */
void buf_drop(struct buf *buf, size_t len);
/* The bytes as a heap block that the caller now owns; buf is empty after it. Never NULL. */
char *buf_take(struct buf *buf);

#endif
