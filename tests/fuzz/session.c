/* What a daemon says on a build session. The first byte tells how the rest is read: even, as the
   bytes that come; odd, as orders to make calls, messages and frames, since hardly an input would
   get past HTTP/2 by itself. */
#include "prim/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"
#include "prim/session_grpc.h"
#include "prim/session_wire.h"

enum { OUT_MAX = 8 << 20, IN_MAX = 1 << 20, TURNS_MAX = 2000 };

static const char password[] = "pass-hunter2-word", secret[] = "secret-hunter2-value";
static const char outside[] = "foreign";

/* --- the connection, in place of prim/session_wire.c ------------------------------------------ */

struct session_wire {
    session_wire_done *done;
    session_wire_ready *ready;
    void *arg, *ready_arg;
    struct fuzz_input in;
    size_t piece;
    int wanted;
    bool paused, closed;
    struct buf out;
};

static struct session_wire wire; /* there is one at a time */

struct session_wire *session_wire_start(struct loop *loop, const struct session_wire_spec *spec,
                                        session_wire_done *done, void *arg, struct err *err)
{
    (void)loop, (void)spec, (void)err;
    wire.done = done;
    wire.arg = arg;
    return &wire;
}

void session_wire_cancel(struct session_wire *w)
{
    (void)w;
}

void session_wire_close(struct session_wire *w)
{
    if (w)
        w->closed = true;
}

void session_wire_listen(struct session_wire *w, session_wire_ready *ready, void *arg)
{
    w->ready = ready;
    w->ready_arg = arg;
}

void session_wire_want(struct session_wire *w, int events)
{
    w->wanted |= events;
}

ssize_t session_wire_recv(struct session_wire *w, char *to, size_t max, struct err *err)
{
    (void)err;
    w->paused = !w->paused;
    if (w->paused)
        return WIRE_AGAIN;
    size_t len = w->in.left < w->piece ? w->in.left : w->piece;
    len = len < max ? len : max;
    memcpy(to, w->in.at, len);
    w->in.at += len;
    w->in.left -= len;
    return (ssize_t)len;
}

ssize_t session_wire_send(struct session_wire *w, const char *data, size_t len, struct err *err)
{
    (void)err;
    if (!buf_add(&w->out, data, len))
        buf_clear(&w->out); /* enough was seen of it */
    return (ssize_t)len;
}

/* --- orders ----------------------------------------------------------------------------------- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum { H2_DATA = 0, H2_HEADERS = 1, H2_RESET = 3, H2_SETTINGS = 4, H2_WINDOW = 8 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static void add_frame(struct buf *to, unsigned type, unsigned flags, unsigned id,
    const void *payload,
                      size_t len)
{
    const char head[9] = {(char)(len >> 16), (char)(len >> 8), (char)len, (char)type, (char)flags,
                          (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    buf_add(to, head, sizeof head);
    buf_add(to, payload, len);
}

/* A literal field without an index (RFC 7541, 6.2.2). */
static void add_field(struct buf *to, const char *name, const char *value)
{
    size_t lens[] = {strlen(name), strlen(value)};
    const char *texts[] = {name, value};
    buf_char(to, 0);
    for (int i = 0; i < 2; i++) {
        size_t len = lens[i] < 127 ? lens[i] : 126;
        buf_char(to, (char)len);
        buf_add(to, texts[i], len);
    }
}

static void order_call(struct fuzz_input *in, struct buf *to, unsigned *calls)
{
    static const char *const names[] = {"dir-name", "include-patterns", "exclude-patterns",
                                        "followpaths", "override-excludes", "buildkit-session-id"};
    struct buf fields;
    unsigned count = 0;
    while (grpc_paths[count])
        count++;
    buf_init(&fields, 1 << 14);
    const unsigned which = fuzz_byte(in) % (count + 1);
    add_field(&fields, ":method", "POST");
    add_field(&fields, ":scheme", "http");
    add_field(&fields, ":path", which < count ? grpc_paths[which] : "/none");
    add_field(&fields, ":authority", "localhost");
    add_field(&fields, "content-type", "application/grpc");
    for (unsigned more = fuzz_byte(in) % 8; more > 0; more--) {
        const char *name = names[fuzz_byte(in) % 6];
        char *value = fuzz_text(in, '\0');
        add_field(&fields, name, value);
        mem_free(value);
    }
    add_frame(to, H2_HEADERS, END_HEADERS, 1 + 2 * (*calls)++, fields.data, fields.len);
    buf_fini(&fields);
}

static void order_bytes(struct fuzz_input *in, struct buf *to)
{
    size_t len = fuzz_byte(in);
    len = len < in->left ? len : in->left;
    buf_add(to, in->at, len);
    in->at += len;
    in->left -= len;
}

static void order_message(struct fuzz_input *in, struct buf *to, unsigned id)
{
    struct buf message, body;
    buf_init(&message, 1 << 12);
    buf_init(&body, 1 << 12);
    const unsigned flags = fuzz_byte(in) & END_STREAM;
    order_bytes(in, &body);
    call_add_head(&message, body.len);
    buf_add(&message, body.data, body.len);
    add_frame(to, H2_DATA, flags, id, message.data, message.len);
    buf_fini(&body);
    buf_fini(&message);
}

