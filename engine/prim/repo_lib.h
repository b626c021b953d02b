/* libgit2's start and its errors. */
#ifndef PRIM_REPO_LIB_H
#define PRIM_REPO_LIB_H

#include <git2.h>

#include "base/err.h"

/* Once, before any thread. Nothing to undo: the process does one operation.

   Owner validation is off: it protects a person who walks into a stranger's directory and runs
   hooks and programs that its configuration names. Here the person named the path, and neither
   hooks nor filter drivers nor core.sshCommand are ever run.
   System and global configuration stay in force: insteadOf and proxies are the machine's
   business. */
void lib_init(void);

/* Sets err to kind, the sentence and libgit2's own words behind a colon. Returns false. */
bool lib_fail(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As lib_fail; the kind follows from the last error: a full disk is io, a lock conflict. */
bool lib_fail_as(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int lib_class(void);

#endif
