#!/bin/sh
# Runs what has threads (the databases, the spool's writers, the work pool, packing, checkouts) with the thread sanitizer.
# Needs no services. Closing line: N passed, N failed, N skipped.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- tests/engine/db_spec.lua tests/engine/fs_spec.lua tests/engine/hash_spec.lua \
  tests/engine/repo_trees_spec.lua tests/engine/spool_spec.lua tests/engine/tar_spec.lua \
  tests/engine/tar_context_spec.lua tests/engine/tar_unpack_spec.lua
unset ORCH_LUA
# The first race ends the run: without its closing line it counts as failed.
TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 exec build-tsan/orch lua tests/run.lua "$@"
