/* One program as frames say; wire.h. */
#ifndef SHIM_STEP_H
#define SHIM_STEP_H

#include <stdbool.h>

#include "shim/wire.h"

/* Runs the program that the request asks for, sends what it prints and how it ended; the frame is
   used for the rest of the request. False when no other may be asked for. The process must be a
   subreaper. */
bool step_serve(struct wire_frame *first);

#endif
