/* The Lua library as bytecode; the table is made by engine/embed.c at build time. */
#ifndef BIND_LIBRARY_H
#define BIND_LIBRARY_H

#include <stddef.h>

struct library_file {
    const char *name;  /* of the module: "orch.job" */
    const char *chunk; /* true chunk name: "@lua/orch/job.lua" */
    const char *doc;   /* its first comment line, without the dashes; "" if it has none */
    const unsigned char *code;
    size_t len;
};

/* Ends with a NULL name. */
extern const struct library_file library_files[];

#endif
