/* A program at the terminal, or in the pipes, of an exec of its own: `orch-shim enter FILE`. */
#ifndef SHIM_ENTER_H
#define SHIM_ENTER_H

/* Runs what the file at path asks for, which it removes: the payload of a frame r. Streams are
   those of this process. Ends what the program has left when it ends, and all of it, by HUP and
   KILL, when TERM or HUP comes. The program's status, or 126 and words for who cannot run it. */
int enter_main(const char *path);

#endif
