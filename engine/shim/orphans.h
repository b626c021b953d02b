/* Other shims of the container, whose orch is dead. */
#ifndef SHIM_ORPHANS_H
#define SHIM_ORPHANS_H

/* Asks all but the container's main one to end, waits until they have, and says so with a k frame,
   or with an e frame that they would not. The process's exit code. */
int orphans_main(void);

#endif
