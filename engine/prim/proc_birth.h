/* How a child comes to life: what is looked up before, and what happens between vfork and exec. For
   proc.c only. */
#ifndef PRIM_PROC_BIRTH_H
#define PRIM_PROC_BIRTH_H

#include <sys/types.h>

#include "base/err.h"

struct birth {
    const char *path;
    char *const *argv;
    char *const *env;
    const char *cwd;
    int in, out, err; /* -1: inherited */
    bool foreground;  /* in our group; HUP when we die */
    unsigned long file_limit;
    volatile int error; /* shared with the parent while the child runs on its stack */
    volatile bool in_cwd;
};

/* The path to execute, for the caller to free; NULL and err when there is none. Relative ones count
   from the directory base, in which the program will run. */
char *birth_find_program(const char *name, const char *const *env, int base, struct err *err);
/* The child's process id, or -1 and errno. birth->error tells what went wrong in the child before
   exec. */
pid_t birth_give(struct birth *birth);
/* As birth_give, with a descriptor that tells of its end; false and err when there is no
   process. */
bool birth_watched(struct birth *birth, pid_t *pid, int *pidfd, struct err *err);
/* Fills err for a program that could not be executed; found: the file itself is there. Returns
   false. */
bool birth_program_error(const char *path, bool found, int number, struct err *err);

#endif
