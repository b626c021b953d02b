#include "prim/session_call.h"

#include <string.h>

#include "base/mem.h"

/* The methods that answer a question at once. */

const struct session_gift *session_find(const struct session_gifts *gifts, const char *name,
                                        size_t len)
{
    for (size_t i = 0; i < gifts->count; i++)
        if (strlen(gifts->list[i].name) == len && memcmp(gifts->list[i].name, name, len) == 0)
            return &gifts->list[i];
    return NULL;
}

/* The text of field 1, which is the question in all of them; false: the call has finished. */
static bool read_question(struct session_call *call, struct protobuf_text message,
                          struct protobuf_text *text)
{
    struct protobuf_field field;
    *text = (struct protobuf_text){"", 0};
    while (message.len > 0) {
        const char *why = protobuf_read(&message, &field);
        if (why) {
            struct err err;
            err_set(&err, ERR_REMOTE, "the build session was ended: the daemon's question to %s is "
                                      "no protobuf: %s", call->path, why);
            session_fail(call->core, &err);
            call_finish(call, GRPC_INVALID, why);
            return false;
        }
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            *text = field.text;
    }
    return true;
}

static void refuse(struct session_call *call, int status, const char *what,
                   struct protobuf_text name)
{
    struct buf words;
    buf_init(&words, 1024);
    if (!buf_format(&words, "%s %.*s", what, (int)(name.len < 512 ? name.len : 512), name.at))
        buf_text(&words, what);
    call_finish(call, status, words.data);
    buf_fini(&words);
}

/* --- grpc.health.v1.Health/Check -------------------------------------------------------------- */

static void check_health(struct session_call *call, struct protobuf_text message)
{
    (void)message;
    call_send(call, "\x08\x01", 2); /* status: SERVING */
    call_finish(call, GRPC_OK, NULL);
}

const struct session_method session_health = {
    .path = "/grpc.health.v1.Health/Check",
    .message_max = CALL_MESSAGE_MAX,
    .message = check_health,
};

/* --- moby.filesync.v1.Auth/Credentials -------------------------------------------------------- */

/* No credential is no error: the daemon then asks the registry as nobody. */
static void give_credentials(struct session_call *call, struct protobuf_text message)
{
    struct protobuf_text host;
    if (!read_question(call, message, &host))
        return;
    const struct session_gift *login =
        session_find(&call->core->spec.credentials, host.at, host.len);
    struct buf answer;
    buf_init(&answer, SIZE_MAX / 2);
    if (login) {
        call->core->stats.logins++;
        buf_room(&answer, login->len + login->more_len + 32);
        protobuf_add_bytes(&answer, 1, login->value, login->len);
        protobuf_add_bytes(&answer, 2, login->more, login->more_len);
    }
    call_send(call, answer.data ? answer.data : "", answer.len);
    call_finish(call, GRPC_OK, NULL);
    if (answer.data)
        explicit_bzero(answer.data, answer.len);
    buf_fini(&answer);
}

const struct session_method session_credentials = {
    .path = "/moby.filesync.v1.Auth/Credentials",
    .message_max = CALL_MESSAGE_MAX,
    .message = give_credentials,
};

/* --- moby.buildkit.secrets.v1.Secrets/GetSecret ----------------------------------------------- */

static void give_secret(struct session_call *call, struct protobuf_text message)
{
    struct protobuf_text id;
    if (!read_question(call, message, &id))
        return;
    const struct session_gift *secret = session_find(&call->core->spec.secrets, id.at, id.len);
    if (!secret) {
        refuse(call, GRPC_NOT_FOUND, "no secret", id);
        return;
    }
    call->core->stats.secrets++;
    struct buf answer;
    buf_init(&answer, SIZE_MAX / 2);
    buf_room(&answer, secret->len + 16);
    protobuf_add_bytes(&answer, 1, secret->value, secret->len);
    call_send(call, answer.data, answer.len);
    call_finish(call, GRPC_OK, NULL);
    explicit_bzero(answer.data, answer.len);
    buf_fini(&answer);
}

const struct session_method session_secret = {
    .path = "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    .message_max = CALL_MESSAGE_MAX,
    .message = give_secret,
};

/* --- moby.sshforward.v1.SSH/CheckAgent -------------------------------------------------------- */

static void check_agent(struct session_call *call, struct protobuf_text message)
{
    struct protobuf_text id;
    if (!read_question(call, message, &id))
        return;
    if (id.len == 0)
        id = (struct protobuf_text){"default", 7};
    if (!session_find(&call->core->spec.ssh, id.at, id.len)) {
        refuse(call, GRPC_NOT_FOUND, "no ssh agent", id);
        return;
    }
    call_send(call, "", 0);
    call_finish(call, GRPC_OK, NULL);
}

const struct session_method session_check_agent = {
    .path = "/moby.sshforward.v1.SSH/CheckAgent",
    .message_max = CALL_MESSAGE_MAX,
    .message = check_agent,
};
