#!/bin/sh
# How threads wait for each other: executables set GOMP_SPINCOUNT unless the user has said something. Run with MLOC set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset GOMP_SPINCOUNT OMP_WAIT_POLICY

fail() {
  echo "waiting: $*" >&2
  exit 1
}

cat >"$dir/p.mlo" <<'MLO'
level fit { var w : f32[100] = normal(1); minimize sum(w^2); optimizer = sgd(lr = 0.1); steps = 3; }
run main of fit { }
MLO
"$MLOC" build "$dir/p.mlo" -o "$dir/p"
"$dir/p" --quiet --threads 1 >"$dir/want"

# spins EXPECTED ARGUMENTS...: what libgomp says at each of the process's starts
spins() {
  want=$1
  shift
  OMP_DISPLAY_ENV=verbose "$dir/p" "$@" >"$dir/out" 2>"$dir/err" || fail "$*: exit code $?"
  said=$(sed -n "s/.*GOMP_SPINCOUNT = '\([0-9]*\)'.*/\1/p" "$dir/err" | tr '\n' ' ')
  [ "$said" = "$want" ] || fail "$*: spins $said, expected $want"
}
spins '300000 1000 ' --quiet --threads 2
cmp "$dir/out" "$dir/want" || fail "another result"
OMP_NUM_THREADS=2 spins '300000 1000 ' --quiet
OMP_NUM_THREADS=2 spins '300000 ' --quiet --threads=1
OMP_NUM_THREADS=1 spins '300000 ' --quiet
GOMP_SPINCOUNT=77 spins '77 ' --quiet --threads 2
OMP_WAIT_POLICY=passive spins '0 ' --quiet --threads 2
spins '300000 ' --version
spins '300000 ' --threads 2 --help
grep -q '^usage: .*/p ' "$dir/out" || grep -q '^usage: p ' "$dir/out" || fail "$(cat "$dir/out")"
# Of an executable whose file has gone meanwhile; its name is still the first argument.
cp "$dir/p" "$dir/gone name"
(exec 3<"$dir/gone name"; rm "$dir/gone name"; exec "/proc/self/fd/3" --quiet --threads 2) >"$dir/out"
cmp "$dir/out" "$dir/want" || fail "another result without the file"
