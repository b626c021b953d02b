#include "prim/http.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "prim/http_body.h"
#include "prim/http_easy.h"
#include "prim/http_file.h"
#include "prim/http_head.h"
#include "prim/http_pool.h"

enum {
    HEAD_MAX = 256 << 10, /* bytes of all heads of one answer */
    WHERE_MAX = 256,
    SKIP_MAX = 64 << 10,  /* bytes of a redirect's body that are read for the connection's sake */
};

struct http {
    struct http_pool *pool;
    struct http_spec spec; /* calls and numbers; pointers were the caller's, peer is ours */
    http_done *done;
    void *arg;
    CURL *easy;
    struct http_leg leg;
    struct curl_slist *fields, *harmless;
    char *user, *password, *file_path, *to;
    struct http_url url;
    struct http_body body;
    struct http_head *head; /* until handed over */
    struct http_file *file;
    struct timer *end_timer, *timeout_timer, *idle_timer, *drop_timer;
    size_t head_bytes, skipped;
    uint64_t body_bytes, heard; /* heard: when the last byte went either way */
    unsigned hops;
    bool has_body, headed, following, abroad; /* abroad: led away from the caller's server */
    bool connected, stopped, held; /* held: libcurl waits for http_flow(true) */
    struct http_result result;
    char detail[CURL_ERROR_SIZE];
};

static void drop_timer(struct timer **timer)
{
    timer_cancel(*timer);
    *timer = NULL;
}

static void free_fields(struct curl_slist *list)
{
    for (struct curl_slist *line = list; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(list);
}

static void free_secret(char *text)
{
    mem_wipe(text, text ? strlen(text) : 0);
}

static void release(struct http *http)
{
    drop_timer(&http->end_timer);
    drop_timer(&http->timeout_timer);
    drop_timer(&http->idle_timer);
    drop_timer(&http->drop_timer);
    http_file_close(http->file, false, NULL);
    if (http->easy)
        curl_easy_cleanup(http->easy);
    free_fields(http->fields);
    free_fields(http->harmless);
    free_secret(http->user);
    free_secret(http->password);
    http_url_fini(&http->url);
    http_body_fini(&http->body);
    http_head_free(http->head);
    mem_free((char *)http->spec.peer.unix_path);
    mem_free(http->file_path);
    free_secret(http->to);
    mem_free(http);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void finish(struct http *http)
{
    http_pool_drop(http->pool, http->easy);
    if (http->result.err.kind == ERR_NONE && http->file) {
        http_file_close(http->file, true, &http->result.err);
        http->file = NULL;
    }
    http_done *done = http->done;
    void *arg = http->arg;
    const struct http_result result = http->result;
    release(http);
    done(arg, &result);
}

static void on_end(void *arg)
{
    struct http *http = arg;
    http->end_timer = NULL;
    finish(http);
}

static const char *where(const struct http *http, char *text, size_t size)
{
    return http_easy_where(&http->url, &http->spec.peer, text, size);
}

/* The first reason stays. */
static void stop(struct http *http, enum err_kind kind, const char *why)
{
    if (http->stopped)
        return;
    http->stopped = true;
    char name[WHERE_MAX];
    if (http->result.err.kind == ERR_NONE)
        err_set(&http->result.err, kind, why, where(http, name, sizeof name));
    http->end_timer = timer_start(http_pool_loop(http->pool), 0, on_end, http);
}

static void on_timeout(void *arg)
{
    struct http *http = arg;
    http->timeout_timer = NULL;
    stop(http, ERR_TIMEOUT, "the request to %s took too long in all (option 'timeout')");
}

static void on_idle(void *arg)
{
    struct http *http = arg;
    const uint64_t now = loop_now(http_pool_loop(http->pool));
    http->idle_timer = NULL;
    if (!http->connected || http->held || http->body.waiting)
        http->heard = now; /* it is not the server that is late */
    const uint64_t silent = now - http->heard;
    if (silent >= http->spec.idle_timeout_ms)
        stop(http, ERR_TIMEOUT, "%s was silent for too long (option 'idle_timeout')");
    else
        http->idle_timer = timer_start(http_pool_loop(http->pool),
                                       http->spec.idle_timeout_ms - silent, on_idle, http);
}

static void hear(struct http *http)
{
    http->heard = loop_now(http_pool_loop(http->pool));
}

/* --- redirects ------------------------------------------------------------------------------------ */

static bool leads_on(const struct http *http, int status)
{
    return http->spec.redirects > 0 && !http->has_body &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           http_head_get(http->head, "location");
}

static void aim(struct http *http, const char *to)
{
    http_easy_aim(http->easy, &http->url, to, http->spec.peer.unix_path != NULL);
    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER,
                     http->abroad ? http->harmless : http->fields);
    curl_easy_setopt(http->easy, CURLOPT_USERNAME, http->abroad ? NULL : http->user);
    curl_easy_setopt(http->easy, CURLOPT_PASSWORD, http->abroad ? NULL : http->password);
    if (http->abroad) {
        curl_easy_setopt(http->easy, CURLOPT_SSLCERT, NULL);
        curl_easy_setopt(http->easy, CURLOPT_SSLKEY, NULL);
    }
}

static bool next_url(struct http *http, struct err *err)
{
    char *to = NULL;
    struct http_url url;
    char from[WHERE_MAX];
    where(http, from, sizeof from);
    curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_URL, &to);
    if (!to || !http_url_init(&url, to, err))
        return err_set(err, ERR_REMOTE, "%s redirects to something that is no web address", from);
    const bool same = http_url_same(&url, &http->url);
    bool good = true;
    if (++http->hops > http->spec.redirects)
        good = err_set(err, ERR_LIMIT, "%s redirects once more after %u redirects", from,
                       http->spec.redirects);
    else if (strcmp(http->url.scheme, "https") == 0 && strcmp(url.scheme, "http") == 0)
        good = err_set(err, ERR_REMOTE, "%s redirects from https to plain http, which is refused",
                       from);
    else if (!same && http->spec.peer.unix_path)
        good = err_set(err, ERR_REMOTE, "%s redirects to another server, which is refused", from);
    if (!good) {
        http_url_fini(&url);
        return false;
    }
    http->abroad = http->abroad || !same;
    http_url_fini(&http->url);
    http->url = url;
    free_secret(http->to);
    http->to = mem_text(to);
    return true;
}

