#!/bin/sh
# Programs on the emulated CUDA device: every example and every program of the language's design takes three upper steps on
# the CPU and there, on parts of its data where all of them take long.
#
# What is compared. In f64 (`precision = f64`, put into a copy) all arrays of final.npz and all cells of metrics.csv agree to
# 1e-6 of the greatest magnitude: sums are made in another order, products are fused elsewhere, and ten or fifteen steps of
# conjugate gradients on a badly conditioned system, differences that SAMA takes and Adam's first steps, which are of the
# sign of a gradient however small it is, carry 1e-16 up to some 1e-8. In f32 the same things carry 1e-7 up to a few percent
# of a hypergradient, on the CPU as on the device, so that it says nothing there; what f32 must agree in is the first
# report's losses and metrics, which no hypergradient is behind, to 1e-4, and what the last report says of losses, to 1e-2.
# The device's own results are the same bits in any order of its threads, blocks and nodes, in both precisions.
#   MLOC=path/to/mloc tests/device.sh path/to/apart path/to/emulator path/to/source
# Where the emulator is not built (its fibers are x86-64's), the test is skipped (exit code 77).
set -eu
apart=$1 emulator=$2
[ -e "$emulator/libcuda.so.1" ] || { echo "skipped: no $emulator/libcuda.so.1"; exit 77; }
MLOC=$(realpath "$MLOC")
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MLO_CUDA_PATH="$emulator"
unset MLO_EMU_ORDER MLO_EMU_CHECK MLO_EMU_DEVICES MLO_EMU_MEMORY MLO_EMU_LAZY

fail() {
  echo "device: $*" >&2
  exit 1
}

# near NAME A B TOLERANCE WHICH: cells of two metrics.csv. WHICH is `all`; `first`, the first report without what a
# hypergradient is behind; or `losses`, of all reports.
near() {
  paste -d , "$2" "$3" | awk -F , -v name="$1" -v tolerance="$4" -v which="$5" '
    NR == 1 { n = NF / 2
      for (i = 1; i <= n; i++) {
        if ($i != $(i + n)) { print name ": other columns"; wrong++ }
        head[i] = $i
        skip[i] = which != "all" && $i ~ /hypergradient|residual/ || which == "losses" && $i !~ /loss$/ } }
    NR > 1 && !(which == "first" && NR > 2) { rows++
      for (i = 1; i <= n; i++) {
        x = $i; y = $(i + n); d = x - y; if (d < 0) d = -d
        size = head[i] ~ /residual$/ ? 1 : x < 0 ? -x : x # a residual is a share of 1
        if (skip[i] || x == y) continue
        if (x == "" || y == "" || !(d <= tolerance * (size + 1e-9))) { wrong++; print name ": step " $1 ", " head[i] ": " x " is not " y } } }
    END { exit wrong > 0 || rows < (which == "first" ? 1 : 2) }' >&2 || fail "$1: metrics.csv differs ($5, $4)"
}

# on PROGRAM NAME DEVICE ARGUMENT..: what it gives is in $work/NAME.
on() {
  program=$1 name=$2 device=$3
  shift 3
  "$MLOC" run "$program" "$@" --device="$device" --quiet --out "$work/$name" || fail "$program: exit code $? on $device"
}

# same NAME OTHER: bit for bit
same() {
  cmp "$work/$1/final.npz" "$work/$2/final.npz" || fail "$2: another final.npz than $1"
  cmp "$work/$1/metrics.csv" "$work/$2/metrics.csv" || fail "$2: another metrics.csv than $1"
}

# orders PROGRAM NAME ARGUMENT..: the other orders give what NAME has
orders() {
  program=$1 name=$2
  shift 2
  for order in reverse random; do
    MLO_EMU_ORDER=$order on "$program" ordered cuda "$@"
    same "$name" ordered
    rm -r "$work/ordered"
  done
}

# doubled PROGRAM: a copy beside it that computes in f64
doubled() {
  sed 's/ *precision = [a-z0-9]*;//; s/^\(run .*\) {$/\1 {\n  precision = f64;/; s/^\(run .*\) { \(.*\)$/\1 { precision = f64; \2/' "$1" >"${1%.mlo}.f64.mlo"
  grep -q 'precision = f64' "${1%.mlo}.f64.mlo" || fail "$1: no run"
  echo "${1%.mlo}.f64.mlo"
}

