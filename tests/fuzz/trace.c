/* BuildKit's progress, of a daemon that may send anything. */
#include "prim/trace.h"

#include "fuzz.h"

struct seen {
    const char *from, *to; /* the message */
    size_t items;
};

static void check_text(struct seen *seen, struct protobuf_text text)
{
    fuzz_check(text.len == 0 || (text.at >= seen->from && text.at <= seen->to &&
                                 text.len <= (size_t)(seen->to - text.at)),
               "a text lies inside of the message");
}

static void check_list(struct seen *seen, struct trace_list list)
{
    struct protobuf_text text;
    while (trace_next(&list, &text)) {
        check_text(seen, text);
        seen->items++;
    }
}

static void on_vertex(void *arg, const struct trace_vertex *vertex)
{
    struct seen *seen = arg;
    seen->items++;
    check_text(seen, vertex->digest);
    check_text(seen, vertex->name);
    check_text(seen, vertex->error);
    check_list(seen, vertex->inputs);
}

static void on_status(void *arg, const struct trace_status *status)
{
    struct seen *seen = arg;
    seen->items++;
    check_text(seen, status->id);
    check_text(seen, status->vertex);
    check_text(seen, status->name);
}

static void on_log(void *arg, const struct trace_log *log)
{
    struct seen *seen = arg;
    seen->items++;
    check_text(seen, log->vertex);
    check_text(seen, log->data);
}

static void on_warning(void *arg, const struct trace_warning *warning)
{
    struct seen *seen = arg;
    seen->items++;
    check_text(seen, warning->vertex);
    check_text(seen, warning->brief);
    check_text(seen, warning->url);
    check_list(seen, warning->detail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.from = (const char *)data, .to = (const char *)data + size};
    const struct trace_sink sink = {
        .arg = &seen, .vertex = on_vertex, .status = on_status, .log = on_log,
            .warning = on_warning,
    };
    struct err err = {0};
    const bool good = trace_decode(data, size, &sink, &err);
    fuzz_check(good || err.kind == ERR_REMOTE || err.kind == ERR_LIMIT,
               "what is no message is the daemon's fault");
    fuzz_check(seen.items <= TRACE_ITEMS_MAX, "the ceiling holds");
    return 0;
}
