#include "prim/http.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "prim/http_core.h"
#include "prim/http_easy.h"

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

const char *http_where(const struct http *http, char *text, size_t size)
{
    return http_easy_where(&http->url, &http->spec.peer, text, size);
}

void http_hear(struct http *http)
{
    http->heard = loop_now(http_pool_loop(http->pool));
}

/* --- the end ---------------------------------------------------------------------------------- */

void http_finish(struct http *http)
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
    http_finish(http);
}

/* The first reason stays. */
static void stop(struct http *http, enum err_kind kind, const char *why)
{
    if (http->stopped)
        return;
    http->stopped = true;
    char name[WHERE_MAX];
    if (http->result.err.kind == ERR_NONE)
        err_set(&http->result.err, kind, why, http_where(http, name, sizeof name));
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

/* --- what libcurl asks ------------------------------------------------------------------------ */

static size_t on_send(char *to, size_t one, size_t max, void *arg)
{
    (void)one;
    struct http *http = arg;
    http_hear(http);
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
    http_hear(http);
    return CURL_PREREQFUNC_OK;
}

static void on_body_ready(void *arg)
{
    struct http *http = arg;
    http_hear(http);
    curl_easy_pause(http->easy, http->held ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

/* --- starting --------------------------------------------------------------------------------- */

void http_aim(struct http *http, const char *to)
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
    http_answer_listen(http);
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
    http_hear(http);
}

struct http *http_start(struct http_pool *pool, const struct http_spec *spec, http_done *done,
                        void *arg, struct err *err)
{
    struct http *http = mem_alloc(sizeof *http);
    *http = (struct http){.pool = pool, .spec = *spec, .done = done, .arg = arg};
    http->spec.peer = (struct http_peer){.unix_path = mem_text(spec->peer.unix_path)};
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
    http_aim(http, spec->url);
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
