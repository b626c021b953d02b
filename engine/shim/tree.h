/* Everything that descends from this process. */
#ifndef SHIM_TREE_H
#define SHIM_TREE_H

/* Signals every descendant; what is stopped is made to go on, so that it sees the signal. */
void tree_signal(int number);

/* Milliseconds of a clock that only goes on. */
long now_ms(void);

#endif
