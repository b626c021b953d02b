/* What the kernel has killed in the container for want of memory. */
#ifndef SHIM_OOM_H
#define SHIM_OOM_H

/* So many processes since the container was made; 0 when the kernel does not tell. */
long oom_kills(void);

#endif
