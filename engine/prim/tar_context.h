/* Streams a build context as a tar through a pipe, less what its .dockerignore excludes. */
#ifndef PRIM_TAR_CONTEXT_H
#define PRIM_TAR_CONTEXT_H

#include <stddef.h>

#include "loop/loop.h"

struct tar_context_spec {
    const char *dir;
    const char *dockerfile;  /* relative to dir; sent even when excluded */
    const char *text;        /* sent in place of the Dockerfile's content; NULL = the file */
    size_t text_len;
    const char *ignore;      /* patterns; NULL = read from the directory */
    size_t ignore_len;
    bool classic;            /* the old builder: one .dockerignore, and it goes along when it
                                excludes itself, because that builder reads it */
};

struct tar_context_result {
    struct err err;
    unsigned long long files, bytes;
    unsigned long long excluded; /* a directory that was not entered counts once */
};

typedef void tar_context_done(void *arg, const struct tar_context_result *result);

struct tar_context;

/* Reads the patterns and looks for the Dockerfile before it returns: ERR_MISSING, ERR_USAGE. Then
   works on a thread of its own and waits for a reader of the pipe. On an error what was written
   ends so that no reader takes it for a whole archive. ERR_IO when the reader has gone. */
struct tar_context *tar_context_start(struct loop *loop, const struct tar_context_spec *spec,
                                      tar_context_done *done, void *arg, struct err *err);
void tar_context_cancel(struct tar_context *context);
/* The pipe's end to read from; the caller's to close from now on. Once, right after the start. */
int tar_context_fd_take(struct tar_context *context);

#endif
