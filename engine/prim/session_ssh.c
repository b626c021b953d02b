#include "prim/session_call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

/* moby.sshforward.v1.SSH/ForwardAgent: bytes between a step of the build and an agent's socket,
   which both speak in messages of at most 256 KiB. */

enum {
    CHUNK = 32 << 10,
    HELD_MAX = 1 << 20,   /* bytes for an agent that does not read */
    HELD_HIGH = 64 << 10, /* the daemon must wait from there on */
};

struct agent {
    int fd;
    struct watch *watch;
    struct buf held; /* for the agent */
    bool half;       /* the daemon has said all */
    bool over;       /* the agent has */
};

static struct agent *agent_of(const struct session_call *call)
{
    return call->state;
}

static void agent_want(struct session_call *call)
{
    struct agent *agent = agent_of(call);
    const bool room = call->out.len - call->out_at < HELD_HIGH;
    watch_set(agent->watch, (room && !agent->over ? WATCH_READ : 0) |
                                (agent->held.len ? WATCH_WRITE : 0));
}

static void agent_failed(struct session_call *call, const char *what)
{
    struct agent *agent = agent_of(call);
    struct err err;
    agent->over = true;
    watch_set(agent->watch, 0);
    err_system(&err, errno, "cannot %s the ssh agent", what);
    call_finish(call, GRPC_UNKNOWN, err.message);
}

static bool write_some(struct session_call *call)
{
    struct agent *agent = agent_of(call);
    while (agent->held.len > 0) {
        const ssize_t n = send(agent->fd, agent->held.data, agent->held.len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            agent_failed(call, "write to");
            return false;
        }
        buf_drop(&agent->held, (size_t)n);
    }
    if (agent->half && agent->held.len == 0)
        shutdown(agent->fd, SHUT_WR);
    if (call->busy && agent->held.len < HELD_HIGH)
        call_set_busy(call, false);
    return true;
}

static void read_some(struct session_call *call)
{
    struct agent *agent = agent_of(call);
    char chunk[CHUNK];
    const ssize_t n = recv(agent->fd, chunk, sizeof chunk, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        agent_failed(call, "read from");
        return;
    }
    if (n == 0) {
        agent->over = true;
        call_finish(call, GRPC_OK, NULL);
        return;
    }
    struct buf message;
    buf_init(&message, CHUNK + 16);
    protobuf_add_bytes(&message, 1, chunk, (size_t)n);
    call_send(call, message.data, message.len);
    buf_fini(&message);
}

static void on_agent(void *arg, int events)
{
    struct session_call *call = arg;
    if ((events & WATCH_WRITE) && !write_some(call))
        return;
    if ((events & WATCH_READ) && !agent_of(call)->over)
        read_some(call);
    agent_want(call);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    const int number = errno;
    close(fd);
    errno = number;
    return -1;
}

static bool open_agent(struct session_call *call)
{
    const char *id = call_value(call, "buildkit.ssh.id", 0);
    if (!id || !*id)
        id = "default";
    const struct session_gift *gift = session_find(&call->core->spec.ssh, id, strlen(id));
    if (!gift) {
        call_finish(call, GRPC_NOT_FOUND, "no such ssh agent");
        return false;
    }
    const int fd = connect_to(gift->value);
    if (fd < 0) {
        struct err err;
        err_system(&err, errno, "cannot connect to the ssh agent at %s", gift->value);
        call_finish(call, GRPC_UNKNOWN, err.message);
        return false;
    }
    struct agent *agent = call->state = mem_alloc(sizeof *agent);
    *agent = (struct agent){.fd = fd};
    buf_init(&agent->held, HELD_MAX + CALL_MESSAGE_MAX * 4);
    call->core->stats.agents++;
    if (!(agent->watch = watch_new(call->core->loop, fd, on_agent, call))) {
        call_finish(call, GRPC_INTERNAL, "cannot watch the ssh agent");
        return false;
    }
    agent_want(call);
    return true;
}

static void take_bytes(struct session_call *call, struct protobuf_text message)
{
    struct agent *agent = agent_of(call);
    struct protobuf_field field;
    while (message.len > 0 && !protobuf_read(&message, &field))
        if (field.number == 1 && field.wire == PROTOBUF_BYTES &&
            !buf_add(&agent->held, field.text.at, field.text.len)) {
            call_finish(call, GRPC_RESOURCE_EXHAUSTED, "the ssh agent does not read");
            return;
        }
    if (!write_some(call))
        return;
    if (agent->held.len >= HELD_HIGH)
        call_set_busy(call, true);
    agent_want(call);
}

static void no_more_bytes(struct session_call *call)
{
    agent_of(call)->half = true;
    if (write_some(call))
        agent_want(call);
}

static void close_agent(struct session_call *call)
{
    struct agent *agent = agent_of(call);
    watch_free(agent->watch);
    close(agent->fd);
    if (agent->held.data)
        explicit_bzero(agent->held.data, agent->held.cap);
    buf_fini(&agent->held);
    mem_free(agent);
}

static void more_room(struct session_call *call)
{
    if (agent_of(call))
        agent_want(call);
}

const struct session_method session_forward_agent = {
    .path = "/moby.sshforward.v1.SSH/ForwardAgent",
    .message_max = 4 * CALL_MESSAGE_MAX,
    .open = open_agent,
    .message = take_bytes,
    .half = no_more_bytes,
    .more = more_room,
    .closed = close_agent,
};
