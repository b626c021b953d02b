/* Files and directories as frames say; wire.h. */
#ifndef SHIM_FILES_H
#define SHIM_FILES_H

/* Answers requests until the input ends; the process's exit code. */
int files_main(void);

#endif
