#!/bin/sh
# Sources that a CUDA device has no room for stay in the host's memory, their next batches are copied ahead, and nothing else
# differs. Run from the repository's root with MLOC and MLO_CUDA_PATH, the emulated stack, set.
set -eu
[ -e "${MLO_CUDA_PATH:-/nonexistent}/libcuda.so.1" ] || { echo "skipped: no emulated CUDA stack here" && exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "room: $*" >&2
  exit 1
}

# 1031 rows of 1023 f32 each, the same digits and letters everywhere but for the rows' beginnings; behind the last one what is
# aligned does not follow at once
{
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1031, 1023), }"
  awk 'BEGIN { for (r = 0; r < 1031; r++) { printf "%04d", r + 2000; for (i = 1; i < 1023; i++) printf "22?@" } }'
} >"$dir/d.npy"
[ "$(wc -c <"$dir/d.npy")" = $((128 + 4 * 1031 * 1023)) ] || fail "the data are not what they should be"

cat >"$dir/p.mlo" <<'MLO'
dim N;
data one { file = "d.npy"; x : f32[N, 1023]; batch = 100; }
data two { file = "d.npy"; x : f32[N, 1023]; batch = 64; shuffle = true; }
level fit {
  var w : f32[1023] = normal(0.01);
  minimize mean((sum(one.x * w, axis = 1) - one.x[.., 0])^2);
  optimizer = sgd(lr = 1e-5);
  steps = 2;
  metric all on two = mean(two.x[.., 0] * fit.w[0]);
}
level tune {
  var s : f32[1023] = 1;
  argmin fit via identity;
  minimize mean((sum(two.x * fit.w * s, axis = 1) - two.x[.., 0])^2);
  optimizer = sgd(lr = 0.01);
  steps = 4;
}
run main of tune { report = every(2, csv); checkpoint = every(2); }
MLO
"$MLOC" build --target=cuda "$dir/p.mlo" -o "$dir/p"
cd "$dir"
./p --quiet --out whole
MLO_EMU_MEMORY=6000000 ./p --progress=none --out part >table 2>said
grep -q 'p: 8.4 MB of data stay in the host.s memory: .* has no room for them' said || fail "$(cat said)"
cmp whole/final.npz part/final.npz || fail "other results"
cmp whole/metrics.csv part/metrics.csv || fail "other metrics"

# Between two seeds they stay, and so do those on the device.
./p --quiet --seeds 3 --out seeds >/dev/null
MLO_EMU_MEMORY=6000000 ./p --quiet --seeds 3 --out few_seeds >/dev/null
for seed in 0 1 2; do
  ./p --quiet --seed $seed --out alone
  for out in seeds few_seeds; do
    cmp alone/final.npz $out/seed-$seed/final.npz || fail "other results with seed $seed in $out"
    cmp alone/metrics.csv $out/seed-$seed/metrics.csv || fail "other metrics with seed $seed in $out"
  done
done

# The next batches: a branch of each step's graph, whose order to the rest must not matter.
for order in forward reverse random; do
  for lazy in 0 1; do
    MLO_EMU_ORDER=$order MLO_EMU_LAZY=$lazy MLO_EMU_MEMORY=6000000 ./p --verbose --progress=none --out ahead >table 2>said
    grep -q 'p: the next batches are copied ahead' said || fail "$(cat said)"
    cmp whole/final.npz ahead/final.npz || fail "other results, $order $lazy"
    cmp whole/metrics.csv ahead/metrics.csv || fail "other metrics, $order $lazy"
  done
done
for how in ahead late; do
  MLO_BATCHES=$how ./p --verbose --progress=none --out $how >table 2>said
  cmp whole/final.npz $how/final.npz || fail "other results with MLO_BATCHES=$how"
  [ "$(grep -c 'copied ahead' said) $how" != "0 ahead" ] || fail "nothing is copied ahead: $(cat said)"
  [ "$(grep -c 'copied ahead' said) $how" != "1 late" ] || fail "copied ahead: $(cat said)"
done
MLO_EMU_STATS=1 MLO_EMU_MEMORY=6000000 ./p --steps 20 --quiet 2>said
stats=$(sed -n 's/.* \([0-9]*\) within,.*/\1/p' said)
[ "${stats:-0}" -gt 60 ] || fail "copies of draws: $(cat said)" # 20 steps of three draws

# Of a run that goes on, too.
MLO_EMU_MEMORY=6000000 ./p --quiet --steps 2 --out half
MLO_EMU_MEMORY=6000000 ./p --quiet --resume half/checkpoints/0000000002.npz --out rest
cmp whole/final.npz rest/final.npz || fail "other results after --resume"
cmp whole/metrics.csv rest/metrics.csv || fail "other metrics after --resume"

# Without room for the copies batches are read when they are drawn: 40 kB less each time, until it does not fit at all.
bytes=1400000 seen=
while MLO_EMU_MEMORY=$bytes ./p --verbose --progress=none --out tight >table 2>said; do
  cmp whole/final.npz tight/final.npz || fail "other results with $bytes bytes"
  grep -q 'p: batches are copied when they are drawn' said && seen=1
  bytes=$((bytes - 40000))
done
grep -q 'out of memory on' said || fail "$(cat said)"
[ -n "$seen" ] || fail "there was always room for copies"

# Lower steps that are several graphs; draws in a loop that ends early, which nothing runs ahead of.
sed 's/batch = 64;/batch = 17;/; s/batch = 100;/batch = 17;/; s/steps = 2;/steps = 1300;/; s/steps = 4;/steps = 2;/' p.mlo >long.mlo
sed 's/steps = 2;/steps = 9; stop = norm(grad) > 0;/' p.mlo >stops.mlo
for name in long stops; do
  "$MLOC" build --target=cuda $name.mlo -o $name
  ./$name --quiet --out $name.whole
  MLO_EMU_MEMORY=6000000 ./$name --verbose --progress=none --out $name.part >table 2>said
  grep -q 'of data stay in the host.s memory' said || fail "$name: $(cat said)"
  grep -q 'the next batches are copied ahead' said || fail "$name: $(cat said)"
  cmp $name.whole/final.npz $name.part/final.npz || fail "$name: other results"
done

for name in MLO_BATCHES MLO_GRAPH_LOOPS; do
  code=0
  env $name=nonsense ./p --quiet 2>said || code=$?
  [ $code = 2 ] || fail "exit code $code, not 2, with $name=nonsense"
  grep -q "$name is .* or .*, not .nonsense" said || fail "$(cat said)"
done
code=0
MLO_EMU_MEMORY=4000 ./p --quiet 2>said || code=$?
[ $code = 5 ] || fail "exit code $code, not 5"
grep -q 'out of memory on .*: the program needs [0-9.]* kB, and' said || fail "$(cat said)"
