/* Where a program stands, and its pipes: its ends and ours. For proc.c only. */
#ifndef PRIM_PROC_ENDS_H
#define PRIM_PROC_ENDS_H

#include <stdbool.h>

#include "base/err.h"
#include "prim/proc.h"

/* -1: none. err may be out. */
struct ends {
    int cwd, in, out, err;
    int our_in, our_out, our_err; /* the caller's to close */
};

/* Opens the working directory. */
bool ends_enter(struct ends *ends, const struct proc_spec *spec, struct err *err);
/* Opens the pipes; what was opened stays open when one fails. */
bool ends_open(struct ends *ends, const struct proc_spec *spec, struct err *err);
/* Closes the program's. */
void ends_close(struct ends *ends);

#endif
