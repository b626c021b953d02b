#include "prim/session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "prim/session_call.h"
#include "prim/session_grpc.h"
#include "prim/session_h2.h"
#include "prim/session_wire.h"

enum {
    CHUNK = 64 << 10,
    READS_MAX = 16,           /* chunks taken before others have their turn */
    OUT_HIGH = 256 << 10,     /* bytes made ready for one send */
    OUT_MAX = OUT_HIGH + (64 << 10),
    ID_BYTES = 16,
    SILENT_TICKS = 3,         /* of a silence that is too long */
};

struct session {
    struct session_core core; /* first: a core's session is found by its address */
    char id[2 * ID_BYTES + 1];
    struct session_wire *wire;
    struct session_h2 *h2; /* NULL before it stands and after its end */
    struct buf out;
    size_t out_at;
    struct timer *poke_timer, *end_timer, *silence_timer;
    int silent_ticks;
    bool stood, ended;
    bool unread; /* more may be there than was taken at once, inside TLS where no event tells it */
    session_done *done;
    void *arg;
};

/* --- the copy of the spec --------------------------------------------------------------------- */

static void copy_gifts(struct session_gifts *to, const struct session_gifts *from)
{
    struct session_gift *list = mem_alloc((from->count + 1) * sizeof *list);
    for (size_t i = 0; i < from->count; i++) {
        const struct session_gift *gift = &from->list[i];
        list[i] = (struct session_gift){
            .name = mem_text(gift->name),
            .value = mem_textn(gift->value, gift->len), .len = gift->len,
            .more = gift->more ? mem_textn(gift->more, gift->more_len) : NULL,
            .more_len = gift->more_len,
        };
    }
    *to = (struct session_gifts){list, from->count};
}

static void free_gifts(struct session_gifts *gifts)
{
    for (size_t i = 0; i < gifts->count; i++) {
        const struct session_gift *gift = &gifts->list[i];
        mem_free((char *)gift->name);
        mem_wipe((char *)gift->value, gift->len);
        if (gift->more)
            mem_wipe((char *)gift->more, gift->more_len);
    }
    mem_free((struct session_gift *)gifts->list);
}

static void copy_peer(struct http_peer *peer)
{
    peer->unix_path = mem_text(peer->unix_path);
    peer->ca_file = mem_text(peer->ca_file);
    peer->cert_file = mem_text(peer->cert_file);
    peer->key_file = mem_text(peer->key_file);
}

static void copy_spec(struct session_spec *to, const struct session_spec *from)
{
    *to = *from;
    to->place.host = mem_text(from->place.host);
    copy_peer(&to->place.peer);
    to->api = mem_text(from->api);
    to->shared_key = mem_text(from->shared_key ? from->shared_key : "");
    to->output = mem_text(from->output);
    if (from->dockerfile_text)
        to->dockerfile_text = mem_textn(from->dockerfile_text, from->dockerfile_len);
    copy_gifts(&to->dirs, &from->dirs);
    copy_gifts(&to->secrets, &from->secrets);
    copy_gifts(&to->credentials, &from->credentials);
    copy_gifts(&to->ssh, &from->ssh);
}

