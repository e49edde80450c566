#!/bin/sh
# Sources that a CUDA device has no room for stay in the host's memory, and nothing else differs. Run from the repository's
# root with MLOC and MLO_CUDA_PATH, the emulated stack, set.
set -eu
[ -e "${MLO_CUDA_PATH:-/nonexistent}/libcuda.so.1" ] || { echo "skipped: no emulated CUDA stack here" && exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "room: $*" >&2
  exit 1
}

# 1031 rows of 1024 f32 each, the same 4 KiB of digits and letters everywhere but for the rows' beginnings
{
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1031, 1024), }"
  awk 'BEGIN { for (r = 0; r < 1031; r++) { printf "%04d", r + 2000; for (i = 1; i < 1024; i++) printf "22?@" } }'
} >"$dir/d.npy"
[ "$(wc -c <"$dir/d.npy")" = $((128 + 4 * 1031 * 1024)) ] || fail "the data are not what they should be"

cat >"$dir/p.mlo" <<'MLO'
dim N;
data one { file = "d.npy"; x : f32[N, 1024]; batch = 100; }
data two { file = "d.npy"; x : f32[N, 1024]; batch = 64; shuffle = true; }
level fit {
  var w : f32[1024] = normal(0.01);
  minimize mean((sum(one.x * w, axis = 1) - one.x[.., 0])^2);
  optimizer = sgd(lr = 1e-9);
  steps = 2;
  metric all on two = mean(two.x[.., 0] * fit.w[0]);
}
level tune {
  var s : f32[1024] = 1;
  argmin fit via identity;
  minimize mean((sum(two.x * fit.w * s, axis = 1) - two.x[.., 0])^2);
  optimizer = sgd(lr = 1e-9);
  steps = 4;
}
run main of tune { report = every(2, csv); }
MLO
"$MLOC" build --target=cuda "$dir/p.mlo" -o "$dir/p"
cd "$dir"
./p --quiet --out whole
MLO_EMU_MEMORY=6000000 ./p --progress=none --out part >table 2>said
grep -q 'p: 8.4 MB of data stay in the host.s memory: .* has no room for them' said || fail "$(cat said)"
cmp whole/final.npz part/final.npz || fail "other results"
cmp whole/metrics.csv part/metrics.csv || fail "other metrics"
code=0
MLO_EMU_MEMORY=4000 ./p --quiet 2>said || code=$?
[ $code = 5 ] || fail "exit code $code, not 5"
grep -q 'out of memory on .*: the program needs [0-9.]* kB, and' said || fail "$(cat said)"
