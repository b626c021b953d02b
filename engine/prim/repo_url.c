#include "prim/repo_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

enum { URL_MAX = 16 << 10 };

/* Of git's names of transports. */
#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+."

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10;
}

/* Caller frees. What is no %xx stays. */
static char *decode(const char *text, size_t len)
{
    struct buf out;
    buf_init(&out, URL_MAX);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
            isxdigit((unsigned char)text[i + 2])) {
            buf_char(&out, (char)(hex(text[i + 1]) * 16 + hex(text[i + 2])));
            i += 2;
        } else {
            buf_char(&out, text[i]);
        }
    }
    return buf_take(&out);
}

void url_fini(struct url *url)
{
    mem_free(url->clean);
    mem_free(url->host);
    mem_free(url->port);
    mem_free(url->user);
    if (url->password)
        mem_wipe(url->password, strlen(url->password));
    mem_free(url->path);
    *url = (struct url){0};
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcasecmp(a, b) == 0 : a == b;
}

bool url_same_server(const struct url *a, const struct url *b)
{
    const size_t scheme = strcspn(a->clean, ":");
    return a->kind == b->kind && a->kind != URL_PATH && same(a->host, b->host) &&
           same(a->port, b->port) && strcspn(b->clean, ":") == scheme &&
           strncasecmp(a->clean, b->clean, scheme) == 0;
}

/* "user:password@" at the head of authority; returns what is behind it. */
static const char *take_user(struct url *url, const char *authority, size_t len)
{
    const char *at = memrchr(authority, '@', len);
    if (!at)
        return authority;
    const char *colon = memchr(authority, ':', (size_t)(at - authority));
    const char *user_end = colon ? colon : at;
    url->user = decode(authority, (size_t)(user_end - authority));
    if (colon)
        url->password = decode(colon + 1, (size_t)(at - colon - 1));
    return at + 1;
}

static void take_host(struct url *url, const char *host, size_t len)
{
    size_t host_len = len;
    const char *colon = memrchr(host, ':', len), *bracket = memrchr(host, ']', len);
    if (colon && (!bracket || colon > bracket)) {
        host_len = (size_t)(colon - host);
        if (len - host_len > 1)
            url->port = mem_textn(colon + 1, len - host_len - 1);
    }
    url->host = mem_textn(host, host_len);
}

/* ssh would take such a word for an option. */
static bool check_ssh(const struct url *url, struct err *err)
{
    if (url->host[0] == '-' || url->path[0] == '-' || (url->user && url->user[0] == '-'))
        return err_set(err, ERR_USAGE, "the host, user and path of %s must not begin with '-'",
                       url->clean);
    return true;
}

static bool parse_remote(struct url *url, const char *text, const char *authority, struct err *err)
{
    const size_t len = strcspn(authority, "/?#");
    const char *host = take_user(url, authority, len);
    take_host(url, host, len - (size_t)(host - authority));
    const char *rest = authority + len;
    url->path = url->kind == URL_SSH ? decode(rest, strlen(rest)) : mem_text(rest);
    if (url->kind == URL_SSH && strncmp(url->path, "/~", 2) == 0)
        memmove(url->path, url->path + 1, strlen(url->path));
    struct buf clean;
    buf_init(&clean, URL_MAX);
    buf_add(&clean, text, (size_t)(authority - text));
    if (url->kind == URL_SSH && url->user)
        buf_format(&clean, "%s@", url->user);
    buf_text(&clean, host);
    url->clean = buf_take(&clean);
    if (url->host[0] == '\0')
        return err_set(err, ERR_USAGE, "no host in the URL %s", url->clean);
    if (url->path[0] == '\0' || strcmp(url->path, "/") == 0)
        return err_set(err, ERR_USAGE, "no path in the URL %s", url->clean);
    for (const char *p = url->port; p && *p; p++)
        if (!isdigit((unsigned char)*p))
            return err_set(err, ERR_USAGE, "the port in %s is no number", url->clean);
    return url->kind == URL_SSH ? check_ssh(url, err) : true;
}

/* user@host:path, where a colon stands before any slash. */
static bool parse_scp(struct url *url, const char *text, const char *colon, struct err *err)
{
    url->kind = URL_SSH;
    const char *host = text, *at = memrchr(text, '@', (size_t)(colon - text));
    if (at) {
        url->user = mem_textn(text, (size_t)(at - text));
        host = at + 1;
    }
    url->host = mem_textn(host, (size_t)(colon - host));
    url->path = mem_text(colon + 1);
    url->clean = mem_text(text);
    if (url->host[0] == '\0' || url->path[0] == '\0')
        return err_set(err, ERR_USAGE, "no host or path in the URL %s", text);
    return check_ssh(url, err);
}

bool url_parse(struct url *url, const char *text, struct err *err)
{
    *url = (struct url){0};
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return err_set(err, ERR_USAGE, "the URL holds a control character");
    if (strlen(text) >= URL_MAX)
        return err_set(err, ERR_USAGE, "the URL is longer than %d bytes", URL_MAX);
    const char *scheme_end = strstr(text, "://");
    const size_t len = scheme_end ? (size_t)(scheme_end - text) : 0;
    if ((len == 5 && strncasecmp(text, "https", 5) == 0) ||
        (len == 4 && strncasecmp(text, "http", 4) == 0)) {
        url->kind = URL_HTTP;
        return parse_remote(url, text, scheme_end + 3, err);
    }
    if ((len == 3 && strncasecmp(text, "ssh", 3) == 0) ||
        (len == 7 && strncasecmp(text, "git+ssh", 7) == 0)) {
        url->kind = URL_SSH;
        return parse_remote(url, text, scheme_end + 3, err);
    }
    if (len == 4 && strncasecmp(text, "file", 4) == 0 && scheme_end[3] == '/') {
        url->path = decode(scheme_end + 3, strlen(scheme_end + 3));
        url->clean = mem_text(url->path);
        return true;
    }
    if (text[0] == '/') {
        url->path = path_clean(text);
        url->clean = mem_text(url->path);
        return true;
    }
    const char *colon = strchr(text, ':'), *slash = strchr(text, '/');
    const size_t word = strspn(text, WORD);
    if (word > 0 && strncmp(text + word, "::", 2) == 0) {
        url->clean = mem_textn(text, word);
        return err_set(err, ERR_USAGE,
                       "%s:: would run the program git-remote-%s: a checkout runs no helper programs",
                       url->clean, url->clean);
    }
    if (!scheme_end && colon && (!slash || colon < slash))
        return parse_scp(url, text, colon, err);
    url->clean = mem_text(text);
    const char *at = strchr(text, '@'); /* whatever it is, show no password */
    return err_set(err, ERR_USAGE,
                   "cannot make out the URL '%s': it is to begin with https://, http://, ssh://, "
                   "user@host: or, for a path, with /",
                   at ? at + 1 : text);
}
