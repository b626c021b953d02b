#include "prim/hash_sigv4_check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A name as RFC 9110 has it: the method, a header. */
static bool is_token(const char *text)
{
    const char *at = text;
    while (isalnum((unsigned char)*at) || (*at && strchr("!#$%&'*+-.^_`|~", *at)))
        at++;
    return at > text && !*at;
}

/* A line end would begin another line of the request or of the string to sign. */
static bool is_plain(const char *text, const char *without)
{
    const char *at = text;
    while ((unsigned char)*at > ' ' && *at != 0x7f && !strchr(without, *at))
        at++;
    return at > text && !*at;
}

bool sigv4_check_fields(const struct sigv4_spec *spec, struct err *err)
{
    const struct {
        const char *name, *value, *without;
        bool optional;
    } fields[] = {
        {"access_key", spec->access_key, "/,", false},
        {"secret_key", spec->secret_key, "", false},
        {"session_token", spec->session_token, "", true},
        {"region", spec->region, "/,", false},
        {"service", spec->service, "/,", false},
        {"payload", spec->payload, "", true},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value ? is_plain(fields[i].value, fields[i].without) : fields[i].optional))
            return err_set(err, ERR_USAGE, "'%s' is empty or holds characters that cannot be in it",
                           fields[i].name);
    if (!is_token(spec->method))
        return err_set(err, ERR_USAGE, "'method' is no HTTP method");
    if (spec->payload && strlen(spec->payload) >= sizeof ((struct sigv4_result *)0)->payload)
        return err_set(err, ERR_USAGE, "'payload' is too long");
    return true;
}

bool sigv4_check_header(const struct sigv4_header *header, struct err *err)
{
    static const char *const own[] = {"authorization", "x-amz-date", SIGV4_TOKEN_HEADER};
    if (!is_token(header->name))
        return err_set(err, ERR_USAGE, "'%s' is no header name", header->name);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(header->name, own[i]) == 0)
            return err_set(err, ERR_USAGE, "the header %s is set by the signer", own[i]);
    for (size_t i = 0; i < header->len; i++)
        if (header->value[i] == '\n' || header->value[i] == '\r' || header->value[i] == '\0')
            return err_set(err, ERR_USAGE, "the header %s holds a line end or NUL", header->name);
    return true;
}
