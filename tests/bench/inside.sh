#!/bin/sh
# The part of tests/bench/run that stands inside its network namespace.
set -eu
# On tmpfs, where there is one: disks would speak louder than we do.
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
services=$(mktemp -d "$base/orch-bench.XXXXXX")
trap 'sh tests/services/down "$services/s" || true; rm -rf "$services"' EXIT
sh tests/services/up "$services/s"
. "$services/s/env"
export ORCH_BENCH_DIR="$services"
build/orch lua tests/bench/run.lua "$@"
