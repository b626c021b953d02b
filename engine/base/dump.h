/* Keeps what this process knows from other processes and from the disk. */
#ifndef BASE_DUMP_H
#define BASE_DUMP_H

/* From now on a crash leaves no core, and processes without CAP_SYS_PTRACE, those of the same user
   too, can neither trace this one nor read its memory or environment from /proc. What it starts by
   execve is an ordinary process again; /proc/self works as before. */
void dump_forbid(void);

#endif
