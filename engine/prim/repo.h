/* Git: a repository's commit as a work tree. Done by the helper program orch-repo, since libgit2
   can be neither timed out nor stopped; this file asks it and reads its answer
   (prim/repo_talk.h). */
#ifndef PRIM_REPO_H
#define PRIM_REPO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct repo;

enum repo_op { REPO_CHECKOUT, REPO_INFO };

struct repo_spec {
    enum repo_op op;
    const char *helper; /* the program's path */
    /* REPO_CHECKOUT; what each may be is described in lua/orch/meta/repo.lua. NULL = absent. */
    const char *url, *ref, *sha, *into, *mirror, *times;
    const char *user, *password;
    bool submodules, tags;
    /* REPO_INFO */
    const char *dir;
    bool dirty;
    uint64_t timeout_ms; /* of the whole; 0 = never */
    uint64_t idle_ms;    /* without any progress; 0 = never */
};

enum repo_text {
    REPO_SHA, REPO_REF, REPO_BRANCH, REPO_TAG, REPO_SUBJECT, REPO_AUTHOR, REPO_TOP,
    REPO_REMOTE_URL, REPO_URL, REPO_TEXTS,
};
enum repo_number {
    REPO_TIME, REPO_FILES, REPO_OBJECTS, REPO_BYTES, REPO_FETCH_US, REPO_CHECKOUT_US,
    REPO_MIRROR_HIT, REPO_DIRTY, REPO_NUMBERS,
};

/* Texts are borrowed for the time of the call; NULL and -1 where nothing was said. */
struct repo_result {
    struct err err;
    const char *text[REPO_TEXTS];
    int64_t number[REPO_NUMBERS];
};

typedef void repo_done(void *arg, const struct repo_result *result);

/* NULL and err when the helper cannot be started. */
struct repo *repo_start(struct loop *loop, const struct repo_spec *spec, repo_done *done, void *arg,
                        struct err *err);
/* The helper ends and deletes what it made; what was there before stays. */
void repo_cancel(struct repo *repo);

#endif
