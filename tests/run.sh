#!/bin/sh
# Builds orch and runs all its tests: the suite as it is released, and with address and undefined-behaviour
# sanitizers, both against real services in a network namespace of their own; what has threads under the thread
# sanitizer; what Lua holds of C with a collector that never rests; and each fuzz target for ORCH_FUZZ_SECONDS (60).
# Closing line: N passed, N failed, N skipped.
#
#   sh tests/run.sh [SPEC OR FOLDER]...     with names: only these, as released and with sanitizers
set -eu
cd "$(dirname "$0")/.."

log=$(mktemp)
suites= # process ids
clean_up() {
  [ -z "$suites" ] || kill $suites 2> /dev/null || true
  wait
  rm -f "$log"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
passed=0 failed=0 skipped=0

build() { # preset, target...
  echo "== build ($1)"
  preset=$1
  shift
  cmake --preset "$preset" -DORCH_WERROR=ON > "$log" 2>&1 &&
    cmake --build --preset "$preset" -j "$(nproc)" ${1+--target "$@"} > "$log" 2>&1 || { cat "$log"; exit 1; }
}

# Adds up the closing line of a file; without one, something has failed.
count() { # file
  set -- $(tail -n 1 "$1" | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || echo 0 . 1 . 0 .)
  passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
}

# Runs a command whose closing line is counted.
part() { # command...
  { "$@" 2>&1 || :; } | tee "$log"
  count "$log"
}

sh tests/setup.sh test
build release all tests_c
build asan all tests_c
# Side by side, each with services of its own: most of the time they wait.
suite() { # name, spec or folder...
  total=$build/suite.$1.total
  shift
  : > "$total"
  totals="$totals $total"
  ORCH_TEST_BUILDS=$build ORCH_TEST_TOTAL=$total tests/services/within sh tests/suite.sh "$@" &
  suites="$suites $!"
}
slow=$(find tests/e2e -name 'executor_*_spec.lua' -o -name '*_faults_spec.lua')
rest=$(find tests/unit tests/engine tests/tidy tests/e2e -name '*_spec.lua' | grep -vxF "$slow")
totals=
for build in build build-asan; do
  if [ $# -gt 0 ]; then
    suite named "$@"
  else
    suite slow $slow
    suite rest tests/c $rest
  fi
done
for suite in $suites; do wait "$suite" || :; done
suites=
for total in $totals; do count "$total"; done
if [ $# -eq 0 ]; then
  build tsan
  part sh tests/threads.sh
  build gc
  part tests/services/within sh tests/collector.sh
  build fuzz fuzz
  part tests/fuzz/run "${ORCH_FUZZ_SECONDS-60}"
fi
echo "== total"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
