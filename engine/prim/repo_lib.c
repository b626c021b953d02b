#include "prim/repo_lib.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void lib_init(void)
{
    /* What these extensions change is not read here; without the names libgit2 1.5 refuses to open
       a project that uses sparse checkout or partial clones. */
    static const char *known[] = {"worktreeconfig", "partialclone", "preciousobjects",
                                  "relativeworktrees"};
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, known, sizeof known / sizeof *known);
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    /* The indexer has verified what was fetched; git does not hash on reading either. A third of
       the checkout's time. */
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
}

/* libgit2's words for the last failure, "" if none. */
static const char *last_words(void)
{
    const git_error *last = git_error_last();
    return last && last->message ? last->message : "";
}

int lib_class(void)
{
    const git_error *last = git_error_last();
    return last ? last->klass : GIT_ERROR_NONE;
}

static void set(struct err *err, enum err_kind kind, const char *format, va_list args)
{
    char what[1024];
    vsnprintf(what, sizeof what, format, args);
    const char *words = last_words();
    err_set(err, kind, "%s%s%s", what, words[0] ? ": " : "", words);
}

bool lib_fail(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, kind, format, args);
    va_end(args);
    return false;
}

static enum err_kind kind_of(int code)
{
    switch (code) {
    case GIT_ENOTFOUND:
        return ERR_MISSING;
    case GIT_ELOCKED:
    case GIT_EEXISTS:
    case GIT_ECONFLICT:
        return ERR_CONFLICT;
    case GIT_EAUTH:
        return ERR_AUTH;
    case GIT_ECERTIFICATE:
        return ERR_NET;
    default:
        return lib_class() == GIT_ERROR_OS || lib_class() == GIT_ERROR_FILESYSTEM ? ERR_IO
                                                                                  : ERR_FAILED;
    }
}

bool lib_fail_as(struct err *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, kind_of(code), format, args);
    va_end(args);
    if (err)
        err->code = code;
    return false;
}
