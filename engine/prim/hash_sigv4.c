#include "prim/hash_sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/mem.h"
#include "prim/hash_sigv4_check.h"
#include "prim/hash_url.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define PAYLOAD_HEADER "x-amz-content-sha256"

enum { CANONICAL_MAX = 4 << 20 }; /* bytes of a canonical request or a presigned URL */

struct line {
    char *name; /* lower case */
    const char *value;
    size_t len, order;
    bool hidden;
};

/* What one call works with. */
struct signing {
    const struct sigv4_spec *spec;
    struct sigv4_result *result;
    struct url url;
    struct pairs query;
    struct line *lines;
    size_t line_count;
    struct buf names; /* of the signed headers, joined by ';' */
    struct buf scope; /* date/region/service/aws4_request */
    struct buf real;  /* the canonical request that is signed */
    bool full;        /* a ceiling was reached */
};

/* To the request that is signed and to the one that is shown. */
static void put(struct signing *s, const char *data, size_t len, bool hidden)
{
    s->full |= !buf_add(&s->real, data, len);
    s->full |= !buf_add(&s->result->shown, hidden ? "***" : data, hidden ? 3 : len);
}

static void put_text(struct signing *s, const char *text)
{
    put(s, text, strlen(text), false);
}

/* --- headers ------------------------------------------------------------------------------ */

static void add_line(struct signing *s, const struct sigv4_header *header)
{
    s->lines = mem_grow(s->lines, (s->line_count + 1) * sizeof *s->lines);
    struct line *line = &s->lines[s->line_count];
    *line = (struct line){mem_text(header->name), header->value, header->len, s->line_count,
                          header->hidden};
    s->line_count++;
    for (char *at = line->name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
}

static bool is_in(const char *name, const char *const *list)
{
    for (; list && *list; list++)
        if (strcasecmp(name, *list) == 0)
            return true;
    return false;
}

/* What proxies and HTTP libraries change on the way is not signed. */
static bool is_signed(const char *name, const char *const *also)
{
    static const char *const changing[] = {
        "user-agent",        "expect",          "connection",     "x-amzn-trace-id",
        "transfer-encoding", "accept-encoding", "content-length", NULL,
    };
    return !is_in(name, changing) || is_in(name, also);
}

static const struct sigv4_header *find_header(const struct sigv4_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->header_count; i++)
        if (strcasecmp(spec->headers[i].name, name) == 0)
            return &spec->headers[i];
    return NULL;
}

