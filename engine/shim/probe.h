/* Does something listen? As seen from inside the container. */
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "shim/wire.h"

/* T: address, port, milliseconds, what to send; answers with the first bytes that come, if
   something was sent. */
bool probe_port(struct wire_frame *frame, struct buf *reply, struct err *err);

#endif
