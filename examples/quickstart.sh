#!/bin/sh
# Runs the main job for real on this machine: builds orch, makes a project of examples/app, and builds, tags and
# pushes its image. Uses the docker daemon that answers, else one of its own; pushes to a registry with an ECR
# Public stand-in on loopback, or to ECR Public itself when AWS_ACCESS_KEY_ID is set. Leaves nothing running.
#
#   sh examples/quickstart.sh [repository=NAME]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"

daemon_answers() {
  build/orch lua examples/daemon_answers.lua 2>/dev/null
}

if [ -z "${ORCH_QUICKSTART_INSIDE:-}" ]; then
  sh tests/setup.sh run
  echo "== building orch"
  cmake --preset release > /dev/null
  cmake --build --preset release -j "$(nproc)" > /dev/null
  export ORCH_QUICKSTART_INSIDE=1
  if ! daemon_answers; then
    echo "== no docker daemon answers: starting one for this run, in a network namespace of its own"
    unset DOCKER_HOST
    export ORCH_QUICKSTART_OWN_DAEMON=1
    exec sh tests/services/within sh examples/quickstart.sh "$@"
  fi
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/orch-quickstart.XXXXXX")
services=
clean_up() {
  [ -z "$services" ] || sh tests/services/down "$services" || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

own_daemon=${ORCH_QUICKSTART_OWN_DAEMON:+yes}
if [ -z "${AWS_ACCESS_KEY_ID:-}" ] || [ -n "$own_daemon" ]; then
  services=$work/s
  if [ -n "$own_daemon" ]; then sh tests/services/up "$services"; else sh tests/services/up "$services" --no-docker; fi
  . "$services/env"
fi

cp -R examples/app "$work/app"
git -C "$work/app" init --quiet --initial-branch=main
git -C "$work/app" add --all
git -C "$work/app" -c user.name=quickstart -c user.email=quickstart@localhost commit --quiet --message "an app to build"

export ORCH_STATE="$work/state"
build/orch run recipes/build_push_docker_image.lua --project "$work/app" "$@"

if [ -n "$services" ]; then
  echo
  echo "== what the registry says"
  build/orch lua examples/registry_tags.lua "$ORCH_TEST_REGISTRY"
fi