static int by_name(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

static void collect_headers(struct signing *s)
{
    const struct sigv4_spec *spec = s->spec;
    const struct sigv4_result *result = s->result;
    for (size_t i = 0; i < spec->header_count; i++)
        if (is_signed(spec->headers[i].name, spec->also))
            add_line(s, &spec->headers[i]);
    if (!find_header(spec, "host"))
        add_line(s, &(struct sigv4_header){"host", s->url.host.data, s->url.host.len, false});
    if (!spec->presign) {
        add_line(s, &(struct sigv4_header){"x-amz-date", result->date, 16, false});
        if (spec->session_token)
            add_line(s, &(struct sigv4_header){SIGV4_TOKEN_HEADER, spec->session_token,
                                               strlen(spec->session_token), true});
        if (spec->s3 && !find_header(spec, PAYLOAD_HEADER))
            add_line(s, &(struct sigv4_header){PAYLOAD_HEADER, result->payload,
                                               strlen(result->payload), false});
    }
    qsort(s->lines, s->line_count, sizeof *s->lines, by_name);
    for (size_t i = 0; i < s->line_count; i++)
        if (i == 0 || strcmp(s->lines[i].name, s->lines[i - 1].name) != 0)
            s->full |= !buf_format(&s->names, "%s%s", i ? ";" : "", s->lines[i].name);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* The value without white space around it and with one blank for each run inside, quoted or not. */
static void put_value(struct signing *s, const struct line *line)
{
    const char *at = line->value, *end = at + line->len;
    bool begun = false;
    if (line->hidden)
        s->full |= !buf_text(&s->result->shown, "***");
    while (at < end) {
        const char *from = at;
        while (at < end && !is_space(*at))
            at++;
        struct buf *const outs[] = {&s->real, line->hidden ? NULL : &s->result->shown};
        for (int i = 0; i < 2 && at > from; i++)
            if (outs[i])
                s->full |= !(buf_text(outs[i], begun ? " " : "") &&
                             buf_add(outs[i], from, (size_t)(at - from)));
        begun = begun || at > from;
        while (at < end && is_space(*at))
            at++;
    }
}

static void put_headers(struct signing *s)
{
    for (size_t i = 0; i < s->line_count; i++) {
        const struct line *line = &s->lines[i];
        bool again = i > 0 && strcmp(line->name, line[-1].name) == 0;
        put_text(s, again ? "," : i > 0 ? "\n" : "");
        put_text(s, again ? "" : line->name);
        put_text(s, again ? "" : ":");
        put_value(s, line);
    }
    put_text(s, "\n\n");
}

/* --- path and query ----------------------------------------------------------------------- */

static void put_path(struct signing *s)
{
    const struct sigv4_spec *spec = s->spec;
    struct buf clean, encoded;
    struct part path = s->url.path.len ? s->url.path : (struct part){"/", 1};
    buf_init(&clean, URL_MAX);
    buf_init(&encoded, 3 * URL_MAX);
    if (!spec->s3 && !spec->raw_path) {
        s->full |= !url_clean_path(path, &clean);
        path = (struct part){clean.data, clean.len};
    }
    if (!spec->s3) {
        s->full |= !url_encode(path, true, &encoded);
        path = (struct part){encoded.data, encoded.len};
    }
    put(s, path.at, path.len, false);
    put_text(s, "\n");
    buf_fini(&encoded);
    buf_fini(&clean);
}

/* To the canonical query and to the URL. */
static void presign(struct signing *s, const char *key, const char *value, bool hidden)
{
    struct buf encoded, *url = &s->result->url;
    buf_init(&encoded, CANONICAL_MAX);
    s->full |= !url_encode((struct part){value, strlen(value)}, false, &encoded);
    char *text = buf_take(&encoded);
    s->full |= !buf_format(url, "%s%s=%s", memchr(url->data, '?', url->len) ? "&" : "?", key, text);
    pairs_add_take(&s->query, mem_text(key), text, hidden);
}

static void presign_all(struct signing *s)
{
    const struct sigv4_spec *spec = s->spec;
    struct buf *url = &s->result->url, credential;
    char expires[16];
    s->full |= !buf_add(url, s->url.before_query.at, s->url.before_query.len);
    if (s->url.path.len == 0)
        buf_char(url, '/');
    if (s->url.query.len > 0)
        s->full |= !buf_format(url, "?%.*s", (int)s->url.query.len, s->url.query.at);
    buf_init(&credential, CANONICAL_MAX);
    s->full |= !buf_format(&credential, "%s/%s", spec->access_key, s->scope.data);
    snprintf(expires, sizeof expires, "%u", spec->expires);
    presign(s, "X-Amz-Algorithm", ALGORITHM, false);
    presign(s, "X-Amz-Credential", credential.data, false);
    presign(s, "X-Amz-Date", s->result->date, false);
    presign(s, "X-Amz-SignedHeaders", s->names.data, false);
    presign(s, "X-Amz-Expires", expires, false);
    if (spec->session_token)
        presign(s, "X-Amz-Security-Token", spec->session_token, true);
    buf_fini(&credential);
}

static void put_query(struct signing *s)
{
    pairs_sort(&s->query);
    for (size_t i = 0; i < s->query.count; i++) {
        const struct pair *pair = &s->query.at[i];
        put_text(s, i ? "&" : "");
        put_text(s, pair->key);
        put_text(s, "=");
        put(s, pair->value, strlen(pair->value), pair->hidden);
    }
    put_text(s, "\n");
}

/* --- signing ------------------------------------------------------------------------------ */

static bool hash_payload(struct signing *s, struct err *err)
{
    const struct sigv4_spec *spec = s->spec;
    const struct sigv4_header *given = find_header(spec, PAYLOAD_HEADER);
    char *out = s->result->payload;
    unsigned char digest[HASH_SIZE];
    if (given && !spec->presign) {
        if (given->len >= sizeof s->result->payload || given->hidden ||
            (spec->payload && (strlen(spec->payload) != given->len ||
                               memcmp(spec->payload, given->value, given->len) != 0)))
            return err_set(err, ERR_USAGE, "'payload' and the header %s differ", PAYLOAD_HEADER);
        memcpy(out, given->value, given->len);
    } else if (spec->payload || (spec->presign && spec->s3)) {
        const char *payload = spec->payload ? spec->payload : "UNSIGNED-PAYLOAD";
        memcpy(out, payload, strlen(payload));
    } else {
        if (!hash_sha256(spec->body_len ? spec->body : "", spec->body_len, digest, err))
            return false;
        hash_hex(digest, sizeof digest, out);
    }
    return true;
}

static bool format_date(struct signing *s, struct err *err)
{
    time_t when = (time_t)s->spec->time;
    struct tm utc;
    char *date = s->result->date;
    if (when < 0 || !gmtime_r(&when, &utc) || utc.tm_year > 9999 - 1900 ||
        strftime(date, sizeof s->result->date, "%Y%m%dT%H%M%SZ", &utc) != 16)
        return err_set(err, ERR_USAGE, "'time' is no time that can be written");
    s->full |= !buf_format(&s->scope, "%.8s/%s/%s/aws4_request", date, s->spec->region,
                           s->spec->service);
    return true;
}

static bool sign(struct signing *s, struct err *err)
{
    const struct sigv4_spec *spec = s->spec;
    struct buf *text = &s->result->string_to_sign;
    const char *const steps[] = {s->result->date, spec->region, spec->service, "aws4_request"};
    unsigned char key[HASH_SIZE], digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE] = "";
    size_t first_len = strlen(spec->secret_key) + 4;
    char *first = mem_alloc(first_len + 1);
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, spec->secret_key, first_len - 4);
    bool good = hash_sha256(s->real.data, s->real.len, digest, err);
    hash_hex(digest, sizeof digest, hex);
    buf_format(text, "%s\n%s\n%s\n%s", ALGORITHM, s->result->date, s->scope.data, hex);
    good = good && hash_hmac(first, first_len, steps[0], 8, key, err);
    for (int i = 1; good && i < 4; i++) {
        good = hash_hmac(key, sizeof key, steps[i], strlen(steps[i]), digest, err);
        memcpy(key, digest, sizeof key);
    }
    good = good && hash_hmac(key, sizeof key, text->data, text->len, digest, err);
    hash_hex(digest, sizeof digest, s->result->signature);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(digest, sizeof digest);
    mem_wipe(first, first_len);
    return good;
}

