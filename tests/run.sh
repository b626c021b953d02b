#!/bin/sh
# Builds orch twice (release, and with address and undefined-behaviour sanitizers) and runs the whole suite
# with each, against real services in a network namespace of their own. Closing line: N passed, N failed.
#
#   sh tests/run.sh [SPEC OR FOLDER]...
set -eu
cd "$(dirname "$0")/.."

sh tests/setup.sh test
for preset in release asan; do
  echo "== build ($preset)"
  cmake --preset "$preset" -DORCH_WERROR=ON > /dev/null
  cmake --build --preset "$preset" -j "$(nproc)" > "build.$$.log" 2>&1 || { cat "build.$$.log"; rm -f "build.$$.log"; exit 1; }
  rm -f "build.$$.log"
done
exec tests/services/within sh tests/suite.sh "$@"
