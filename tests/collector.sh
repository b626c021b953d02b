#!/bin/sh
# Runs what Lua holds of C (tasks, children, requests, databases, sessions, secrets, packers, runs as a whole) with a
# collector that never rests: what C still uses and Lua no longer holds is freed under it, where the address sanitizer
# sees it. Left out for their time: repositories (31 s) and unpacking (95 s). Closing line: N passed, N failed, N skipped.
#
#   tests/services/within sh tests/collector.sh [SPEC OR FOLDER]...
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
  for name in db fs hash http http_cancel http_stream mask proc proc_child proc_shim repo_info secret session \
    session_files task task_cancel tar; do
    set -- "$@" "tests/engine/${name}_spec.lua"
  done
  set -- "$@" tests/e2e/runs_spec.lua
fi
ORCH_TEST_BUILDS=build-gc exec sh tests/suite.sh "$@"
