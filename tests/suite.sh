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
# What fails is run once more by itself: a machine that others use too is sometimes late, and a spec that fails
# twice is not. The line of a second run counts in place of the first one's failures.
failed_list=$(mktemp)
failed=0
for build in build build-asan; do
  echo "== specs ($build)"
  ORCH_TEST_FAILED=$failed_list "$build/orch" lua tests/run.lua "$@" 2>&1 | tee -a "$results"
  if [ -s "$failed_list" ]; then
    echo "== again by itself ($build): $(tr '\n' ' ' < "$failed_list")"
    echo again >> "$results"
    xargs "$build/orch" lua tests/run.lua < "$failed_list" 2>&1 | tee -a "$results"
    : > "$failed_list"
  fi
done
rm -f "$failed_list"

awk '/^again$/ { again = 1 }
  /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
    if (again) { p += last - $3; f += $3 - last; again = 0 }
    else { p += $1; f += $3; s += $5; n++; last = $3 }
  }
  END { if (n < 2) { print "a run ended without its closing line"; f++ }
        printf "== total\n%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$results" || failed=1
exit $failed
