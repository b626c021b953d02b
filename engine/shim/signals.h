/* The signals of a process that runs a step. */
#ifndef SHIM_SIGNALS_H
#define SHIM_SIGNALS_H

#include <stdbool.h>

/* While a program runs: SIGCHLD and SIGTERM come only where they are waited for, and SIGTERM only
   asks to end. */
void signals_hold(void);
/* Afterwards SIGTERM ends us. */
void signals_release(void);
bool signals_asked_to_end(void);

#endif
