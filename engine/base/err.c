#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_code;
} kinds[] = {
    [ERR_NONE] = {"none", 0},         [ERR_FAILED] = {"failed", 1},
    [ERR_USAGE] = {"usage", 2},       [ERR_AUTH] = {"auth", 3},
    [ERR_NET] = {"net", 4},           [ERR_REMOTE] = {"remote", 4},
    [ERR_MISSING] = {"missing", 5},   [ERR_CONFLICT] = {"conflict", 6},
    [ERR_FINDINGS] = {"findings", 7}, [ERR_TIMEOUT] = {"timeout", 8},
    [ERR_LIMIT] = {"limit", 8},       [ERR_IO] = {"io", 9},
    [ERR_CANCELLED] = {"cancelled", 130},
};

/* A cut text never ends in half a UTF-8 sequence. */
static void cut_mark(char *text, size_t size)
{
    size_t at = size - sizeof "…";
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    memcpy(text + at, "…", sizeof "…");
}

static void setv(struct err *err, enum err_kind kind, const char *format, va_list args)
{
    if (!err)
        return;
    err->kind = kind;
    err->code = 0;
    err->op[0] = '\0';
    int written = vsnprintf(err->message, sizeof err->message, format, args);
    if (written >= (int)sizeof err->message)
        cut_mark(err->message, sizeof err->message);
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    setv(err, kind, format, args);
    va_end(args);
    return false;
}

/* ENOENT is missing, ENOSPC io, ECONNREFUSED net. */
static enum err_kind kind_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
        return ERR_MISSING;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_CONFLICT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_NET;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECANCELED:
        return ERR_CANCELLED;
    case EMFILE:
    case ENFILE:
    case E2BIG:
    case EAGAIN:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

bool err_system(struct err *err, int number, const char *format, ...)
{
    char what[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    err_set(err, kind_of(number), "%s: %s", what, strerror(number));
    if (err)
        err->code = number;
    return false;
}

const char *err_kind_name(enum err_kind kind)
{
    return kinds[kind].name;
}

enum err_kind err_kind_named(const char *name)
{
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum err_kind)i;
    return ERR_NONE;
}

int err_exit_code(enum err_kind kind)
{
    return kinds[kind].exit_code;
}
