#!/bin/sh
# A solver's loop with a tolerance ends early in a CUDA graph, with products in it, and nothing differs from all of its
# rounds, nor from the CPU: with kernels that are compiled at the start, and with carried ones. Run from the repository's root with MLOC and
# MLO_CUDA_PATH, the emulated stack, set.
set -eu
[ -e "${MLO_CUDA_PATH:-/nonexistent}/libcuda.so.1" ] || { echo "skipped: no emulated CUDA stack here" && exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "loops: $*" >&2
  exit 1
}

# A network whose Hessian-vector products are large enough for cuBLAS.
{
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (128, 300), }"
  awk 'BEGIN { for (i = 0; i < 128 * 300; i++) printf "%c%c%c>", 33 + i * 7 % 90, 33 + i * 11 % 90, 33 + i * i % 90 }'
} >"$dir/d.npy"
cat >"$dir/p.mlo" <<'MLO'
dim N;
data d { file = "d.npy"; x : f32[N, 300]; }
level fit {
  var U : f32[300, 128] = normal(0.05);
  var V : f32[128, 4] = normal(0.05);
  minimize mean((tanh(d.x @ U) @ V - d.x[.., ..4])^2) + 0.05 * sum(exp(tune.rho) * sum(U^2, axis = 1)) + 0.05 * sum(V^2);
  optimizer = sgd(lr = 0.1);
  steps = 3;
}
level tune {
  var rho : f32[300] = -1;
  argmin fit via cg(iters = 40, tol = 0.2, damping = 0.1);
  minimize mean((tanh(d.x @ fit.U) @ fit.V - d.x[.., ..4])^2);
  optimizer = adam(lr = 0.05);
  steps = 6;
}
run main of tune { report = every(3, csv); }
MLO
"$MLOC" build --target=cpu,cuda "$dir/p.mlo" -o "$dir/p"
"$MLOC" build --target=cuda --arch=sm_90 "$dir/p.mlo" -o "$dir/carried"
cd "$dir"
export MLO_EMU_STATS=1
MLO_GRAPH_LOOPS=fixed ./p -v --progress=none --out fixed >table 2>said_fixed
grep -q 'make all their rounds in graphs: MLO_GRAPH_LOOPS=fixed' said_fixed || fail "$(cat said_fixed)"
./p --quiet --device=cpu --out cpu
paste -d , cpu/metrics.csv fixed/metrics.csv | awk -F , 'NR > 1 {
  for (i = 1; i <= NF / 2; i++) { d = $i - $(i + NF / 2); if (d < 0) d = -d; if (d > 1e-3 * $i) bad = 1 }
  n++ } END { exit bad || n != 3 }' || fail "not as on the CPU: $(cat cpu/metrics.csv fixed/metrics.csv)"
graph_kernels() { sed -n 's/^emulator: .* kernels, \([0-9]*\) in graphs.*/\1/p' "$1"; }
products() { sed -n 's/^emulator: .* launches, \([0-9]*\) gemms.*/\1/p' "$1"; }
for p in p carried; do
  ./$p -v --progress=none --out $p.out >table 2>said
  grep -q 'loops with a condition end early in graphs' said || fail "$p: $(cat said)"
  grep -q ' [1-9][0-9]* rounds of loops' said || fail "$p: $(cat said)"
  [ "$(graph_kernels said)" -lt "$(graph_kernels said_fixed)" ] || fail "$p: no fewer kernels: $(cat said said_fixed)"
  [ "$(products said)" -lt "$(products said_fixed)" ] || fail "$p: no fewer products: $(cat said said_fixed)"
  cmp fixed/final.npz $p.out/final.npz || fail "$p: other results"
  cmp fixed/metrics.csv $p.out/metrics.csv || fail "$p: other metrics"
done
