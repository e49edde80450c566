#!/bin/sh
# From a bare Debian 12 to a trained example: installs the packages that are missing (as root or with sudo), builds mloc
# into build/, and runs examples/ridge_digits.
#
#   ./quickstart.sh               all of that
#   ./quickstart.sh --packages    the packages only
set -eu
cd "$(dirname "$0")"
packages="gcc libc6-dev cmake ninja-build pkg-config flex bison libcmocka-dev libopenblas-openmp-dev libzip-dev
  zlib1g-dev libjansson-dev libpopt-dev librandom123-dev libxxhash-dev clang libomp-dev"

missing=
for package in $packages; do
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :) in
    *' installed') ;;
    *) missing="$missing $package" ;;
  esac
done
if [ -n "$missing" ]; then
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -q
  # shellcheck disable=SC2086 # a list
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
[ "${1-}" != --packages ] || exit 0

cmake --preset default
cmake --build --preset default --target mloc
exec build/bin/mloc run examples/ridge_digits/ridge_digits.mlo
