/* A socket in the container whose other end is orch: what connects to it is handed to processes
   that orch starts, one for each connection. */
#ifndef SHIM_RELAY_H
#define SHIM_RELAY_H

/* r: path of the socket, uid, gid, path of the socket on which the others ask. Listens until the
   input ends. */
int relay_listen_main(void);
/* r: path of the socket on which to ask. Waits for a connection, says b, and passes on what comes:
   to orch as o frames and a d at the end, from orch as w frames and a g. */
int relay_main(void);

#endif
