#include "shim/wire.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

static bool read_all(char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(STDIN_FILENO, to, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

bool wire_take(struct wire_frame *frame)
{
    unsigned char head[WIRE_HEAD];
    mem_wipe(frame->data, frame->len); /* it may have held credentials */
    *frame = (struct wire_frame){0};
    if (!read_all((char *)head, sizeof head))
        return false;
    const size_t len =
        (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    if (len > WIRE_MAX)
        return false;
    frame->data = mem_alloc(len + 1);
    frame->len = len;
    if (!read_all(frame->data, len))
        return false;
    frame->type = (char)head[0];
    return true;
}

const char *wire_text(struct wire_frame *frame)
{
    if (frame->at >= frame->len)
        return "";
    const char *text = frame->data + frame->at;
    frame->at += strlen(text) + 1;
    return text;
}

long wire_number(struct wire_frame *frame)
{
    return strtol(wire_text(frame), NULL, 10);
}

void wire_head(char *head, char type, size_t len)
{
    const uint32_t size = (uint32_t)len;
    head[0] = type;
    for (int i = 0; i < 4; i++)
        head[i + 1] = (char)(size >> (24 - 8 * i));
}

bool wire_send(char type, const void *data, size_t len)
{
    char head[WIRE_HEAD];
    wire_head(head, type, len);
    return fd_write(STDOUT_FILENO, head, sizeof head) && fd_write(STDOUT_FILENO, data, len);
}

bool wire_error(const struct err *err)
{
    struct buf text;
    buf_init(&text, 4096);
    buf_format(&text, "%s%c%d%c%s", err_kind_name(err->kind), 0, err->code, 0, err->message);
    buf_char(&text, '\0');
    bool good = wire_send('e', text.data, text.len);
    buf_fini(&text);
    return good;
}
