#include "prim/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/proc.h"

enum {
    ASK_MAX = 1 << 20,     /* bytes of a request, as in repo_talk.c */
    LINE_MAX_LEN = 128 << 10, /* bytes of a line of the answer */
    SAID_MAX = 4 << 10,    /* bytes kept of what the helper wrote to standard error */
    GRACE_MS = 15000,      /* for deleting a large tree that was half written */
};

static const char *const text_names[REPO_TEXTS] = {
    [REPO_SHA] = "sha",         [REPO_REF] = "ref",       [REPO_BRANCH] = "branch",
    [REPO_TAG] = "tag",         [REPO_SUBJECT] = "subject", [REPO_AUTHOR] = "author",
    [REPO_TOP] = "top",         [REPO_REMOTE_URL] = "remote_url", [REPO_URL] = "url",
};
static const char *const number_names[REPO_NUMBERS] = {
    [REPO_TIME] = "time",         [REPO_FILES] = "files",
    [REPO_OBJECTS] = "objects",   [REPO_BYTES] = "bytes",
    [REPO_FETCH_US] = "fetch_us", [REPO_CHECKOUT_US] = "checkout_us",
    [REPO_MIRROR_HIT] = "mirror_hit", [REPO_DIRTY] = "dirty",
};

struct repo {
    struct loop *loop;
    struct proc *proc;
    repo_done *done;
    void *arg;
    struct timer *idle_timer, *timeout_timer;
    uint64_t idle_ms, timeout_ms, heard; /* when it last said something */
    struct err stopped;                  /* why we stopped it; kind ERR_NONE if we did not */
    bool ended;                          /* the end line came */
    struct buf line, said;
    struct repo_result result;
    char *text[REPO_TEXTS];
};

/* --- the answer --------------------------------------------------------------------------- */

static void unescape(char *value)
{
    char *to = value;
    for (const char *p = value; *p; p++) {
        if (*p == '\\' && p[1] != '\0')
            *to++ = *++p == 'n' ? '\n' : *p;
        else
            *to++ = *p;
    }
    *to = '\0';
}

/* Cuts text at its first blank; returns what is behind it. */
static char *cut(char *text)
{
    char *blank = strchr(text, ' ');
    if (!blank)
        return text + strlen(text);
    *blank = '\0';
    return blank + 1;
}

static void take_value(struct repo *repo, const char *key, const char *value)
{
    for (int i = 0; i < REPO_TEXTS; i++)
        if (strcmp(text_names[i], key) == 0) {
            mem_free(repo->text[i]);
            repo->result.text[i] = repo->text[i] = mem_text(value);
        }
    for (int i = 0; i < REPO_NUMBERS; i++)
        if (strcmp(number_names[i], key) == 0)
            repo->result.number[i] = strtoll(value, NULL, 10);
}

static void take_line(struct repo *repo, char *line)
{
    char *rest = cut(line);
    if (strcmp(line, "is") == 0) {
        char *value = cut(rest);
        unescape(value);
        take_value(repo, rest, value);
    } else if (strcmp(line, "end") == 0) {
        char *message = cut(rest);
        unescape(message);
        repo->ended = true;
        if (strcmp(rest, "ok") == 0)
            return;
        enum err_kind kind = err_kind_named(rest);
        err_set(&repo->result.err, kind ? kind : ERR_FAILED, "%s", message);
    }
}

static void on_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
    struct repo *repo = arg;
    if (stream == PROC_STDERR) {
        size_t room = repo->said.max - repo->said.len;
        buf_add(&repo->said, data, len < room ? len : room);
        return;
    }
    repo->heard = loop_now(repo->loop);
    buf_add(&repo->line, data, len); /* passing the ceiling leaves a line without end: no result */
    char *start = repo->line.data;
    for (char *end; start && (end = strchr(start, '\n')); start = end + 1) {
        *end = '\0';
        take_line(repo, start);
    }
    if (start)
        buf_drop(&repo->line, (size_t)(start - repo->line.data));
}

/* --- the end ------------------------------------------------------------------------------ */

static void drop_timer(struct timer **timer)
{
    timer_cancel(*timer);
    *timer = NULL;
}

static void release(struct repo *repo)
{
    drop_timer(&repo->idle_timer);
    drop_timer(&repo->timeout_timer);
    buf_fini(&repo->line);
    buf_fini(&repo->said);
    for (int i = 0; i < REPO_TEXTS; i++)
        mem_free(repo->text[i]);
    mem_free(repo);
}