static bool follow(struct http *http)
{
    if (!next_url(http, &http->result.err))
        return false;
    http_pool_drop(http->pool, http->easy);
    http_head_free(http->head);
    http->head = NULL;
    http->head_bytes = http->skipped = 0;
    http->headed = http->following = false;
    aim(http, http->to);
    http_pool_add(http->pool, http->easy, &http->leg);
    return true;
}

static void on_ended(void *arg, CURLcode code)
{
    struct http *http = arg;
    struct err *err = &http->result.err;
    if (!http->stopped && http->following && err->kind == ERR_NONE && follow(http))
        return;
    if (code != CURLE_OK && err->kind == ERR_NONE)
        http_easy_fault(http->easy, code, &http->url, &http->spec.peer, http->detail, err);
    finish(http);
}

/* --- what libcurl asks and tells ------------------------------------------------------------------- */

/* An answer has come, so nobody wants the rest of the body. libcurl stops sending by itself, but not
   while it is paused; it may not be unpaused from inside its own callback. */
static void on_drop(void *arg)
{
    struct http *http = arg;
    http->drop_timer = NULL;
    http_body_drop(&http->body);
    curl_easy_pause(http->easy, http->held ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

static bool head_over(struct http *http)
{
    struct http_head *head = http->head;
    struct err *err = &http->result.err;
    if (head->status < 200 && head->status != 101) {
        http_head_free(head);
        http->head = NULL;
        return true;
    }
    http->headed = true;
    if (leads_on(http, head->status)) {
        http->following = true;
        return true;
    }
    if (head->status >= 300 && http->body.fd >= 0)
        http->drop_timer = timer_start(http_pool_loop(http->pool), 0, on_drop, http);
    if (http->file_path && head->status >= 200 && head->status < 300) {
        http->file = http_file_open(http->file_path, err);
        if (!http->file)
            return false;
    }
    char *url = NULL;
    curl_easy_getinfo(http->easy, CURLINFO_EFFECTIVE_URL, &url);
    head->url = mem_text(url ? url : "");
    http->head = NULL;
    http->spec.head(http->arg, head);
    return true;
}

static size_t on_head_line(char *line, size_t one, size_t len, void *arg)
{
    (void)one;
    struct http *http = arg;
    struct err *err = &http->result.err;
    char name[WHERE_MAX];
    hear(http);
    if (http->stopped)
        return 0;
    http->head_bytes += len;
    if (http->head_bytes > HEAD_MAX)
        err_set(err, ERR_LIMIT, "the head of %s's answer is longer than %d bytes",
                where(http, name, sizeof name), HEAD_MAX);
    else if (http->headed)
        return len; /* a trailer */
    else if (!http->head && !(http->head = http_head_new(line, len)))
        err_set(err, ERR_REMOTE, "the answer of %s has no valid status line",
                where(http, name, sizeof name));
    else if (len <= 2 && (line[0] == '\r' || line[0] == '\n'))
        return head_over(http) ? len : 0;
    else if (memcmp(line, "HTTP/", len < 5 ? len : 5) == 0)
        return len;
    else if (http_head_add(http->head, line, len, err))
        return len;
    return 0;
}

static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
    (void)one;
    struct http *http = arg;
    struct err *err = &http->result.err;
    char name[WHERE_MAX];
    hear(http);
    if (http->stopped)
        return 0;
    if (http->following) {
        http->skipped += len;
        return http->skipped > SKIP_MAX ? 0 : len;
    }
    if (http->held)
        return CURL_WRITEFUNC_PAUSE;
    http->body_bytes += len;
    if (http->spec.body_max && http->body_bytes > http->spec.body_max) {
        err_set(err, ERR_LIMIT, "the answer of %s is longer than %llu bytes (option 'body_max')",
                where(http, name, sizeof name), (unsigned long long)http->spec.body_max);
        return 0;
    }
    if (http->file)
        return http_file_write(http->file, data, len, err) ? len : 0;
    http->spec.output(http->arg, data, len);
    return len;
}

static size_t on_send(char *to, size_t one, size_t max, void *arg)
{
    (void)one;
    struct http *http = arg;
    hear(http);
    return http_body_read(&http->body, to, max, &http->result.err);
}

static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    struct http *http = arg;
    return origin == SEEK_SET && offset == 0 && http_body_rewind(&http->body)
               ? CURL_SEEKFUNC_OK
               : CURL_SEEKFUNC_FAIL;
}

