#include "prim/http_core.h"

#include <string.h>

#include "base/mem.h"
#include "prim/http_easy.h"
#include "prim/http_head.h"

enum {
    HEAD_MAX = 256 << 10, /* bytes of all heads of one answer */
    SKIP_MAX = 64 << 10,  /* bytes of a redirect's body that are read for the connection's sake */
};

/* --- redirects -------------------------------------------------------------------------------- */

static bool leads_on(const struct http *http, int status)
{
    return http->spec.redirects > 0 && !http->has_body &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           http_head_get(http->head, "location");
}

static bool next_url(struct http *http, struct err *err)
{
    char *to = NULL;
    struct http_url url;
    char from[WHERE_MAX];
    http_where(http, from, sizeof from);
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
    mem_wipe(http->to, http->to ? strlen(http->to) : 0); /* its query may hold a credential */
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
    http_aim(http, http->to);
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
    http_finish(http);
}

/* --- head and body ------------------------------------------------------------------- */

/* An answer has come, so nobody wants the rest of the body. libcurl stops sending by itself, but
   not while it is paused; it may not be unpaused from inside its own callback. */
static void on_drop(void *arg)
{
    struct http *http = arg;
    http->drop_timer = NULL;
    http_body_drop(&http->body);
    curl_easy_pause(http->easy, http->held ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

/* libcurl takes the last of several lengths, and none for one that is too large: a body that was
   cut would pass for whole (RFC 9112, 6.3). The same one twice is allowed. */
static bool length_is_clear(const struct http_head *head)
{
    const char *length = http_head_get(head, "content-length");
    if (!length || http_head_get(head, "transfer-encoding"))
        return true;
    const size_t len = strspn(length, "0123456789");
    const char *rest = length + len;
    while (strncmp(rest, ", ", 2) == 0 && strncmp(rest + 2, length, len) == 0)
        rest += 2 + len;
    return len > 0 && len <= 18 && !*rest;
}

static bool head_over(struct http *http)
{
    struct http_head *head = http->head;
    struct err *err = &http->result.err;
    char name[WHERE_MAX];
    if (!length_is_clear(head))
        return err_set(err, ERR_REMOTE, "the answer of %s has no valid Content-Length: %s",
                       http_where(http, name, sizeof name), http_head_get(head, "content-length"));
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
    http_hear(http);
    if (http->stopped)
        return 0;
    http->head_bytes += len;
    if (http->head_bytes > HEAD_MAX)
        err_set(err, ERR_LIMIT, "the head of %s's answer is longer than %d bytes",
                http_where(http, name, sizeof name), HEAD_MAX);
    else if (http->headed)
        return len; /* a trailer */
    else if (!http->head && !(http->head = http_head_new(line, len)))
        err_set(err, ERR_REMOTE, "the answer of %s has no valid status line",
                http_where(http, name, sizeof name));
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
    http_hear(http);
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
                http_where(http, name, sizeof name), (unsigned long long)http->spec.body_max);
        return 0;
    }
    if (http->file)
        return http_file_write(http->file, data, len, err) ? len : 0;
    http->spec.output(http->arg, data, len);
    return len;
}

void http_answer_listen(struct http *http)
{
    CURL *easy = http->easy;
    http->leg = (struct http_leg){.ended = on_ended, .arg = http};
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
}