# brief PROGRAM ARGUMENT..: in f64, on both devices
brief() {
  p=$(doubled "$1")
  shift
  on "$p" cpu cpu "$@"
  on "$p" cuda cuda "$@"
  near "$p" "$work/cpu/metrics.csv" "$work/cuda/metrics.csv" 1e-6 all
  "$apart" "$work/cpu/final.npz" "$work/cuda/final.npz" 1e-6 || fail "$p: final.npz differs"
}

# compare PROGRAM ARGUMENT..: that, in all orders of threads, and in f32
compare() {
  brief "$@"
  p=$1
  shift
  orders "${p%.mlo}.f64.mlo" cuda "$@"
  on "$p" cpu cpu "$@"
  on "$p" cuda cuda "$@"
  near "$p" "$work/cpu/metrics.csv" "$work/cuda/metrics.csv" 1e-4 first
  near "$p" "$work/cpu/metrics.csv" "$work/cuda/metrics.csv" 1e-2 losses
}

# checked PROGRAM ARGUMENT..: no race, nothing outside of an array
checked() {
  MLO_EMU_CHECK=1 on "$1" checked cuda --steps 1
}

# ---- data: the examples' own, parts of what a package installs, rows of random numbers
cp -r examples "$work/examples"
mkdir "$work/language"
cp tests/language/*.mlo "$work/language"
cp tests/golden/inspect/trilevel.mlo "$work/language"

rows() {
  file=$1 n=$2
  shift 2
  "$MLOC" run "$work/language/rows.mlo" --device=cpu --set N="$n" "$@" --quiet --out "$work/made" >/dev/null
  cp "$work/made/final.npz" "$work/language/$file"
}
rows train.npz 120 --set C=2 --seed 1
rows val.npz 60 --set C=2 --seed 2
rows noisy.npz 300 --seed 3
rows clean.npz 50 --seed 4
rows test.npz 530 --seed 5
rows source.npz 300 --seed 6
rows target.npz 350 --seed 7

# idx FILE N HEADER SIZE NAME: the first N elements of so many bytes of a gzipped IDX file
idx() {
  n=$(printf '\\0\\0\\%03o\\%03o' $(($2 / 256)) $(($2 % 256)))
  # shellcheck disable=SC2059 # bytes by their octal numbers
  case $3 in
    images) { printf "\\0\\0\\010\\003$n\\0\\0\\0\\034\\0\\0\\0\\034"; gzip -dc "$1" | tail -c +17; } ;;
    labels) { printf "\\0\\0\\010\\001$n"; gzip -dc "$1" | tail -c +9; } ;;
  esac 2>"$work/broken-pipe" | head -c "$4" >"$work/$5"
}
fashion=/usr/share/datasets/fashion-mnist

# ---- programs
cd "$work/examples/ridge_digits"
compare ridge_digits.mlo --steps 3
brief sweep.mlo --steps 3
cd ../reweight_digits
compare reweight_digits.mlo main --steps 3
brief reweight_digits.mlo baseline --steps 3
cd ../mlo_mae_digits
compare mlo_mae_digits.mlo main --steps 3
brief mlo_mae_digits.mlo heads --set masks.steps=2 --set again.steps=2 --steps 2
brief mlo_mae_digits.mlo labels --steps 3
if [ -e $fashion/train-images-idx3-ubyte.gz ]; then
  idx $fashion/train-images-idx3-ubyte.gz 6000 images $((16 + 6000 * 784)) images.idx
  idx $fashion/train-labels-idx1-ubyte.gz 6000 labels $((8 + 6000)) labels.idx
  idx $fashion/t10k-images-idx3-ubyte.gz 300 images $((16 + 300 * 784)) test.idx
  idx $fashion/t10k-labels-idx1-ubyte.gz 300 labels $((8 + 300)) test_labels.idx
  cd ../meta_weight_net
  set -- --steps 3 --data images="$work/images.idx" --data labels="$work/labels.idx" --data test="$work/test.idx" \
    --data test_labels="$work/test_labels.idx"
  compare meta_weight_net.mlo "$@"
  brief plain.mlo "$@"
  brief meta_only.mlo "$@"
else
  echo "skipped meta_weight_net: no $fashion (its README.md says which package has it)"
fi
cd "$work/language"
compare strength.mlo --set fit.steps=50 --steps 3
compare reweight.mlo --steps 3
compare select.mlo --steps 3
compare trilevel.mlo --steps 3
for p in strength select trilevel; do checked $p.mlo; done

# ---- the programs of the README, as they stand there
mkdir "$work/readme"
awk -v dir="$work/readme" '
  file != "" && /^```/ { close(dir "/" file); file = ""; next }
  file != "" { print > (dir "/" file); next }
  /^```[a-z]+ [A-Za-z0-9_]+\.(mlo|csv|err)$/ { file = $2; printf "" > (dir "/" file) }
' "$root/README.md"
cd "$work/readme"
for p in *.mlo; do
  [ ! -e "${p%.mlo}.err" ] || continue
  brief "$p"
  checked "$p"
done

# ---- runs: batches and random numbers of several levels, phases, the best report, evaluations
cd "$work"
awk 'BEGIN { print "x0,x1,y"; for (i = 0; i < 100; i++) printf "%g,%g,%g\n", sin(i), cos(3 * i), sin(2 * i) }' >d.csv
cat >runs.mlo <<EOF
dim N;
data d { file = "d.csv"; x : f32[N, 2]; y : f32[N]; batch = 8; shuffle = true; split = parts(tr = 0.6, va = 0.4, seed = 2); }

level fit {
  var w : f32[2] = normal(0.5);
  var choice : f32[2] = normal(0.1);
  state seen : f32 = 0 next seen + sum(d.tr.y);
  let mixed = d.tr.x * gumbel_softmax(choice);
  minimize mean(exp(0.1 * tune.a[index(d.tr)]) * (mixed @ w - d.tr.y)^2) + 0.1 * sum(choice^2);
  optimizer = adam(lr = 0.01);
  steps = 4;
}

level tune {
  var a : f32[N] in box(-8, 4) = 0;
  argmin fit via cg(iters = 3, damping = 0.1);
  minimize mean((d.va.x @ fit.w - d.va.y)^2);
  optimizer = adam(lr = 0.05);
  steps = 60;
  metric miss on d.va = mean((d.va.x @ fit.w - d.va.y)^2);
  output p on d = d.x @ fit.w;
}

level again {
  var w : f32[2] = zeros;
  minimize mean(exp(tune.a[index(d.tr)]) * (d.tr.x @ w - d.tr.y)^2);
  optimizer = sgd(lr = 0.1);
  steps = 30;
}

run main of tune {
  precision = f64; seed = 3; report = every(7, csv); eval = every(14); checkpoint = every(5, keep = 3); keep_best = min(miss);
}
run retrain of again after main { precision = f64; seed = 4; report = every(10, csv); checkpoint = every(5); }
EOF
both() {
  case=$1
  shift
  on runs.mlo "$case.cpu" cpu "$@"
  on runs.mlo "$case.cuda" cuda "$@"
}
agree() {
  near "$1" "$work/$1.cpu/metrics.csv" "$work/$1.cuda/metrics.csv" 1e-6 all
  "$apart" "$1.cpu/final.npz" "$1.cuda/final.npz" 1e-6 || fail "$1: final.npz differs"
}
both plain
agree plain
grep -q '"kind": "cuda"' plain.cuda/run.json || fail "run.json does not name the device"
tail -n 1 plain.cuda/metrics.csv | cut -d, -f1 | grep -qx 60 || fail "no last report"
both phases retrain
agree phases
[ -e phases.cuda/main/final.npz ] || fail "no results of the run before"
both load --load plain.cpu/final.npz --steps 20
agree load
both seeds --seeds=2 --steps 10
for seed in 3 4; do
  "$apart" "seeds.cpu/seed-$seed/final.npz" "seeds.cuda/seed-$seed/final.npz" 1e-6 || fail "seed $seed differs"
done
# Nor is what differs taken for the same: numbers, rows of a part, arrays.
apart_by() {
  code=0
  "$apart" "$3" "$4" $5 >said 2>&1 || code=$?
  [ $code = "$1" ] && grep -q "$2" said || fail "$3 and $4: exit code $code, expected $1 and \`$2\`: $(cat said)"
}
apart_by 1 '^tune.a: element [0-9]* differs by' seeds.cuda/seed-3/final.npz seeds.cuda/seed-4/final.npz 1e-6
apart_by 0 '^[0-9.e+-]*	[a-z.]*$' seeds.cuda/seed-3/final.npz seeds.cuda/seed-4/final.npz ''
apart_by 1 '^p: only one of them has it' plain.cuda/final.npz phases.cuda/final.npz 1e-6

# ---- interrupted: by kill -9 once there is a checkpoint, then on to the end, on this device and on the other
"$MLOC" build runs.mlo --run=main --target=cpu,cuda -o runs
./runs --device=cuda -q --out on.cuda --steps 1000000 &
child=$!
while [ ! -e on.cuda/checkpoints ]; do
  kill -0 $child 2>/dev/null || fail "ended before it was killed"
  sleep 0.05
done
sleep 0.2
kill -9 $child
wait $child 2>/dev/null || :
last=$(find on.cuda/checkpoints -name '*.npz' | sort | tail -n 1 | sed 's|.*/0*||; s/[.].*//')
steps=$((last + 30))
cp -r on.cuda on.cpu
./runs --device=cuda -q --out whole --steps $steps
./runs --device=cuda --out on.cuda --resume auto --steps $steps >said 2>&1 || fail "does not go on: $(cat said)"
grep -q 'resumed at step' said || fail "did not go on: $(cat said)"
cmp whole/final.npz on.cuda/final.npz || fail "resumed: another final.npz"
cmp whole/metrics.csv on.cuda/metrics.csv || fail "resumed: another metrics.csv"
./runs --device=cpu --out on.cpu --resume auto --steps $steps >said 2>&1 || fail "does not go on, on the CPU: $(cat said)"
grep -q 'resumed at step' said || fail "did not go on, on the CPU: $(cat said)"
near 'resumed on the CPU' whole/metrics.csv on.cpu/metrics.csv 1e-6 all
"$apart" whole/final.npz on.cpu/final.npz 1e-6 || fail "resumed on the CPU: final.npz differs"

