#include "prim/trace.h"

#include <string.h>

/* How protobuf writes a value: https://protobuf.dev/programming-guides/encoding/ */
enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct field {
    unsigned number;
    enum wire wire;
    uint64_t value;         /* of WIRE_VARINT */
    struct trace_text text; /* of WIRE_BYTES */
};

/* What one message, or a message in it, is read with. */
struct reader {
    struct trace_text rest;
    const struct trace_sink *sink;
    unsigned *items; /* still allowed */
    struct err *err;
};

static bool bad(struct reader *in, const char *why)
{
    return err_set(in->err, ERR_REMOTE, "BuildKit's progress message is no protobuf: %s", why);
}

static bool spend(struct reader *in)
{
    if (*in->items == 0)
        return err_set(in->err, ERR_LIMIT, "BuildKit's progress message has more than %d items",
                       TRACE_ITEMS_MAX);
    --*in->items;
    return true;
}

static void skip(struct trace_text *rest, size_t len)
{
    rest->at += len;
    rest->len -= len;
}

static bool read_varint(struct trace_text *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 10 && i < rest->len; i++) {
        unsigned char byte = (unsigned char)rest->at[i];
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

static const char *read_field(struct trace_text *rest, struct field *field)
{
    uint64_t tag;
    if (!read_varint(rest, &tag))
        return "a cut or overlong number";
    if (tag >> 3 == 0 || tag >> 3 >= 1 << 29)
        return "a field number out of range";
    *field = (struct field){.number = (unsigned)(tag >> 3), .wire = (enum wire)(tag & 7)};
    size_t len = field->wire == WIRE_64 ? 8 : field->wire == WIRE_32 ? 4 : 0;
    switch (field->wire) {
    case WIRE_VARINT:
        return read_varint(rest, &field->value) ? NULL : "a cut or overlong number";
    case WIRE_BYTES:
        if (!read_varint(rest, &field->value))
            return "a cut or overlong number";
        if (field->value > rest->len)
            return "a length beyond its end";
        len = (size_t)field->value;
        field->text = (struct trace_text){rest->at, len};
        break;
    case WIRE_64:
    case WIRE_32:
        if (len > rest->len)
            return "a length beyond its end";
        break;
    default: /* groups, which nobody writes any more, and what does not exist */
        return "an unknown kind of field";
    }
    skip(rest, len);
    return NULL;
}

/* Reads the message field by field; each of kind sets what it knows in target and tells whether to go
   on. */
typedef bool each_field(struct reader *in, const struct field *field, void *target);

static bool read_message(struct reader *in, struct trace_text message, each_field *each,
                         void *target)
{
    struct field field;
    in->rest = message;
    while (in->rest.len > 0) {
        const char *why = read_field(&in->rest, &field);
        if (why)
            return bad(in, why);
        if (!each(in, &field, target))
            return false;
    }
    return true;
}

/* A message within the one being read. */
static bool read_inner(struct reader *in, const struct field *field, each_field *each, void *target)
{
    struct reader inner = *in;
    return read_message(&inner, field->text, each, target);
}

static bool each_of_time(struct reader *in, const struct field *field, void *target)
{
    struct trace_time *time = target;
    (void)in;
    if (field->wire == WIRE_VARINT && field->number == 1)
        time->seconds = (int64_t)field->value;
    else if (field->wire == WIRE_VARINT && field->number == 2)
        time->nanos = (int32_t)(uint32_t)field->value;
    return true;
}

/* What a field number of a message means: which member it fills, NULL = none. As protobuf wants it, a
   field of another kind than expected counts as unknown. */
struct slot {
    unsigned number;
    struct trace_text *text;
    struct trace_time *time;
    int64_t *integer;
    bool listed; /* one of a list; only counted */
};

static bool fill(struct reader *in, const struct field *field, const struct slot *slots,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &slots[i];
        if (slot->number != field->number)
            continue;
        if (slot->integer && field->wire == WIRE_VARINT)
            *slot->integer = (int64_t)field->value;
        if (field->wire != WIRE_BYTES)
            return true;
        if (slot->text)
            *slot->text = field->text;
        if (slot->time) {
            slot->time->set = true;
            return read_inner(in, field, each_of_time, slot->time);
        }
        return !slot->listed || spend(in);
    }
    return true;
}

