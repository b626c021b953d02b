/* Errors travel by value: nothing to free, copying is fine. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/* The closed set of kinds; a program's exit code follows from it (err_exit_code). */
enum err_kind {
    ERR_NONE,
    ERR_FAILED,    /* a program, build or check said no */
    ERR_USAGE,     /* bad call, recipe or config */
    ERR_AUTH,      /* credentials missing, wrong, expired, not allowed */
    ERR_NET,       /* unreachable */
    ERR_REMOTE,    /* the other side answered with an error of its own */
    ERR_MISSING,   /* file, ref, image, tag or run is not there */
    ERR_CONFLICT,  /* exists and differs; two writers */
    ERR_FINDINGS,  /* a lint found something */
    ERR_TIMEOUT,   /* took too long */
    ERR_LIMIT,     /* a ceiling was reached */
    ERR_IO,        /* disk full, permission, broken pipe */
    ERR_CANCELLED, /* asked to stop */
};

struct err {
    enum err_kind kind;
    int code;           /* the library's or the system's number, 0 if none */
    char op[32];        /* what was tried, as the caller names it: "http", "tar" */
    char message[1984]; /* a sentence with the thing's name in it; cut with an ellipsis */
};

/* Fills err (which may be NULL) and returns false, so that `return err_set(…)` reads well. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set; kind and the trailing words come from the system's error number. */
bool err_system(struct err *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *err_kind_name(enum err_kind kind);
/* ERR_NONE when no kind has that name. */
enum err_kind err_kind_named(const char *name);
/* Exit code of the program for an error of that kind. */
int err_exit_code(enum err_kind kind);

#endif