static void on_done(void *arg, const struct proc_result *ended)
{
    struct repo *repo = arg;
    struct err *err = &repo->result.err;
    if (repo->ended && ended->code == 0 && ended->err.kind == ERR_NONE) {
        /* it was through before it could be stopped: what it did stands */
    } else if (repo->stopped.kind != ERR_NONE) {
        *err = repo->stopped;
    } else if (!repo->ended || ended->code != 0) {
        err_set(err, ERR_FAILED, "the git helper ended by %s %d without a result%s%s",
                ended->signal ? "signal" : "status", ended->signal ? ended->signal : ended->code,
                repo->said.len ? ": " : "", repo->said.len ? repo->said.data : "");
    }
    repo->done(repo->arg, &repo->result);
    release(repo);
}

static void stop(struct repo *repo)
{
    drop_timer(&repo->idle_timer);
    drop_timer(&repo->timeout_timer);
    proc_cancel(repo->proc);
}

static const char *where(const struct repo *repo)
{
    const char *url = repo->text[REPO_URL];
    return url ? url : "the repository";
}

static void on_timeout(void *arg)
{
    struct repo *repo = arg;
    repo->timeout_timer = NULL;
    err_set(&repo->stopped, ERR_TIMEOUT, "%s was not there after %.3g s, and was given up",
            where(repo), (double)repo->timeout_ms / 1000);
    stop(repo);
}

static void on_idle(void *arg)
{
    struct repo *repo = arg;
    uint64_t silent = loop_clock(repo->loop) - repo->heard;
    repo->idle_timer = NULL;
    if (silent < repo->idle_ms) {
        repo->idle_timer = timer_start(repo->loop, repo->idle_ms - silent, on_idle, repo);
        return;
    }
    err_set(&repo->stopped, ERR_TIMEOUT, "nothing came from %s for %.3g s, and it was given up",
            where(repo), (double)repo->idle_ms / 1000);
    stop(repo);
}

void repo_cancel(struct repo *repo)
{
    if (repo->stopped.kind == ERR_NONE)
        err_set(&repo->stopped, ERR_CANCELLED, "cancelled");
    stop(repo);
}

/* --- starting ----------------------------------------------------------------------------- */

static bool add(struct buf *ask, const char *key, const char *value)
{
    return !value || (buf_add(ask, key, strlen(key) + 1) && buf_add(ask, value, strlen(value) + 1));
}

static bool write_ask(struct buf *ask, const struct repo_spec *spec)
{
    return buf_room(ask, ASK_MAX - 1) && /* a block that grows would leave the password behind */
           add(ask, "op", spec->op == REPO_INFO ? "info" : "checkout") &&
           add(ask, "url", spec->url) && add(ask, "ref", spec->ref) && add(ask, "sha", spec->sha) &&
           add(ask, "into", spec->into) && add(ask, "mirror", spec->mirror) &&
           add(ask, "times", spec->times) &&
           add(ask, "user", spec->user) && add(ask, "password", spec->password) &&
           add(ask, "dir", spec->dir) && add(ask, "submodules", spec->submodules ? "1" : NULL) &&
           add(ask, "tags", spec->tags ? "1" : NULL) && add(ask, "dirty", spec->dirty ? "1" : NULL);
}

struct repo *repo_start(struct loop *loop, const struct repo_spec *spec, repo_done *done, void *arg,
                        struct err *err)
{
    struct buf ask;
    buf_init(&ask, ASK_MAX - 1);
    struct repo *repo = mem_alloc(sizeof *repo);
    *repo = (struct repo){.loop = loop, .done = done, .arg = arg, .idle_ms = spec->idle_ms,
                          .timeout_ms = spec->timeout_ms};
    buf_init(&repo->line, LINE_MAX_LEN);
    buf_init(&repo->said, SAID_MAX);
    for (int i = 0; i < REPO_NUMBERS; i++)
        repo->result.number[i] = -1;
    if (write_ask(&ask, spec)) {
        const char *const argv[] = {spec->helper, NULL};
        const struct proc_spec proc = {.argv = argv, .input = ask.data, .input_len = ask.len,
                                       .split = true, .grace_ms = GRACE_MS, .output = on_output};
        repo->proc = proc_start(loop, &proc, on_done, repo, err);
    } else {
        err_set(err, ERR_LIMIT, "the options of a checkout are longer than %d bytes", ASK_MAX);
    }
    mem_wipe(ask.data, ask.cap);
    if (!repo->proc) {
        release(repo);
        return NULL;
    }
    repo->heard = loop_clock(loop);
    if (spec->timeout_ms)
        repo->timeout_timer = timer_start(loop, spec->timeout_ms, on_timeout, repo);
    if (spec->idle_ms)
        repo->idle_timer = timer_start(loop, spec->idle_ms, on_idle, repo);
    return repo;
}