static void follow(struct fuzz_input *in, struct buf *to)
{
    static const char window[] = {0, 1, 0, 0}, cancel[] = {0, 0, 0, 8};
    unsigned calls = 0;
    buf_add(to, preface, sizeof preface - 1);
    add_frame(to, H2_SETTINGS, 0, 0, NULL, 0);
    while (in->left > 0) {
        const unsigned order = fuzz_byte(in), id = calls ? 1 + 2 * (order / 8 % calls) : 0;
        struct buf payload;
        buf_init(&payload, 1 << 12);
        switch (order % 8) {
        case 0: order_call(in, to, &calls); break;
        case 1: add_frame(to, H2_RESET, 0, id, cancel, sizeof cancel); break;
        case 2: add_frame(to, H2_WINDOW, 0, id, window, sizeof window); break;
        case 3: order_bytes(in, to); break;
        case 4: {
            const unsigned type = fuzz_byte(in), flags = fuzz_byte(in);
            order_bytes(in, &payload);
            add_frame(to, type, flags, id, payload.data, payload.len);
            break;
        }
        default: order_message(in, to, id);
        }
        buf_fini(&payload);
    }
}

/* --- the session ------------------------------------------------------------------------------ */

static char scratch[64];

static void remove_scratch(void)
{
    struct err err;
    if (chdir("/") == 0)
        tree_remove(scratch, NULL, &err);
}

static void make_scratch(void)
{
    const char *parent = getenv("TMPDIR");
    struct err err;
    snprintf(scratch, sizeof scratch, "%.40s/orch-fuzz-XXXXXX", parent ? parent : "/tmp");
    fuzz_check(mkdtemp(scratch) && chdir(scratch) == 0, "there is a scratch directory");
    atexit(remove_scratch);
    fuzz_check(mkdir("context", 0755) == 0 && mkdir("context/dir", 0755) == 0 &&
                   symlink("../outside", "context/dir/link") == 0,
               "the scratch directory can be written");
    const char *files[] = {"context/file", "context/dir/other", "outside"};
    for (int i = 0; i < 3; i++)
        fuzz_check(file_replace(&(struct file_spec){.path = files[i],
                                                    .data = i < 2 ? "content" : outside, .len = 7},
                                &err),
                   "the scratch directory can be written");
}

static void on_opened(void *arg)
{
    (void)arg;
}

static void on_done(void *arg, const struct session_result *result)
{
    unsigned *times = arg;
    ++*times;
    fuzz_check(result->err.kind != ERR_NONE, "the end of the connection is told");
}

static int lowest_free_descriptor(void)
{
    const int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

static void run(struct loop *loop)
{
    const struct session_gift dirs[] = {{.name = "context", .value = "context", .len = 7}};
    const struct session_gift secrets[] =
        {{.name = "TOKEN", .value = secret, .len = sizeof secret - 1}};
    const struct session_gift logins[] = {{.name = "registry.test", .value = "ada", .len = 3,
                                           .more = password, .more_len = sizeof password - 1}};
    const struct session_gift agents[] = {{.name = "default", .value = "no-agent", .len = 8}};
    const struct session_spec spec = {
        .place = {.host = "localhost", .port = 80}, .api = "1.41", .shared_key = "key",
        .dirs = {dirs, 1}, .secrets = {secrets, 1}, .credentials = {logins, 1}, .ssh = {agents, 1},
        .dockerfile_text = "FROM scratch\n", .dockerfile_len = 13, .output = "output",
        .opened = on_opened,
    };
    struct err err;
    unsigned times = 0;
    fuzz_check(session_start(loop, &spec, on_done, &times, &err), "it starts");
    wire.done(wire.arg, &(struct err){0});
    for (int turns = 0; times == 0 && turns < TURNS_MAX; turns++) {
        const int events = wire.wanted;
        wire.wanted = 0;
        if (events && !wire.closed)
            wire.ready(wire.ready_arg, events);
        if (loop_live(loop) > 0)
            loop_turn(loop, !wire.wanted);
    }
    fuzz_check(times == 1 && wire.closed, "done comes once, and the connection is closed");
    while (loop_live(loop) > 0)
        loop_turn(loop, true);
}

static bool has(const struct buf *bytes, const char *text)
{
    return bytes->len > 0 && memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

/* Was the text sent, and not only as an echo? */
static bool gives(const struct buf *in, const char *text)
{
    return has(&wire.out, text) && !has(in, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    struct err err;
    if (!loop) {
        loop = loop_new(&err);
        make_scratch();
    }
    struct fuzz_input input = {(const char *)data, size};
    struct buf bytes;
    buf_init(&bytes, IN_MAX);
    const unsigned first = fuzz_byte(&input);
    if (first & 1)
        follow(&input, &bytes);
    else
        buf_add(&bytes, input.at, input.left);
    wire = (struct session_wire){.in = {bytes.data, bytes.len}, .piece = first & 2 ? 7 : 65536};
    buf_init(&wire.out, OUT_MAX);
    const int free_before = lowest_free_descriptor();
    run(loop);
    fuzz_check(lowest_free_descriptor() == free_before, "no descriptor is left open");
    fuzz_check(!gives(&bytes, password) || has(&bytes, "registry.test"),
               "a login goes out for its registry only");
    fuzz_check(!gives(&bytes, secret) || has(&bytes, "TOKEN"),
               "a secret goes out under its name only");
    fuzz_check(!gives(&bytes, outside), "no file beside the context is sent");
    unlink("output");
    buf_fini(&wire.out);
    buf_fini(&bytes);
    return 0;
}
