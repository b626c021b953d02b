/* Files and directories as frames say; wire.h. */
#ifndef SHIM_FILES_H
#define SHIM_FILES_H

#include <stdbool.h>

#include "shim/wire.h"

/* Answers a request. False: it is none, or nobody listens any more. */
bool files_serve(struct wire_frame *frame);

#endif
