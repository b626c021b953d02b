/* Frames over standard input and output: a type, four bytes of length (big-endian), the payload.
   Numbers in a payload are decimal; its texts end with a NUL each.

   serve, from orch: p are you there?; a request of the types in files.c, which are capitals, with
                     w bytes to write; or a program: r request, i input, g go; then s signal, c
                     cancel, p nothing but a sign of life, and k when it has the end. The end of
                     the input: orch is gone.
          to orch:   h to p; for files o bytes, k done, e error; for a program b begun, o output, x
                     errors (split), h nothing but a sign of life; at last d done, or e error, and
                     then it waits to be closed.
   listen, relay:    relay.h. */
#ifndef SHIM_WIRE_H
#define SHIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { WIRE_HEAD = 5, WIRE_MAX = 64 << 20 };

struct wire_frame {
    char type;  /* 0: there is none, or not all of it has come */
    size_t len;
    char *data; /* until the next wire_take; a NUL follows it */
    size_t at;  /* where wire_text reads next */
};

/* Waits; false at the end of the input or when it is no frame. */
bool wire_take(struct wire_frame *frame);
/* The payload's next text; "" when there are no more. */
const char *wire_text(struct wire_frame *frame);
long wire_number(struct wire_frame *frame);

/* Writes the head of a frame to head, which has WIRE_HEAD bytes. */
void wire_head(char *head, char type, size_t len);
/* Waits until it is written. */
bool wire_send(char type, const void *data, size_t len);
/* Sends an e frame: kind, code, message. */
bool wire_error(const struct err *err);

#endif