static bool run(struct signing *s, struct err *err)
{
    const struct sigv4_spec *spec = s->spec;
    struct sigv4_result *result = s->result;
    for (size_t i = 0; i < spec->header_count; i++)
        if (!sigv4_check_header(&spec->headers[i], err))
            return false;
    if (!sigv4_check_fields(spec, err) || !url_read(spec->url, &s->url, err) ||
        !format_date(s, err) ||
        !hash_payload(s, err))
        return false;
    collect_headers(s);
    s->full |= !buf_add(&result->host, s->url.host.data, s->url.host.len);
    s->full |= !pairs_read(&s->query, s->url.query);
    if (spec->presign)
        presign_all(s);
    put_text(s, spec->method);
    put_text(s, "\n");
    put_path(s);
    put_query(s);
    put_headers(s);
    put_text(s, s->names.data);
    put_text(s, "\n");
    put_text(s, result->payload);
    if (s->full)
        return err_set(err, ERR_LIMIT, "the request is too large to sign");
    if (!sign(s, err))
        return false;
    return (spec->presign
                ? buf_format(&result->url, "&X-Amz-Signature=%s", result->signature)
                : buf_format(&result->authorization,
                             ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                             spec->access_key, s->scope.data, s->names.data, result->signature)) ||
           err_set(err, ERR_LIMIT, "the request is too large to sign");
}

bool sigv4_sign(const struct sigv4_spec *spec, struct sigv4_result *result, struct err *err)
{
    struct signing s = {.spec = spec, .result = result};
    struct buf *const own[] = {&s.names, &s.scope, &s.real};
    *result = (struct sigv4_result){0};
    struct buf *const given[] = {&result->shown, &result->string_to_sign, &result->authorization,
                                 &result->url, &result->host};
    for (int i = 0; i < 3; i++)
        buf_init(own[i], CANONICAL_MAX);
    for (int i = 0; i < 5; i++)
        buf_init(given[i], CANONICAL_MAX);
    bool good = run(&s, err);
    for (size_t i = 0; i < s.line_count; i++)
        mem_free(s.lines[i].name);
    mem_free(s.lines);
    pairs_fini(&s.query);
    url_fini(&s.url);
    if (s.real.data)
        OPENSSL_cleanse(s.real.data, s.real.len);
    for (int i = 0; i < 3; i++)
        buf_fini(own[i]);
    return good;
}

void sigv4_fini(struct sigv4_result *result)
{
    if (result->url.data)
        OPENSSL_cleanse(result->url.data, result->url.len);
    buf_fini(&result->shown);
    buf_fini(&result->string_to_sign);
    buf_fini(&result->authorization);
    buf_fini(&result->url);
    buf_fini(&result->host);
}
