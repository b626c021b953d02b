/* ssh:// by running the ssh program: its configuration, agent and keys are the person's own.
   GIT_SSH_COMMAND (given to the shell) and GIT_SSH are honoured. */
#ifndef PRIM_REPO_SSH_H
#define PRIM_REPO_SSH_H

#include "base/err.h"

/* libgit2 uses it for ssh:// and user@host:path until ssh_unregister. err gets what ssh said when
   it failed, and must live as long; its kind is to be ERR_NONE before. */
void ssh_register(struct err *err);
void ssh_unregister(void);

#endif
