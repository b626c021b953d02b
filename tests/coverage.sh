#!/bin/sh
# How much of the engine's C the tests reach: builds the preset "coverage", runs the C tests and the specs (or those named)
# and prints each file's share, the least first. Neither counted: the shim, which has no C library to count with, and Lua.
#
#   tests/services/within sh tests/coverage.sh [SPEC OR FOLDER]...
set -eu
cd "$(dirname "$0")/.."

cmake --preset coverage > /dev/null
cmake --build --preset coverage -j "$(nproc)" --target all tests_c > /dev/null
GCOV_ERROR_FILE=/dev/null # what runs as another user cannot write its counts
export GCOV_ERROR_FILE
find build-coverage -name '*.gcda' -delete
ORCH_TEST_BUILDS=build-coverage sh tests/suite.sh "$@" || echo "coverage: some tests failed" >&2

# A source that is in several programs counts as the one that reached most of it.
find build-coverage -name '*.gcno' | while read -r notes; do
  gcov -n -o "$(dirname "$notes")" "$notes" 2> /dev/null
done | awk -v root="$PWD/engine/" '
  /^File / { file = substr($0, 7, length($0) - 7); ours = index(file, root) == 1 }
  ours && /^Lines executed:/ {
    split(substr($0, 16), part, "% of ")
    name = substr(file, length(root) + 1)
    lines[name] = part[2]
    if (!(name in hit) || part[1] > hit[name]) hit[name] = part[1] + 0
    ours = 0
  }
  END {
    for (name in hit) {
      all += lines[name]
      reached += hit[name] * lines[name] / 100
      printf "%6.2f %% of %5d lines  %s\n", hit[name], lines[name], name | "sort -n"
    }
    close("sort -n")
    if (all) printf "%6.2f %% of %5d lines in all\n", reached * 100 / all, all
  }'
