#!/bin/sh
# Runs the C tests and the specs with each of ORCH_TEST_BUILDS (directories; build and build-asan unless told), against
# one set of services; called by run.sh in a fresh network namespace. Each file of specs has a process of its own, and
# ORCH_TEST_LIMIT seconds (300) for its end. Closing line, also written to ORCH_TEST_TOTAL: N passed, N failed, N skipped.
set -eu

# A /tmp of its own, so that each new file in it is a test's. Not where this tree itself stands below it.
case $PWD/ in
  /tmp/*) ;;
  *)
    if [ -z "${ORCH_TEST_TMP-}" ] && unshare --mount true 2> /dev/null; then
      ORCH_TEST_TMP=$(mktemp -d /tmp/orch-tests.XXXXXX)
      export ORCH_TEST_TMP
      chmod 1777 "$ORCH_TEST_TMP"
      unset TMPDIR
      exec unshare --mount sh "$0" "$@"
    fi
    ;;
esac

clean_up() {
  sh tests/services/down "$services" || true
  rm -rf "$work"
  [ -z "${ORCH_TEST_TMP-}" ] || { umount -l /tmp && rm -rf "$ORCH_TEST_TMP"; }
}
[ -z "${ORCH_TEST_TMP-}" ] || mount --bind "$ORCH_TEST_TMP" /tmp
services=$(mktemp -d "${TMPDIR:-/tmp}/orch-services.XXXXXX")
work=$(mktemp -d "${TMPDIR:-/tmp}/orch-suite.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
sh tests/services/up "$services"
. "$services/env"

ORCH_TEST_MARK=ORCH_TEST_MARK=$$.$(date +%s) # in the environment of whatever a test starts
# GCC before 14 takes some blocks of thread-local storage for what they are not, and its search for leaks then ends by
# signal 11, now and then: https://github.com/google/sanitizers/issues/1322
ASAN_OPTIONS=detect_leaks=1:intercept_tls_get_addr=0
LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
ORCH_TEST_NOW=$work/now
export ORCH_TEST_MARK ASAN_OPTIONS LSAN_OPTIONS ORCH_TEST_NOW
unset ORCH_LUA
[ $# -gt 0 ] || set -- tests/c tests/unit tests/engine tests/tidy tests/e2e

limit=${ORCH_TEST_LIMIT-300}
closing='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'
passed=0 failed=0 skipped=0

# Runs a command, leaves what it printed in $work/out and its closing line's figures in $p, $f and $s. A program that
# ends badly after a good closing line (a leak is found then) has failed too, and so has one without that line.
figures() { # command...
  : > "$work/now"
  code=0
  timeout -k 10 "$limit" "$@" > "$work/out" 2>&1 || code=$?
  set -- $(grep -E "$closing" "$work/out" | tail -n 1)
  p=${1-0} f=${3-1} s=${5-0}
  if [ $code -eq 124 ] || [ $code -eq 137 ]; then
    echo "FAILED: not ended after $limit s, in: $(cat "$work/now")" >> "$work/out"
    [ "$f" -gt 0 ] || f=1
  elif [ $# -eq 0 ]; then
    echo "FAILED: it ended without its closing line, with code $code, in: $(cat "$work/now")" >> "$work/out"
  elif [ "$f" -eq 0 ] && [ $code -ne 0 ]; then
    echo "FAILED: it ended with code $code" >> "$work/out"
    f=1
  fi
}

# A line for what ran, and what it printed where there is something to know; in one piece, as another suite may print too.
tell() { # name, seconds
  printf '%4d passed, %d failed, %d skipped  %4d s  %s\n' "$p" "$f" "$s" "$2" "$1" > "$work/told"
  [ "$f" -eq 0 ] && [ "$s" -eq 0 ] || grep -vE "$closing|^[.sFE?]*\$" "$work/out" >> "$work/told" || true
  cat "$work/told"
}

# A spec that fails is run once more: a machine that others use too is sometimes late, and a spec that fails twice is
# not. The second run counts; that there was one is told at the end.
run() { # name, command...
  name=$1
  shift
  for attempt in first second; do
    begun=$(date +%s)
    figures "$@"
    tell "$name" $(($(date +%s) - begun))
    [ "$f" -gt 0 ] || break
    [ $attempt = second ] || echo "$name" >> "$work/unsteady"
  done
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

: > "$work/unsteady"
for build in ${ORCH_TEST_BUILDS-build build-asan}; do
  case " $* " in *" tests/c "*) run "$build: C tests" "$build/tests/c/tests_c" ;; esac
  for spec in $(find "$@" -name '*_spec.lua' | sort); do
    run "$build: $spec" "$build/orch" lua tests/run.lua "$spec"
  done
done

if [ -s "$work/unsteady" ]; then
  echo "== UNSTEADY: these failed first, and were run again"
  cat "$work/unsteady"
fi
total="$passed passed, $failed failed, $skipped skipped"
[ -z "${ORCH_TEST_TOTAL-}" ] || echo "$total" > "$ORCH_TEST_TOTAL"
echo "$total"
[ $failed -eq 0 ]
