/* The parent of a step's program, and then of the next one's. */
#ifndef SHIM_KEEPER_H
#define SHIM_KEEPER_H

/* Runs the programs that come as orders (base/order.h), one after another, each with its whole
   tree, until the other end of the socket is closed. All signals must be held back, and SIGCHLD
   have a handler. */
_Noreturn void keeper_serve(int socket);

#endif
