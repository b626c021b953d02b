#include "base/dump.h"

#include <sys/prctl.h>

/* MADV_DONTDUMP would leave out single pages, but a secret has been in the environment's block, in
   Lua's heap and in the libraries' buffers before anyone could mark them, and ptrace reads them
   all. */
void dump_forbid(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
