/* Opening what an archive names below a directory, without ever leaving it. */
#ifndef PRIM_TAR_PLACE_H
#define PRIM_TAR_PLACE_H

#include <stdbool.h>

/* As openat(root, path, flags), but fails with EXDEV when the way leads out of root, be it by "..",
   an absolute symbolic link or a link of /proc. Where the kernel lacks openat2, a way through any
   symbolic link fails with ELOOP. Closes on exec. */
int place_open(int root, const char *path, int flags);

#endif
