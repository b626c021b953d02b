/* ssh:// by running the ssh program: its configuration, agent and keys are the person's own.
   GIT_SSH_COMMAND (given to the shell) and GIT_SSH are honoured. */
#ifndef PRIM_REPO_SSH_H
#define PRIM_REPO_SSH_H

#include "base/err.h"

/* Makes libgit2 use it; before the first use of an ssh URL. */
void ssh_register(void);
/* What ssh last wrote to its standard error: NULL when it ran not or said nothing. */
const char *ssh_words(void);
/* The kind of failure that those words mean. */
enum err_kind ssh_kind(const char *words);

#endif
