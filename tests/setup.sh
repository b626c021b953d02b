#!/bin/sh
# Installs the Debian packages that are missing: setup.sh build|run|test (each includes the former).
set -eu

build="cmake gcc libc6-dev make musl-tools pkg-config libarchive-dev libcurl4-openssl-dev libgit2-dev
  libjansson-dev liblua5.4-dev libnghttp2-dev libsqlite3-dev libssl-dev libuv1-dev libzstd-dev"
run="apache2-utils busybox-static ca-certificates docker-registry docker.io git iproute2 iptables
  python3-botocore"
tests="awscli clang curl ninja-build gzip libclang-rt-14-dev lua-busted lua-check openssh-server openssl python3
  python3-jsonschema python3-pyte skopeo tar zstd"

case "${1:-test}" in
  build) wanted=$build ;;
  run) wanted="$build $run" ;;
  test) wanted="$build $run $tests" ;;
  *) echo "usage: setup.sh build|run|test" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "setup: not root; please install:$missing" >&2
  exit 1
fi
echo "setup: installing$missing"
log=$(mktemp)
# Services that packages bring must not start: the tests run their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
    > "$log" 2>&1; then
  cat "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