static int on_connected(void *arg, char *ours, char *theirs, int port, int their_port)
{
    (void)ours, (void)theirs, (void)port, (void)their_port;
    struct http *http = arg;
    http->connected = true;
    hear(http);
    return CURL_PREREQFUNC_OK;
}

static void on_body_ready(void *arg)
{
    struct http *http = arg;
    hear(http);
    curl_easy_pause(http->easy, http->held ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

/* --- starting ------------------------------------------------------------------------------------ */

static bool is_harmless(const char *name)
{
    return strcasecmp(name, "accept") == 0 || strcasecmp(name, "user-agent") == 0;
}

static void add_field(struct curl_slist **list, const struct http_field *field)
{
    const size_t name_len = strlen(field->name), value_len = strlen(field->value);
    char *line = mem_alloc(name_len + value_len + 3);
    memcpy(line, field->name, name_len);
    memcpy(line + name_len, value_len ? ": " : ";", value_len ? 2 : 1);
    memcpy(line + name_len + (value_len ? 2 : 1), field->value, value_len);
    *list = curl_slist_append(*list, line);
    mem_wipe(line, name_len + value_len + 3);
}

static void copy_fields(struct http *http, const struct http_spec *spec)
{
    http->fields = curl_slist_append(NULL, "Expect:");
    http->harmless = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < spec->field_count; i++) {
        add_field(&http->fields, &spec->fields[i]);
        if (is_harmless(spec->fields[i].name))
            add_field(&http->harmless, &spec->fields[i]);
    }
}

static void set_method(struct http *http, const struct http_spec *spec)
{
    CURL *easy = http->easy;
    const bool sends = http->has_body || strcmp(spec->method, "POST") == 0 ||
                       strcmp(spec->method, "PUT") == 0 || strcmp(spec->method, "PATCH") == 0;
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (sends) { /* not CURLOPT_POST: it would call the body a form */
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)http->body.length);
    } else if (strcmp(spec->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
    /* such a body cannot be sent again if a kept connection turns out to be dead */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, http->body.fd >= 0 ? 1L : 0L);
}

static void set_calls(struct http *http)
{
    CURL *easy = http->easy;
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->detail);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_READDATA, http);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, http);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, http);
}

static void start_timers(struct http *http)
{
    struct loop *loop = http_pool_loop(http->pool);
    if (http->spec.timeout_ms)
        http->timeout_timer = timer_start(loop, http->spec.timeout_ms, on_timeout, http);
    if (http->spec.idle_timeout_ms)
        http->idle_timer = timer_start(loop, http->spec.idle_timeout_ms, on_idle, http);
    hear(http);
}

struct http *http_start(struct http_pool *pool, const struct http_spec *spec, http_done *done,
                        void *arg, struct err *err)
{
    struct http *http = mem_alloc(sizeof *http);
    *http = (struct http){.pool = pool, .spec = *spec, .done = done, .arg = arg};
    http->spec.peer = (struct http_peer){.unix_path = mem_text(spec->peer.unix_path)};
    http->leg = (struct http_leg){.ended = on_ended, .arg = http};
    http->body.ready = on_body_ready;
    http->body.arg = http;
    http->has_body = spec->body || spec->body_fd >= 0;
    if (!http_body_init(&http->body, http_pool_loop(pool), spec, err) ||
        !http_url_init(&http->url, spec->url, err) ||
        !(http->easy = http_easy_new(&spec->peer, err))) {
        release(http);
        return NULL;
    }
    struct http_spec named = *spec;
    if (!named.method)
        named.method = http->has_body ? "POST" : "GET";
    if (strcmp(named.method, "GET") != 0 && strcmp(named.method, "HEAD") != 0)
        http->spec.redirects = 0;
    copy_fields(http, spec);
    http->user = mem_text(spec->user);
    http->password = mem_text(spec->password);
    http->file_path = mem_text(spec->file);
    set_calls(http);
    set_method(http, &named);
    aim(http, spec->url);
    start_timers(http);
    http_pool_add(pool, http->easy, &http->leg);
    return http;
}

void http_cancel(struct http *http)
{
    stop(http, ERR_CANCELLED, "the request to %s was cancelled");
}

void http_flow(struct http *http, bool on)
{
    if (http->held != on)
        return;
    http->held = !on;
    if (on)
        curl_easy_pause(http->easy, http->body.waiting ? CURLPAUSE_SEND : CURLPAUSE_CONT);
}
