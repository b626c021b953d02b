#include "prim/trace.h"

/* What one message, or a message in it, is read with. */
struct reader {
    struct protobuf_text rest;
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

/* Reads the message field by field; each of kind sets what it knows in target and tells whether to
   go on. */
typedef bool each_field(struct reader *in, const struct protobuf_field *field, void *target);

static bool read_message(struct reader *in, struct protobuf_text message, each_field *each,
                         void *target)
{
    struct protobuf_field field;
    in->rest = message;
    while (in->rest.len > 0) {
        const char *why = protobuf_read(&in->rest, &field);
        if (why)
            return bad(in, why);
        if (!each(in, &field, target))
            return false;
    }
    return true;
}

/* A message within the one being read. */
static bool read_inner(struct reader *in, const struct protobuf_field *field, each_field *each,
                       void *target)
{
    struct reader inner = *in;
    return read_message(&inner, field->text, each, target);
}

static bool each_of_time(struct reader *in, const struct protobuf_field *field, void *target)
{
    struct trace_time *time = target;
    (void)in;
    if (field->wire == PROTOBUF_VARINT && field->number == 1)
        time->seconds = (int64_t)field->value;
    else if (field->wire == PROTOBUF_VARINT && field->number == 2)
        time->nanos = (int32_t)(uint32_t)field->value;
    return true;
}

/* What a field number of a message means: which member it fills, NULL = none. As protobuf wants it,
   a field of another kind than expected counts as unknown. */
struct slot {
    unsigned number;
    struct protobuf_text *text;
    struct trace_time *time;
    int64_t *integer;
    bool listed; /* one of a list; only counted */
};

static bool fill(struct reader *in, const struct protobuf_field *field, const struct slot *slots,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &slots[i];
        if (slot->number != field->number)
            continue;
        if (slot->integer && field->wire == PROTOBUF_VARINT)
            *slot->integer = (int64_t)field->value;
        if (field->wire != PROTOBUF_BYTES)
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

static bool each_of_vertex(struct reader *in, const struct protobuf_field *field, void *target)
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

static bool each_of_status(struct reader *in, const struct protobuf_field *field, void *target)
{
    struct trace_status *status = target;
    return FILL(in, field, {1, .text = &status->id}, {2, .text = &status->vertex},
                {3, .text = &status->name}, {4, .integer = &status->current},
                {5, .integer = &status->total}, {6, .time = &status->timestamp},
                {7, .time = &status->started}, {8, .time = &status->completed});
}

static bool each_of_log(struct reader *in, const struct protobuf_field *field, void *target)
{
    struct trace_log *log = target;
    return FILL(in, field, {1, .text = &log->vertex}, {2, .time = &log->timestamp},
                {3, .integer = &log->stream}, {4, .text = &log->data});
}

static bool each_of_warning(struct reader *in, const struct protobuf_field *field, void *target)
{
    struct trace_warning *warning = target;
    return FILL(in, field, {1, .text = &warning->vertex}, {2, .integer = &warning->level},
                {3, .text = &warning->brief}, {4, .listed = true}, {5, .text = &warning->url});
}

static bool each_of_response(struct reader *in, const struct protobuf_field *field, void *target)
{
    const struct trace_sink *sink = in->sink;
    struct trace_vertex vertex = {.inputs = {field->text, 2}};
    struct trace_status status = {0};
    struct trace_log log = {0};
    struct trace_warning warning = {.detail = {field->text, 4}};
    (void)target;
    if (field->wire != PROTOBUF_BYTES || field->number > 4)
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
    return read_message(&in, (struct protobuf_text){data, len}, each_of_response, NULL);
}

bool trace_next(struct trace_list *list, struct protobuf_text *text)
{
    struct protobuf_field field;
    while (list->rest.len > 0 && !protobuf_read(&list->rest, &field))
        if (field.number == list->field && field.wire == PROTOBUF_BYTES) {
            *text = field.text;
            return true;
        }
    return false;
}