# ---- executables, where there is no device or no memory, no driver, no such code
# says CODE TEXT COMMAND..
says() {
  code=$1 text=$2 got=0
  shift 2
  timeout 60 "$@" >said 2>&1 || got=$?
  [ "$got" -eq "$code" ] && grep -qF -- "$text" said || fail "exit code $got, expected $code and \`$text\`: $*: $(cat said)"
}
"$MLOC" build runs.mlo --run=main --target=cuda -o only
"$MLOC" build runs.mlo --run=main -o host
for p in ./only ./runs ./host; do says 0 '--device KIND' $p --help; done
says 0 'CUDA)' ./runs --help
says 0 'Emulated device, sm_90' ./runs -v --steps 2
says 0 '2 of 2 steps' ./only --steps 2
says 5 'has no code for CPUs' ./only --device=cpu
says 5 'has no code for CUDA devices' ./host --device=cuda
says 0 '2 of 2 steps' ./host --steps 2
says 5 'CUDA_ERROR_NO_DEVICE' env MLO_EMU_DEVICES=0 ./runs --device=cuda
says 5 'CUDA_ERROR_NO_DEVICE' env MLO_EMU_DEVICES=0 ./only
says 0 'running on the CPU' env MLO_EMU_DEVICES=0 ./runs --steps 2
says 5 'out of memory on Emulated device' env MLO_EMU_MEMORY=1000 ./runs --device=cuda
says 0 'running on the CPU' env MLO_EMU_MEMORY=1000 ./runs --steps 2
says 5 'is no folder' env MLO_CUDA_PATH=/nonexistent ./runs --device=cuda
says 0 'running on the CPU' env MLO_CUDA_PATH=/nonexistent ./runs --steps 2

# Without the emulator: what this machine has. Cubins by the real NVRTC, where the toolkit is installed.
unset MLO_CUDA_PATH
if ./runs --device=cuda --steps 2 -q >said 2>&1; then
  echo "this machine has a CUDA device: messages without a driver not tested"
else
  says 5 'CUDA driver' ./runs --device=cuda
  says 5 'CUDA driver' ./only
  says 0 'running on the CPU' ./runs --steps 2
  if "$MLOC" build runs.mlo --run=main --target=cpu,cuda --arch=sm_90,sm_80 -o cubins 2>said; then
    says 0 '--device KIND' ./cubins --help
    says 5 'CUDA driver' ./cubins --device=cuda
    says 0 'running on the CPU' ./cubins --steps 2
    # the emulator takes no real ones
    says 5 'cannot be loaded on Emulated device' env MLO_CUDA_PATH="$emulator" ./cubins --device=cuda
  else
    grep -q 'NVRTC' said || fail "$(cat said)"
    echo "skipped cubins: $(cat said)"
  fi
fi
