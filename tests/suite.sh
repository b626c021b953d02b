#!/bin/sh
# Runs the C tests and the specs with each of ORCH_TEST_BUILDS (directories; build and build-asan unless told), against
# one set of services; called by run.sh in a fresh network namespace. Closing line: N passed, N failed, N skipped.
set -eu

clean_up() {
  sh tests/services/down "$services" || true
  rm -rf "$work"
}
services=$(mktemp -d "${TMPDIR:-/tmp}/orch-services.XXXXXX")
work=$(mktemp -d "${TMPDIR:-/tmp}/orch-suite.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
sh tests/services/up "$services"
. "$services/env"

ASAN_OPTIONS=detect_leaks=1
LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export ASAN_OPTIONS LSAN_OPTIONS
unset ORCH_LUA

passed=0 failed=0 skipped=0

# Runs a command, shows what it prints, and leaves its closing line's figures in $p, $f and $s. A program that ends
# badly after a good closing line (a leak is found then) has failed too, and so has one without that line.
figures() { # command...
  { "$@" 2>&1 && echo 0 > "$work/code" || echo $? > "$work/code"; } | tee "$work/out"
  set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/out" | tail -n 1) $(cat "$work/code")
  if [ $# -ne 7 ]; then
    echo "FAILED: it ended without its closing line, with code $1"
    p=0 f=1 s=0
    return
  fi
  p=$1 f=$3 s=$5
  if [ "$f" -eq 0 ] && [ "$7" -ne 0 ]; then
    echo "FAILED: it ended with code $7"
    f=1
  fi
}

count() {
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# A spec that fails is run once more by itself: a machine that others use too is sometimes late, and a spec that fails
# twice is not. The second run's failures count; that there was one is told at the end.
run_specs() { # build, spec...
  build=$1
  shift
  : > "$work/again"
  ORCH_TEST_FAILED=$work/again figures "$build/orch" lua tests/run.lua "$@"
  if [ -s "$work/again" ]; then
    first_p=$p first_f=$f first_s=$s
    sed "s|^|$build: |" "$work/again" >> "$work/unsteady"
    echo "== again by itself ($build): $(tr '\n' ' ' < "$work/again")"
    figures "$build/orch" lua tests/run.lua $(cat "$work/again")
    [ $((p + s)) -ge "$first_f" ] || f=$first_f # what failed did not run again
    p=$((first_p + first_f - f)) s=$first_s
  fi
  count
}

everything=
[ $# -gt 0 ] || everything=yes
[ $# -gt 0 ] || set -- tests/unit tests/engine tests/tidy tests/e2e
: > "$work/unsteady"
for build in ${ORCH_TEST_BUILDS-build build-asan}; do
  if [ -n "$everything" ] && [ -x "$build/tests/c/tests_c" ]; then
    echo "== C tests ($build)"
    figures "$build/tests/c/tests_c"
    count
  fi
  echo "== specs ($build)"
  run_specs "$build" "$@"
done

if [ -s "$work/unsteady" ]; then
  echo "== UNSTEADY: these specs failed first, and were run again"
  cat "$work/unsteady"
fi
echo "== total"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
