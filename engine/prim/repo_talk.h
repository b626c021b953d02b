/* How the helper program is asked and answers.

   Asked on standard input: "key\0value\0"… up to its end; unknown keys are refused. Answers on
   standard output, a line each, '\' and line feeds in values written as "\\" and "\n":

     at PHASE DONE TOTAL BYTES   it is alive; PHASE is lock, fetch, index or checkout
     is KEY VALUE                a part of the result
     end ok                      the result is whole
     end KIND MESSAGE            it failed; KIND is err_kind_name's

   Without an end line there is no result. */
#ifndef PRIM_REPO_TALK_H
#define PRIM_REPO_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* What is asked. Absent texts are NULL; all of them borrow from raw. */
struct ask {
    struct buf raw;
    const char *op; /* "checkout" or "info" */
    const char *url, *ref, *sha, *into, *mirror, *times;
    const char *user, *password;
    const char *dir;
    bool submodules, tags, dirty;
};

bool ask_read(int fd, struct ask *ask, struct err *err);
/* Overwrites the credentials. */
void ask_fini(struct ask *ask);

/* At most some lines a second, from any thread. */
void talk_progress(const char *phase, uint64_t done, uint64_t total, uint64_t bytes);
/* Nothing is said of a NULL value. */
void talk_text(const char *key, const char *value);
void talk_number(const char *key, int64_t value);
void talk_end(const struct err *err);

#endif
