#include "prim/repo_http.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <git2.h>
#include <git2/sys/transport.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prim/repo_refs.h"

#define REFS_PATH "/info/refs?service=git-upload-pack"
/* What a forge takes for the user of a token. */
#define TOKEN_USER "x-access-token"

enum {
    REDIRECTS_MAX = 5,
    ASK_MAX = 64 << 20, /* bytes of a request: ids wanted and had */
    HELD_MAX = 64 << 20, /* bytes curl hands over before they are read; it gives some 100 KB */
    POLL_MS = 1000,
};

struct transport {
    git_smart_subtransport base;
    struct http_access *access;
    CURLM *multi;
    CURL *easy; /* one, so that its connection is used again */
    char *root; /* the repository's URL, after redirects */
    char words[CURL_ERROR_SIZE];
};

struct stream {
    git_smart_subtransport_stream base;
    struct transport *owner;
    struct curl_slist *headers;
    const char *type; /* what a git server's answer is */
    struct buf ask, held;
    size_t given; /* bytes of held that were read */
    uint64_t all;
    bool posts, started, checked, done;
    CURLcode code;
};

/* --- what went wrong ---------------------------------------------------------------------- */

static int failed(struct transport *transport)
{
    git_error_set_str(GIT_ERROR_HTTP, transport->access->err.message);
    return -1;
}

static bool is_ours(const struct transport *transport)
{
    struct url root;
    bool ours = url_parse(&root, transport->root, NULL) &&
                url_same_server(&root, transport->access->url);
    url_fini(&root);
    return ours;
}

static void set_auth(struct transport *transport, long status)
{
    const struct http_access *access = transport->access;
    const char *where = access->url->clean;
    struct err *err = &transport->access->err;
    if (!is_ours(transport))
        err_set(err, ERR_AUTH,
            "%s leads to another server, which asks for credentials; those given "
                               "are for %s only", where, access->url->host);
    else if (!access->password)
        err_set(err, ERR_AUTH,
            "%s asks for credentials (HTTP status %ld) and none were given: pass "
                               "user and password, or a token as password", where, status);
    else
        err_set(err, ERR_AUTH, "%s refused the credentials of user '%s' (HTTP status %ld)", where,
                access->user ? access->user : TOKEN_USER, status);
}

static int fail_status(struct transport *transport, long status)
{
    struct err *err = &transport->access->err;
    const char *where = transport->access->url->clean;
    if (status == 401 || status == 403 || status == 407)
        set_auth(transport, status);
    else if (status == 404 || status == 410)
        err_set(err, ERR_MISSING, "%s: repository not found, or not visible with %s (HTTP status "
                                  "%ld)", where,
                transport->access->password ? "these credentials" : "no credentials", status);
    else
        err_set(err, ERR_REMOTE, "%s answered HTTP status %ld; trying again later may help", where,
                status);
    err->code = (int)status;
    return failed(transport);
}

static int fail_curl(struct transport *transport, CURLcode code)
{
    struct err *err = &transport->access->err;
    const char *where = transport->access->url->clean;
    const char *words = transport->words[0] ? transport->words : curl_easy_strerror(code);
    switch (code) {
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
        err_set(err, ERR_REMOTE, "%s redirects where orch does not follow: %s", where, words);
        break;
    case CURLE_WRITE_ERROR:
    case CURLE_OUT_OF_MEMORY:
        if (err->kind == ERR_NONE)
            err_set(err, ERR_LIMIT, "%s sent more than is taken at once", where);
        break;
    default:
        err_set(err, ERR_NET, "cannot reach %s: %s", where, words);
    }
    err->code = (int)code;
    return failed(transport);
}

static int fail_type(struct transport *transport, const char *type)
{
    err_set(&transport->access->err, ERR_REMOTE,
        "%s gave no answer that a git server gives (%s): is "
                                                 "it the URL of a repository?",
            transport->access->url->clean, type ? type : "no content type");
    return failed(transport);
}

