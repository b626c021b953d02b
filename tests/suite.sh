#!/bin/sh
# Runs the specs with both builds against one set of services; called by run.sh in a fresh network namespace.
set -eu

services=$(mktemp -d "${TMPDIR:-/tmp}/orch-services.XXXXXX")
results=$(mktemp)
trap 'sh tests/services/down "$services" || true; rm -f "$results"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
sh tests/services/up "$services"
. "$services/env"

[ $# -gt 0 ] || set -- tests/unit tests/engine tests/tidy tests/e2e
ORCH_LUA= ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export ASAN_OPTIONS LSAN_OPTIONS
unset ORCH_LUA
failed=0
for build in build build-asan; do
  echo "== specs ($build)"
  "$build/orch" lua tests/run.lua "$@" 2>&1 | tee -a "$results" || failed=1
done

awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { p += $1; f += $3; s += $5; n++ }
  END { if (n < 2) { print "a run ended without its closing line"; f++ }
        printf "== total\n%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$results" || failed=1
exit $failed
