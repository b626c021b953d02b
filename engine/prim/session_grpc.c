#include "prim/session_grpc.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static const struct session_method *const methods[] = {
    &session_health,      &session_credentials,   &session_secret, &session_check_agent,
    &session_forward_agent, &session_files,       &session_output, NULL,
};

const char *const grpc_paths[] = {
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.FileSend/DiffCopy",
    NULL,
};

/* What an unknown path, and what nobody serves, is answered by. */
static const struct session_method unknown = {.message_max = CALL_MESSAGE_MAX};

/* --- metadata --------------------------------------------------------------------------------- */

void grpc_add_meta(struct session_call *call, const char *name, size_t name_len,
                   const char *value, size_t value_len)
{
    const size_t count = call->meta_count;
    if ((count & (count - 1)) == 0)
        call->meta = mem_grow(call->meta, (count ? count * 2 : 1) * sizeof *call->meta);
    call->meta[call->meta_count++] =
        (struct call_meta){mem_textn(name, name_len), mem_textn(value, value_len)};
}

void grpc_free_meta(struct session_call *call)
{
    for (size_t i = 0; i < call->meta_count; i++) {
        mem_free(call->meta[i].name);
        mem_free(call->meta[i].value);
    }
    mem_free(call->meta);
    call->meta = NULL;
    call->meta_count = 0;
}

const char *call_value(const struct session_call *call, const char *name, size_t index)
{
    for (size_t i = 0; i < call->meta_count; i++)
        if (strcmp(call->meta[i].name, name) == 0 && index-- == 0)
            return call->meta[i].value;
    return NULL;
}

/* --- messages out ----------------------------------------------------------------------------- */

bool call_add_head(struct buf *out, size_t len)
{
    const char head[CALL_HEAD] = {0, (char)(len >> 24), (char)(len >> 16), (char)(len >> 8),
                                  (char)len};
    return buf_add(out, head, sizeof head);
}

void call_send(struct session_call *call, const void *message, size_t len)
{
    if (call->finished)
        return;
    if (call->out.max - call->out.len < len + CALL_HEAD) {
        call_finish(call, GRPC_RESOURCE_EXHAUSTED, "the daemon does not read");
        return;
    }
    buf_room(&call->out, len + CALL_HEAD); /* at once: no half of a secret stays behind */
    call_add_head(&call->out, len);
    buf_add(&call->out, message, len);
    call_wake(call);
}

/* What a header can hold: printable ASCII, the rest as %XX. */
static char *escaped(const char *words)
{
    static const char digits[] = "0123456789ABCDEF";
    struct buf out;
    buf_init(&out, 8 << 10);
    for (const unsigned char *c = (const unsigned char *)words; *c; c++) {
        const char code[3] = {'%', digits[*c >> 4], digits[*c & 15]};
        const bool plain = *c >= ' ' && *c < 127 && *c != '%';
        if (!(plain ? buf_char(&out, (char)*c) : buf_add(&out, code, 3)))
            break;
    }
    return buf_take(&out);
}

void call_finish(struct session_call *call, int status, const char *words)
{
    if (call->finished)
        return;
    call->finished = true;
    call->status = status;
    call->words = words ? escaped(words) : NULL;
    call_set_busy(call, false);
    call_wake(call);
}

/* --- messages in ------------------------------------------------------------------------------ */

static const struct session_method *method_of(const char *path)
{
    for (size_t i = 0; path && methods[i]; i++)
        if (strcmp(methods[i]->path, path) == 0)
            return methods[i];
    return &unknown;
}

void grpc_open(struct session_call *call)
{
    call->method = method_of(call->path);
    buf_init(&call->in, call->method->message_max + CALL_HEAD);
    if (call->method == &unknown)
        call_finish(call, GRPC_UNIMPLEMENTED, "not served here");
    else if (call->method->open)
        call->method->open(call);
}

static bool too_long(struct session_call *call, size_t len, struct err *err)
{
    return err_set(err, ERR_LIMIT,
                   "the build session was ended: the daemon sent %s a message of %zu bytes, more "
                   "than %zu", call->path, len, call->method->message_max);
}

/* Bytes that in still lacks for its message, 0 when it is whole. */
static size_t lacking(const struct session_call *call, size_t *len)
{
    const unsigned char *head = (const unsigned char *)call->in.data;
    if (call->in.len < CALL_HEAD)
        return CALL_HEAD - call->in.len;
    *len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    return CALL_HEAD + *len - call->in.len;
}

bool grpc_take(struct session_call *call, const char *data, size_t len, struct err *err)
{
    while (!call->finished) {
        size_t size = 0, need = lacking(call, &size);
        if (size > call->method->message_max)
            return too_long(call, size, err);
        if (call->in.len >= CALL_HEAD && call->in.data[0] != 0)
            return err_set(err, ERR_REMOTE, "the build session was ended: the daemon sent %s a "
                                            "compressed message", call->path);
        if (need == 0) {
            const struct protobuf_text message = {call->in.data + CALL_HEAD, size};
            if (call->method->message)
                call->method->message(call, message);
            buf_clear(&call->in);
            continue;
        }
        if (len == 0)
            break;
        need = need < len ? need : len;
        buf_add(&call->in, data, need);
        data += need;
        len -= need;
    }
    return true;
}

void grpc_half(struct session_call *call)
{
    if (call->method->half && !call->finished)
        call->method->half(call);
}
