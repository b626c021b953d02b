/* Signature Version 4: a byte of switches, method, URL, body, and headers, each on a line. */
#include "prim/hash_sigv4.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "fuzz.h"
#include "prim/hash_url.h"

enum { HEADERS_MAX = 8 };

#define PARAMETER "&X-Amz-Signature="
#define TOKEN "a-session-token-that-nobody-may-see"

static bool all_names_differ(const struct sigv4_spec *spec)
{
    for (size_t i = 0; i < spec->header_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(spec->headers[i].name, spec->headers[j].name) == 0)
                return false;
    return true;
}

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") == len && text[len] == '\0';
}

static void check_url(const char *path)
{
    struct buf once, twice;
    buf_init(&once, URL_MAX);
    buf_init(&twice, URL_MAX);
    const size_t len = strlen(path);
    if (len > 0 && url_clean_path((struct part){path, len}, &once)) {
        fuzz_check(once.len > 0 && once.data[0] == '/' && !strstr(once.data, "//") &&
                       !strstr(once.data, "/./") && !strstr(once.data, "/../"),
                   "a clean path of a URL is rooted and has no dots");
        fuzz_check(url_clean_path((struct part){once.data, once.len}, &twice) &&
                       strcmp(once.data, twice.data) == 0,
                   "a clean path of a URL stays as it is");
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static void check_result(const struct sigv4_spec *spec, const struct sigv4_result *result)
{
    fuzz_check(is_hex(result->signature, HASH_HEX_SIZE - 1), "a signature is 64 digits");
    fuzz_check(!spec->session_token || !strstr(result->shown.data, TOKEN), "no token is shown");
    fuzz_check(strlen(result->shown.data) == result->shown.len && !strchr(result->shown.data, '\r'),
               "what is shown is text");
    if (!spec->presign) {
        fuzz_check(result->url.len == 0 && strstr(result->authorization.data, result->signature),
                   "the header has the signature");
        return;
    }
    const char *query = strchr(result->url.data, '?');
    const char *end = result->url.data + result->url.len - (sizeof PARAMETER - 1 + HASH_HEX_SIZE - 1);
    fuzz_check(result->authorization.len == 0 && query && query < end &&
                   strncmp(end, PARAMETER, sizeof PARAMETER - 1) == 0 &&
                   strcmp(end + sizeof PARAMETER - 1, result->signature) == 0,
               "the query ends with the signature");
}

/* The same request, its headers the other way round. */
static void check_order(const struct sigv4_spec *spec, const struct sigv4_result *result)
{
    struct sigv4_header turned[HEADERS_MAX];
    struct sigv4_spec other = *spec;
    struct sigv4_result again;
    struct err err;
    for (size_t i = 0; i < spec->header_count; i++)
        turned[i] = spec->headers[spec->header_count - 1 - i];
    other.headers = all_names_differ(spec) ? turned : spec->headers;
    fuzz_check(sigv4_sign(&other, &again, &err) &&
        strcmp(again.signature, result->signature) == 0 &&
                   strcmp(again.shown.data, result->shown.data) == 0,
               "the order of headers means nothing");
    sigv4_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {(const char *)data, size};
    const unsigned switches = fuzz_byte(&input);
    char *method = fuzz_text(&input, '\n'), *url = fuzz_text(&input, '\n');
    char *body = fuzz_text(&input, '\n'), *lines[HEADERS_MAX] = {NULL};
    struct sigv4_header headers[HEADERS_MAX];
    struct sigv4_spec spec = {
        .method = method, .url = url, .body = body, .body_len = strlen(body), .headers = headers,
        .access_key = "AKIDEXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .region = "us-east-1", .service = switches & 1 ? "s3" : "ecr-public", .time = 1440938160,
        .s3 = switches & 1, .raw_path = switches & 2, .presign = switches & 4,
        .session_token = switches & 8 ? TOKEN : NULL, .expires = switches & 16 ? 604800 : 60,
    };
    while (input.left > 0 && spec.header_count < HEADERS_MAX) {
        char *line = lines[spec.header_count] = fuzz_text(&input, '\n');
        char *colon = strchr(line, ':');
        if (colon)
            *colon = '\0';
        const char *value = colon ? colon + 1 : "";
        headers[spec.header_count++] =
            (struct sigv4_header){line, value, strlen(value), (switches & 32) != 0};
    }
    struct sigv4_result result;
    struct err err = {0};
    if (memmem(data, size, TOKEN, strlen(TOKEN))) /* who shows it himself has no secret */
        spec.session_token = NULL;
    if (sigv4_sign(&spec, &result, &err)) {
        check_result(&spec, &result);
        check_order(&spec, &result);
    } else {
        fuzz_check(err.kind == ERR_USAGE || err.kind == ERR_LIMIT, "it is the caller's fault");
    }
    sigv4_fini(&result);
    check_url(url);
    for (size_t i = 0; i < HEADERS_MAX; i++)
        mem_free(lines[i]);
    mem_free(body);
    mem_free(url);
    mem_free(method);
    return 0;
}
