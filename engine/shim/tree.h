/* Everything that descends from this process. */
#ifndef SHIM_TREE_H
#define SHIM_TREE_H

#include <stddef.h>
#include <sys/types.h>

/* Signals every descendant; what is stopped is made to go on, so that it sees the signal. */
void tree_signal(int number);
/* Likewise, but for these children and what descends from them; gives how many. */
size_t tree_signal_except(int number, const pid_t *spared, size_t count);

/* Milliseconds of a clock that only goes on. */
long now_ms(void);

#endif
