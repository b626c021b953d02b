/* What the container's shims do for orch: programs and files, as frames say; wire.h. */
#ifndef SHIM_SERVE_H
#define SHIM_SERVE_H

/* Serves one request after another until the input ends; the process's exit code. */
int serve_main(void);

#endif
