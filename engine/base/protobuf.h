/* Protobuf's wire format, https://protobuf.dev/programming-guides/encoding/: reading a message
   field by field and writing one, without a schema. Pure, and safe on any bytes. */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_32 = 5,
};

/* Borrowed from the message; any bytes. */
struct protobuf_text {
    const char *at;
    size_t len;
};

struct protobuf_field {
    unsigned number;
    enum protobuf_wire wire;
    uint64_t value;            /* of PROTOBUF_VARINT */
    struct protobuf_text text; /* of PROTOBUF_BYTES */
};

/* Takes the next field off rest, which is not empty. NULL, or what is wrong with it. */
const char *protobuf_read(struct protobuf_text *rest, struct protobuf_field *field);

/* Add a field; false at the ceiling of out. A zero is left out, as proto3 has it. */
bool protobuf_add_integer(struct buf *out, unsigned number, uint64_t value);
bool protobuf_add_bytes(struct buf *out, unsigned number, const void *data, size_t len);

#endif