#define FILL(in, field, ...)                                                                      \
    fill(in, field, (const struct slot[]){__VA_ARGS__},                                           \
         sizeof((const struct slot[]){__VA_ARGS__}) / sizeof(struct slot))

/* --- the four kinds of item --------------------------------------------------------------- */

static bool each_of_vertex(struct reader *in, const struct field *field, void *target)
{
    struct trace_vertex *vertex = target;
    int64_t cached = vertex->cached;
    bool good = FILL(in, field, {1, .text = &vertex->digest}, {2, .listed = true},
                     {3, .text = &vertex->name}, {4, .integer = &cached},
                     {5, .time = &vertex->started}, {6, .time = &vertex->completed},
                     {7, .text = &vertex->error});
    vertex->cached = cached != 0;
    return good;
}

static bool each_of_status(struct reader *in, const struct field *field, void *target)
{
    struct trace_status *status = target;
    return FILL(in, field, {1, .text = &status->id}, {2, .text = &status->vertex},
                {3, .text = &status->name}, {4, .integer = &status->current},
                {5, .integer = &status->total}, {6, .time = &status->timestamp},
                {7, .time = &status->started}, {8, .time = &status->completed});
}

static bool each_of_log(struct reader *in, const struct field *field, void *target)
{
    struct trace_log *log = target;
    return FILL(in, field, {1, .text = &log->vertex}, {2, .time = &log->timestamp},
                {3, .integer = &log->stream}, {4, .text = &log->data});
}

static bool each_of_warning(struct reader *in, const struct field *field, void *target)
{
    struct trace_warning *warning = target;
    return FILL(in, field, {1, .text = &warning->vertex}, {2, .integer = &warning->level},
                {3, .text = &warning->brief}, {4, .listed = true}, {5, .text = &warning->url});
}

static bool each_of_response(struct reader *in, const struct field *field, void *target)
{
    const struct trace_sink *sink = in->sink;
    struct trace_vertex vertex = {.inputs = {field->text, 2}};
    struct trace_status status = {0};
    struct trace_log log = {0};
    struct trace_warning warning = {.detail = {field->text, 4}};
    (void)target;
    if (field->wire != WIRE_BYTES || field->number > 4)
        return true;
    if (!spend(in))
        return false;
    bool good = false;
    switch (field->number) {
    case 1:
        if ((good = read_inner(in, field, each_of_vertex, &vertex)))
            sink->vertex(sink->arg, &vertex);
        break;
    case 2:
        if ((good = read_inner(in, field, each_of_status, &status)))
            sink->status(sink->arg, &status);
        break;
    case 3:
        if ((good = read_inner(in, field, each_of_log, &log)))
            sink->log(sink->arg, &log);
        break;
    case 4:
        if ((good = read_inner(in, field, each_of_warning, &warning)))
            sink->warning(sink->arg, &warning);
        break;
    }
    return good;
}

bool trace_decode(const void *data, size_t len, const struct trace_sink *sink, struct err *err)
{
    unsigned items = TRACE_ITEMS_MAX;
    struct reader in = {.sink = sink, .items = &items, .err = err};
    if (len > TRACE_MAX)
        return err_set(err, ERR_LIMIT, "BuildKit's progress message has more than %d bytes",
                       TRACE_MAX);
    return read_message(&in, (struct trace_text){data, len}, each_of_response, NULL);
}

bool trace_next(struct trace_list *list, struct trace_text *text)
{
    struct field field;
    while (list->rest.len > 0 && !read_field(&list->rest, &field))
        if (field.number == list->field && field.wire == WIRE_BYTES) {
            *text = field.text;
            return true;
        }
    return false;
}
