/* The operation "checkout". */
#ifndef PRIM_REPO_CHECKOUT_H
#define PRIM_REPO_CHECKOUT_H

#include "prim/repo_talk.h"

/* Says its results through talk_text and talk_number. */
bool checkout_run(const struct ask *ask, struct err *err);
/* Deletes what a checkout of that request left when it was killed. */
void checkout_sweep(const struct ask *ask);


#endif
