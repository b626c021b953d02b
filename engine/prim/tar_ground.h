/* The directory that an archive is unpacked into: makes entries in it, never outside. */
#ifndef PRIM_TAR_GROUND_H
#define PRIM_TAR_GROUND_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct tar_ground;

/* ways_max: how many directories may be made that are no entries, but stand in their names. */
struct tar_ground *tar_ground_open(const char *dir, unsigned long long ways_max,
                                   const atomic_bool *stop, struct err *err);
void tar_ground_close(struct tar_ground *ground);

/* Each takes a path as an archive has it. What is in the way is removed first, whole trees too,
   never followed; directories above are made. ERR_FAILED when a name leads out. */

/* An existing directory stays; mode and time are set by tar_ground_finish. */
bool tar_ground_dir(struct tar_ground *ground, const char *path, unsigned mode, long long mtime,
                    struct err *err);
/* A new empty file, as a descriptor to write to; -1 on an error. */
int tar_ground_file(struct tar_ground *ground, const char *path, struct err *err);
bool tar_ground_symlink(struct tar_ground *ground, const char *path, const char *target,
                        long long mtime, struct err *err);
/* target is a path in the same directory. */
bool tar_ground_link(struct tar_ground *ground, const char *path, const char *target,
                     struct err *err);
/* Gives the directories the modes they should have in the end. */
bool tar_ground_finish(struct tar_ground *ground, struct err *err);

/* path without "./" and the like; NULL and ERR_FAILED when it is absolute or has "..". Caller
   frees. */
char *tar_ground_name(const struct tar_ground *ground, const char *path, struct err *err);

#endif
