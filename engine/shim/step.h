/* One program as frames say; wire.h. */
#ifndef SHIM_STEP_H
#define SHIM_STEP_H

/* Reads the request, runs the program, sends what it prints and how it ended; the process's exit
   code. */
int step_main(void);

#endif
