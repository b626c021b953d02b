#include "prim/repo_talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    ASK_MAX = 1 << 20,  /* bytes of a request */
    LINE_MAX_LEN = 64 << 10,
    PROGRESS_MS = 200,
};

static bool set_flag(bool *flag, const char *value)
{
    *flag = strcmp(value, "1") == 0;
    return true;
}

static bool ask_set(struct ask *ask, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **slot;
    } texts[] = {
        {"op", &ask->op},         {"url", &ask->url},   {"ref", &ask->ref},
        {"sha", &ask->sha},       {"into", &ask->into}, {"mirror", &ask->mirror},
        {"user", &ask->user},     {"dir", &ask->dir},   {"password", &ask->password},
        {"times", &ask->times},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].key, key) == 0) {
            *texts[i].slot = value;
            return true;
        }
    if (strcmp(key, "submodules") == 0)
        return set_flag(&ask->submodules, value);
    if (strcmp(key, "tags") == 0)
        return set_flag(&ask->tags, value);
    return strcmp(key, "dirty") == 0 && set_flag(&ask->dirty, value);
}

bool ask_read(int fd, struct ask *ask, struct err *err)
{
    *ask = (struct ask){0};
    buf_init(&ask->raw, ASK_MAX);
    /* one block for good: a credential must not stay behind in one that grew */
    char *room = buf_room(&ask->raw, ASK_MAX);
    for (ssize_t n = 1; n != 0;) {
        n = read(fd, room + ask->raw.len, ASK_MAX - ask->raw.len);
        if (n < 0 && errno != EINTR)
            return err_system(err, errno, "cannot read the request");
        if (n > 0)
            buf_grew(&ask->raw, (size_t)n);
    }
    if (ask->raw.len == ASK_MAX || (ask->raw.len > 0 && room[ask->raw.len - 1] != '\0'))
        return err_set(err, ERR_USAGE, "the request is cut or too long");
    const char *end = room + ask->raw.len;
    for (const char *p = room; p < end;) {
        const char *key = p, *value = p + strlen(p) + 1;
        if (value >= end || !ask_set(ask, key, value))
            return err_set(err, ERR_USAGE, "the request holds what this helper does not know: %s",
                           key);
        p = value + strlen(value) + 1;
    }
    if (!ask->op)
        return err_set(err, ERR_USAGE, "the request names no operation");
    return true;
}

void ask_fini(struct ask *ask)
{
    mem_wipe(ask->raw.data, ask->raw.cap);
    *ask = (struct ask){0};
}

/* One write, so that lines of several threads stay whole. A reader that is gone does not matter:
   the answer is for it alone. */
static void say(struct buf *line)
{
    buf_char(line, '\n');
    fd_write(STDOUT_FILENO, line->data, line->len);
    buf_fini(line);
}

static void add_value(struct buf *line, const char *value)
{
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            buf_text(line, "\\n");
        else if (*p == '\\')
            buf_text(line, "\\\\");
        else
            buf_char(line, *p);
    }
}

void talk_progress(const char *phase, uint64_t done, uint64_t total, uint64_t bytes)
{
    static _Atomic int64_t last; /* of this process: it does one operation */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, before = last;
    if (ms - before < PROGRESS_MS || !atomic_compare_exchange_strong(&last, &before, ms))
        return;
    struct buf line;
    buf_init(&line, LINE_MAX_LEN);
    buf_format(&line, "at %s %" PRIu64 " %" PRIu64 " %" PRIu64, phase, done, total, bytes);
    say(&line);
}

void talk_text(const char *key, const char *value)
{
    if (!value)
        return;
    struct buf line;
    buf_init(&line, LINE_MAX_LEN);
    buf_format(&line, "is %s ", key);
    add_value(&line, value);
    say(&line);
}

void talk_number(const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    talk_text(key, text);
}

void talk_end(const struct err *err)
{
    struct buf line;
    buf_init(&line, LINE_MAX_LEN);
    if (err->kind == ERR_NONE) {
        buf_text(&line, "end ok");
    } else {
        buf_format(&line, "end %s ", err_kind_name(err->kind));
        add_value(&line, err->message);
    }
    say(&line);
}