/* --- the answer's head -------------------------------------------------------------------- */

/* A redirect of the first request tells where the repository is: the rest goes there at once. */
static int take_root(struct transport *transport)
{
    const char *where = NULL;
    curl_easy_getinfo(transport->easy, CURLINFO_EFFECTIVE_URL, &where);
    const size_t len = where ? strlen(where) : 0, tail = strlen(REFS_PATH);
    if (len <= tail || strcmp(where + len - tail, REFS_PATH) != 0) {
        err_set(&transport->access->err, ERR_REMOTE, "%s redirects to something that is no "
                                                     "repository", transport->access->url->clean);
        return failed(transport);
    }
    mem_free(transport->root);
    transport->root = mem_textn(where, len - tail);
    return 0;
}

static int check_head(struct stream *stream)
{
    struct transport *transport = stream->owner;
    long status = 0;
    const char *type = NULL;
    stream->checked = true;
    curl_easy_getinfo(transport->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transport->easy, CURLINFO_CONTENT_TYPE, &type);
    if (!stream->posts && status < 300 && take_root(transport) != 0)
        return -1;
    if (status >= 300) {
        const char *where = NULL; /* who asked for credentials? */
        curl_easy_getinfo(transport->easy, CURLINFO_EFFECTIVE_URL, &where);
        mem_free(transport->root);
        transport->root = mem_text(where);
        return fail_status(transport, status);
    }
    return type && strcmp(type, stream->type) == 0 ? 0 : fail_type(transport, type);
}

/* --- one request -------------------------------------------------------------------------- */

/* libgit2 keeps all refs before it tells of any. */
static bool too_many_refs(struct stream *stream)
{
    struct transport *transport = stream->owner;
    return !stream->posts && stream->all > REFS_BYTES_MAX &&
           !err_set(&transport->access->err, ERR_LIMIT, "%s sent more than %d bytes of refs",
                    transport->access->url->clean, REFS_BYTES_MAX);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct stream *stream = arg;
    stream->all += size * count;
    if (too_many_refs(stream))
        return 0;
    return buf_add(&stream->held, data, size * count) ? size * count : 0;
}

static void set_common(struct stream *stream)
{
    struct transport *transport = stream->owner;
    const struct http_access *access = transport->access;
    CURL *easy = transport->easy;
    const bool secure = strncasecmp(transport->root, "https:", 6) == 0;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transport->words);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "git/2.0 (orch " ORCH_VERSION ")");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, stream->posts ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream->headers);
    if (access->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, access->proxy);
    if (access->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, access->ca_file);
    /* curl itself drops them when a redirect leads to another scheme, host or port */
    if (access->password && is_ours(transport)) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, access->user ? access->user : TOKEN_USER);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, access->password);
    }
}

static void start(struct stream *stream)
{
    struct transport *transport = stream->owner;
    CURL *easy = transport->easy;
    struct buf url;
    buf_init(&url, 64 << 10);
    stream->started = true;
    transport->words[0] = '\0';
    if (stream->posts) {
        stream->headers = curl_slist_append(
            stream->headers, "Content-Type: application/x-git-upload-pack-request");
        stream->headers = curl_slist_append(stream->headers,
                                            "Accept: application/x-git-upload-pack-result");
        stream->headers = curl_slist_append(stream->headers, "Expect:");
        stream->type = "application/x-git-upload-pack-result";
    } else {
        stream->type = "application/x-git-upload-pack-advertisement";
    }
    set_common(stream);
    buf_format(&url, "%s%s", transport->root, stream->posts ? "/git-upload-pack" : REFS_PATH);
    curl_easy_setopt(easy, CURLOPT_URL, url.data ? url.data : "");
    if (stream->posts) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)stream->ask.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, stream->ask.data ? stream->ask.data : "");
    }
    buf_fini(&url);
    curl_multi_add_handle(transport->multi, easy);
}

