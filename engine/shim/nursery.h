/* The first process below orch: makes keepers, and outlives them. */
#ifndef SHIM_NURSERY_H
#define SHIM_NURSERY_H

/* Standard input is its socket. Ends when orch is gone and no keeper is left. */
int nursery_main(void);

#endif
