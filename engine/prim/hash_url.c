#include "prim/hash_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "prim/hash.h"

static bool odd_url(const char *why, struct err *err)
{
    return err_set(err, ERR_USAGE, "the url %s", why);
}

/* The ':' of the port or the end; NULL when the host is odd. */
static const char *host_end(const char *host, const char *end)
{
    if (host < end && *host == '[') {
        const char *close = memchr(host, ']', (size_t)(end - host));
        return close && (close + 1 == end || close[1] == ':') ? close + 1 : NULL;
    }
    const char *colon = memchr(host, ':', (size_t)(end - host));
    return colon ? colon : end;
}

static bool read_port(const char *at, const char *end, const char *fallback, struct buf *host)
{
    size_t digits = 0;
    while (at + 1 < end && *at == '0')
        at++;
    while (at + digits < end && isdigit((unsigned char)at[digits]))
        digits++;
    if (at + digits != end || digits > 5)
        return false;
    if (digits > 0 && (digits != strlen(fallback) || memcmp(at, fallback, digits) != 0))
        buf_format(host, ":%.*s", (int)digits, at);
    return true;
}

static bool read_authority(struct url *url, struct part text, const char *fallback,
                           struct err *err)
{
    const char *host = text.at, *end = text.at + text.len;
    for (const char *at = host; at < end; at++)
        if (*at == '@') /* the user's name and password stand before it */
            host = at + 1;
    const char *stop = host_end(host, end);
    if (!stop || stop == host)
        return odd_url("has no host, or an odd one", err);
    for (const char *at = host; at < stop; at++) {
        if (*at <= ' ' || *at > '~')
            return odd_url("has a host with odd characters", err);
        buf_char(&url->host, (char)tolower((unsigned char)*at));
    }
    return stop == end || read_port(stop + 1, end, fallback, &url->host) ||
           odd_url("has an odd port", err);
}

bool url_read(const char *text, struct url *url, struct err *err)
{
    *url = (struct url){0};
    buf_init(&url->host, URL_MAX);
    if (strlen(text) >= URL_MAX)
        return err_set(err, ERR_LIMIT, "the url is longer than %d bytes", URL_MAX);
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return odd_url("holds control characters", err);
    bool tls = strncasecmp(text, "https://", 8) == 0;
    if (!tls && strncasecmp(text, "http://", 7) != 0)
        return odd_url("does not begin with http:// or https://", err);
    const char *host = text + (tls ? 8 : 7);
    const char *path = host + strcspn(host, "/?#");
    const char *query = path + strcspn(path, "?#");
    url->path = (struct part){path, (size_t)(query - path)};
    url->before_query = (struct part){text, (size_t)(query - text)};
    if (*query == '?')
        url->query = (struct part){query + 1, strcspn(query + 1, "#")};
    return read_authority(url, (struct part){host, (size_t)(path - host)}, tls ? "443" : "80", err);
}

void url_fini(struct url *url)
{
    buf_fini(&url->host);
}

/* --- paths -------------------------------------------------------------------------------- */

bool url_clean_path(struct part path, struct buf *out)
{
    const char *end = path.at + path.len;
    bool good = true;
    for (const char *at = path.at; at < end;) {
        const char *next = memchr(at, '/', (size_t)(end - at));
        size_t len = (size_t)((next ? next : end) - at);
        if (len == 2 && memcmp(at, "..", 2) == 0) {
            while (out->len > 0 && out->data[--out->len] != '/')
                ;
            if (out->data)
                out->data[out->len] = '\0';
        } else if (len > 0 && !(len == 1 && *at == '.')) {
            good = good && buf_char(out, '/') && buf_add(out, at, len);
        }
        at = next ? next + 1 : end;
    }
    if (out->len == 0 || end[-1] == '/')
        good = good && buf_char(out, '/');
    return good;
}

static bool encode_byte(struct buf *out, unsigned char byte, bool slash)
{
    if ((byte < 0x80 && isalnum(byte)) || (byte && strchr("-._~", byte)) || (slash && byte == '/'))
        return buf_char(out, (char)byte);
    return buf_format(out, "%%%02X", byte);
}

bool url_encode(struct part text, bool slash, struct buf *out)
{
    bool good = true;
    for (size_t i = 0; good && i < text.len; i++)
        good = encode_byte(out, (unsigned char)text.at[i], slash);
    return good;
}

/* --- queries ------------------------------------------------------------------------------ */

static char *recode(struct part text, bool *good)
{
    struct buf out;
    buf_init(&out, 3 * URL_MAX);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i], decoded;
        if (byte == '%' && i + 2 < text.len && hash_unhex(text.at + i + 1, 2, &decoded)) {
            byte = decoded;
            i += 2;
        }
        *good &= encode_byte(&out, byte, false);
    }
    return buf_take(&out);
}

void pairs_add_take(struct pairs *pairs, char *key, char *value, bool hidden)
{
    pairs->at = mem_grow(pairs->at, (pairs->count + 1) * sizeof *pairs->at);
    pairs->at[pairs->count++] = (struct pair){key, value, hidden};
}

bool pairs_read(struct pairs *pairs, struct part query)
{
    bool good = true;
    const char *at = query.at, *end = query.len ? at + query.len : at;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (!stop)
            stop = end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        const char *key_end = equals ? equals : stop, *value = equals ? equals + 1 : stop;
        if (stop > at)
            pairs_add_take(pairs, recode((struct part){at, (size_t)(key_end - at)}, &good),
                           recode((struct part){value, (size_t)(stop - value)}, &good), false);
        at = stop < end ? stop + 1 : end;
    }
    return good;
}

static int by_key(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    return order ? order : strcmp(a->value, b->value);
}

void pairs_sort(struct pairs *pairs)
{
    if (pairs->count > 0)
        qsort(pairs->at, pairs->count, sizeof *pairs->at, by_key);
}

void pairs_fini(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        mem_free(pairs->at[i].key);
        mem_wipe(pairs->at[i].value, strlen(pairs->at[i].value));
    }
    mem_free(pairs->at);
    *pairs = (struct pairs){0};
}