static void release(struct session *session)
{
    struct session_spec *spec = &session->core.spec;
    mem_free((char *)spec->place.host);
    mem_free((char *)spec->place.peer.unix_path);
    mem_free((char *)spec->place.peer.ca_file);
    mem_free((char *)spec->place.peer.cert_file);
    mem_free((char *)spec->place.peer.key_file);
    mem_free((char *)spec->api);
    mem_free((char *)spec->shared_key);
    mem_free((char *)spec->output);
    mem_free((char *)spec->dockerfile_text);
    free_gifts(&spec->dirs);
    free_gifts(&spec->secrets);
    free_gifts(&spec->credentials);
    free_gifts(&spec->ssh);
    if (session->out.data)
        explicit_bzero(session->out.data, session->out.cap);
    buf_fini(&session->out);
    mem_free(session);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void finish(struct session *session)
{
    session_done *done = session->done;
    void *arg = session->arg;
    const struct session_result result = {session->core.err, session->stood, session->core.stats};
    release(session);
    done(arg, &result);
}

static void on_end(void *arg)
{
    struct session *session = arg;
    session->end_timer = NULL;
    timer_cancel(session->poke_timer);
    timer_cancel(session->silence_timer);
    session->poke_timer = session->silence_timer = NULL;
    session_h2_free(session->h2);
    session->h2 = NULL;
    session_wire_close(session->wire);
    session->wire = NULL;
    session->ended = true;
    if (session->core.works == 0)
        finish(session);
}

static void end_soon(struct session *session)
{
    if (!session->ended && !session->end_timer)
        session->end_timer = timer_start(session->core.loop, 0, on_end, session);
}

void session_end(struct session *session)
{
    if (session->stood || session->ended)
        end_soon(session);
    else if (session->wire)
        session_wire_cancel(session->wire);
}

void session_note(struct session_core *core, const struct err *err)
{
    if (core->err.kind == ERR_NONE)
        core->err = *err;
}

void session_fail(struct session_core *core, const struct err *err)
{
    session_note(core, err);
    end_soon((struct session *)core);
}

void session_work_over(struct session_core *core)
{
    struct session *session = (struct session *)core;
    core->works--;
    if (session->ended && core->works == 0)
        finish(session);
}

/* --- the connection --------------------------------------------------------------------------- */

/* false: the session ends. */
static bool send_out(struct session *session)
{
    struct err err;
    while (session->out_at < session->out.len) {
        const ssize_t n = session_wire_send(session->wire, session->out.data + session->out_at,
                                            session->out.len - session->out_at, &err);
        if (n == WIRE_AGAIN) {
            session_wire_want(session->wire, WATCH_WRITE);
            return true;
        }
        if (n < 0) {
            session_fail(&session->core, &err);
            return false;
        }
        session->out_at += (size_t)n;
    }
    buf_clear(&session->out);
    session->out_at = 0;
    return true;
}

static void serve(struct session *session)
{
    struct err err;
    if (session->end_timer || !session->h2)
        return;
    do {
        if (!send_out(session) || session->out.len > 0)
            return;
        if (!session_h2_give(session->h2, &session->out, OUT_HIGH, &err)) {
            session_fail(&session->core, &err);
            return;
        }
    } while (session->out.len > 0);
    if (session_h2_over(session->h2, &err))
        session_fail(&session->core, &err);
}

static void receive(struct session *session)
{
    char chunk[CHUNK];
    struct err err;
    session->unread = true;
    for (int i = 0; i < READS_MAX && session->unread; i++) {
        const ssize_t n = session_wire_recv(session->wire, chunk, sizeof chunk, &err);
        if (n == WIRE_AGAIN) {
            session->unread = false;
            break;
        }
        if (n == 0)
            err_set(&err, ERR_NET, "the daemon closed the build session");
        session->silent_ticks = 0;
        if (n <= 0 || !session_h2_take(session->h2, chunk, (size_t)n, &err)) {
            session_fail(&session->core, &err);
            return;
        }
        if (session->end_timer)
            return;
    }
    if (session->unread)
        session_poke(&session->core);
    else
        session_wire_want(session->wire, WATCH_READ);
}

static void on_ready(void *arg, int events)
{
    struct session *session = arg;
    if (session->end_timer)
        return;
    if (events & WATCH_READ)
        receive(session);
    serve(session);
}

static void on_poke(void *arg)
{
    struct session *session = arg;
    session->poke_timer = NULL;
    if (session->unread && !session->end_timer)
        receive(session);
    serve(session);
}

void session_poke(struct session_core *core)
{
    struct session *session = (struct session *)core;
    if (!session->poke_timer && !session->ended)
        session->poke_timer = timer_start(core->loop, 0, on_poke, session);
}

/* Between two ticks the loop takes what is there: after a stopped machine's sleep nobody is taken
   for silent. */
static void on_silence(void *arg)
{
    struct session *session = arg;
    const uint64_t silence_ms = session->core.spec.silence_ms;
    session->silence_timer = NULL;
    if (session->silent_ticks++ < SILENT_TICKS) {
        session->silence_timer =
            timer_start(session->core.loop, silence_ms / SILENT_TICKS, on_silence, session);
        return;
    }
    struct err err;
    err_set(&err, ERR_TIMEOUT,
            "the build session had no sign of life for %.3g s; is its daemon alive?",
            (double)silence_ms / 1000);
    session_fail(&session->core, &err);
}

/* --- starting --------------------------------------------------------------------------------- */

static void on_wire(void *arg, const struct err *err)
{
    struct session *session = arg;
    struct err why;
    if (err->kind != ERR_NONE) {
        session->wire = NULL;
        session_note(&session->core, err);
        finish(session);
        return;
    }
    session->h2 = session_h2_new(&session->core, &why);
    if (!session->h2) {
        session_fail(&session->core, &why);
        return;
    }
    session->stood = true;
    session_wire_listen(session->wire, on_ready, session);
    if (session->core.spec.silence_ms)
        on_silence(session);
    on_ready(session, WATCH_READ);
    session->core.spec.opened(session->arg);
}

static bool check_dirs(const struct session_gifts *dirs, struct err *err)
{
    for (size_t i = 0; i < dirs->count; i++) {
        const int fd = open(dirs->list[i].value, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return err_system(err, errno, "cannot open the build context %s", dirs->list[i].value);
        close(fd);
    }
    return true;
}

static bool make_id(char *id, struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[ID_BYTES];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return err_system(err, errno, "cannot make an id");
    for (int i = 0; i < ID_BYTES; i++) {
        id[2 * i] = digits[random[i] >> 4];
        id[2 * i + 1] = digits[random[i] & 15];
    }
    return true;
}

struct session *session_start(struct loop *loop, const struct session_spec *spec,
                              session_done *done, void *arg, struct err *err)
{
    if (!check_dirs(&spec->dirs, err))
        return NULL;
    struct session *session = mem_alloc(sizeof *session);
    *session = (struct session){.core.loop = loop, .done = done, .arg = arg};
    buf_init(&session->out, OUT_MAX);
    copy_spec(&session->core.spec, spec);
    const struct session_spec *own = &session->core.spec;
    const struct session_wire_spec wire = {
        .place = own->place, .api = own->api, .id = session->id,
        .shared_key = own->shared_key, .methods = grpc_paths, .timeout_ms = own->timeout_ms,
    };
    if (make_id(session->id, err))
        session->wire = session_wire_start(loop, &wire, on_wire, session, err);
    if (session->wire)
        return session;
    release(session);
    return NULL;
}

const char *session_id(const struct session *session)
{
    return session->id;
}

const struct err *session_failure(const struct session *session)
{
    return &session->core.err;
}

const struct session_stats *session_stats(const struct session *session)
{
    return &session->core.stats;
}
