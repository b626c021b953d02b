#include "base/protobuf.h"

static void skip(struct protobuf_text *rest, size_t len)
{
    rest->at += len;
    rest->len -= len;
}

static bool read_varint(struct protobuf_text *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 10 && i < rest->len; i++) {
        const unsigned char byte = (unsigned char)rest->at[i];
        if (i == 9 && byte > 1)
            return false; /* beyond 64 bits */
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            skip(rest, i + 1);
            return true;
        }
    }
    return false;
}

const char *protobuf_read(struct protobuf_text *rest, struct protobuf_field *field)
{
    uint64_t tag;
    if (!read_varint(rest, &tag))
        return "a cut or overlong number";
    if (tag >> 3 == 0 || tag >> 3 >= 1 << 29)
        return "a field number out of range";
    *field = (struct protobuf_field){.number = (unsigned)(tag >> 3),
                                     .wire = (enum protobuf_wire)(tag & 7)};
    size_t len = field->wire == PROTOBUF_64 ? 8 : field->wire == PROTOBUF_32 ? 4 : 0;
    switch (field->wire) {
    case PROTOBUF_VARINT:
        return read_varint(rest, &field->value) ? NULL : "a cut or overlong number";
    case PROTOBUF_BYTES:
        if (!read_varint(rest, &field->value))
            return "a cut or overlong number";
        if (field->value > rest->len)
            return "a length beyond its end";
        len = (size_t)field->value;
        field->text = (struct protobuf_text){rest->at, len};
        break;
    case PROTOBUF_64:
    case PROTOBUF_32:
        if (len > rest->len)
            return "a length beyond its end";
        break;
    default: /* groups, which nobody writes any more, and what does not exist */
        return "an unknown kind of field";
    }
    skip(rest, len);
    return NULL;
}

static bool add_varint(struct buf *out, uint64_t value)
{
    char bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (char)(value | 0x80);
    bytes[len++] = (char)value;
    return buf_add(out, bytes, len);
}

bool protobuf_add_integer(struct buf *out, unsigned number, uint64_t value)
{
    return value == 0 ||
           (add_varint(out, (uint64_t)number << 3 | PROTOBUF_VARINT) && add_varint(out, value));
}

bool protobuf_add_bytes(struct buf *out, unsigned number, const void *data, size_t len)
{
    return len == 0 || (add_varint(out, (uint64_t)number << 3 | PROTOBUF_BYTES) &&
                        add_varint(out, len) && buf_add(out, data, len));
}