static void go_on(struct stream *stream)
{
    CURLM *multi = stream->owner->multi;
    int running = 0, left;
    curl_multi_perform(multi, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
        if (message->msg == CURLMSG_DONE) {
            stream->done = true;
            stream->code = message->data.result;
        }
    if (!stream->done && stream->held.len == 0)
        curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
}

/* --- libgit2's streams -------------------------------------------------------------------- */

static int stream_read(git_smart_subtransport_stream *base, char *data, size_t size, size_t *got)
{
    struct stream *stream = (struct stream *)base;
    *got = 0;
    if (!stream->started)
        start(stream);
    if (stream->given == stream->held.len) {
        buf_clear(&stream->held);
        stream->given = 0;
    }
    while (stream->held.len == 0 && !stream->done)
        go_on(stream);
    if (stream->held.len == 0 && stream->code != CURLE_OK)
        return fail_curl(stream->owner, stream->code);
    if (!stream->checked && check_head(stream) != 0)
        return -1;
    size_t left = stream->held.len - stream->given;
    *got = left < size ? left : size;
    if (*got > 0)
        memcpy(data, stream->held.data + stream->given, *got);
    stream->given += *got;
    return 0;
}

static int stream_write(git_smart_subtransport_stream *base, const char *data, size_t len)
{
    struct stream *stream = (struct stream *)base;
    if (!stream->started && buf_add(&stream->ask, data, len))
        return 0;
    git_error_set_str(GIT_ERROR_HTTP, "the request to the git server is too long");
    return -1;
}

static void stream_free(git_smart_subtransport_stream *base)
{
    struct stream *stream = (struct stream *)base;
    if (stream->started)
        curl_multi_remove_handle(stream->owner->multi, stream->owner->easy);
    curl_easy_setopt(stream->owner->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(stream->headers);
    buf_fini(&stream->ask);
    buf_fini(&stream->held);
    mem_free(stream);
}

static int transport_action(git_smart_subtransport_stream **out, git_smart_subtransport *base,
                            const char *url, git_smart_service_t service)
{
    struct transport *transport = (struct transport *)base;
    if (service != GIT_SERVICE_UPLOADPACK_LS && service != GIT_SERVICE_UPLOADPACK)
        return -1;
    if (!transport->root) {
        size_t len = strlen(url);
        while (len > 0 && url[len - 1] == '/')
            len--;
        transport->root = mem_textn(url, len);
    }
    struct stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct stream){.base = {base, stream_read, stream_write, stream_free},
                              .owner = transport, .posts = service == GIT_SERVICE_UPLOADPACK};
    buf_init(&stream->ask, ASK_MAX);
    buf_init(&stream->held, HELD_MAX);
    *out = &stream->base;
    return 0;
}

static int transport_close(git_smart_subtransport *base)
{
    (void)base;
    return 0;
}

static void transport_free(git_smart_subtransport *base)
{
    struct transport *transport = (struct transport *)base;
    curl_easy_cleanup(transport->easy);
    curl_multi_cleanup(transport->multi);
    mem_free(transport->root);
    mem_free(transport);
}

static int transport_new(git_smart_subtransport **out, git_transport *owner, void *param)
{
    (void)owner;
    struct transport *transport = mem_alloc(sizeof *transport);
    transport->base = (git_smart_subtransport){transport_action, transport_close, transport_free};
    transport->access = param;
    transport->multi = curl_multi_init();
    transport->easy = curl_easy_init();
    *out = &transport->base;
    return 0;
}

static int smart_new(git_transport **out, git_remote *owner, void *param)
{
    git_smart_subtransport_definition definition = {transport_new, 1, param};
    return git_transport_smart(out, owner, &definition);
}

void http_register(struct http_access *access)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    git_transport_register("http", smart_new, access);
    git_transport_register("https", smart_new, access);
}

void http_unregister(void)
{
    git_transport_unregister("http");
    git_transport_unregister("https");
    curl_global_cleanup();
}
