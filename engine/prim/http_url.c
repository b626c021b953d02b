#include "prim/http_url.h"

#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/mem.h"

static char *part(CURLU *parsed, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(parsed, what, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = mem_text(text);
    curl_free(text);
    return copy;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* The text itself stays out of messages: its query may hold a credential. */
static bool read_parts(struct http_url *url, CURLU *parsed, struct err *err)
{
    char *user = part(parsed, CURLUPART_USER, 0), *password = part(parsed, CURLUPART_PASSWORD, 0);
    const bool secret = user || password;
    mem_free(user);
    mem_free(password);
    if (secret)
        return err_set(err, ERR_USAGE,
                       "a URL must not hold a user name or password: use the option 'basic'");
    url->scheme = part(parsed, CURLUPART_SCHEME, 0);
    url->host = part(parsed, CURLUPART_HOST, 0);
    url->port = part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!url->scheme || (strcmp(url->scheme, "http") != 0 && strcmp(url->scheme, "https") != 0))
        return err_set(err, ERR_USAGE, "only http:// and https:// URLs can be asked for, not %s:",
                       url->scheme ? url->scheme : "");
    if (!url->host || !url->port)
        return err_set(err, ERR_USAGE, "the URL names no host");
    url->loopback = is_loopback(url->host);
    return true;
}

/* Shown without what may be a credential: the query, and all before an '@'. */
static bool malformed(const char *text, CURLUcode code, struct err *err)
{
    enum { SHOWN_MAX = 200 };
    const size_t len = strcspn(text, "?#");
    const char *at = memrchr(text, '@', len);
    const char *from = at ? at + 1 : text;
    const size_t shown = len - (size_t)(from - text);
    return err_set(err, ERR_USAGE, "the URL '%.*s' is malformed: %s",
                   (int)(shown < SHOWN_MAX ? shown : SHOWN_MAX), from,
                   code == CURLUE_BAD_SCHEME ? "it is to begin with http:// or https://"
                                             : curl_url_strerror(code));
}

bool http_url_init(struct http_url *url, const char *text, struct err *err)
{
    *url = (struct http_url){0};
    CURLU *parsed = curl_url();
    const CURLUcode code = curl_url_set(parsed, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    const bool good =
        code == CURLUE_OK ? read_parts(url, parsed, err) : malformed(text, code, err);
    curl_url_cleanup(parsed);
    if (!good)
        http_url_fini(url);
    return good;
}

void http_url_fini(struct http_url *url)
{
    mem_free(url->scheme);
    mem_free(url->host);
    mem_free(url->port);
    *url = (struct http_url){0};
}

bool http_url_same(const struct http_url *one, const struct http_url *other)
{
    return strcmp(one->scheme, other->scheme) == 0 && strcasecmp(one->host, other->host) == 0 &&
           strcmp(one->port, other->port) == 0;
}
