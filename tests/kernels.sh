#!/bin/sh
# NVRTC compiles all kernels of the examples, of the language's design and of the benchmarks, for three architectures: none
# spills registers, and none keeps an array on its stack but for the reduction of large f64 angles. Needs no device; where
# NVRTC is not installed, only the command line's messages are tested, and the rest is skipped (exit code 77).
#   MLOC=path/to/mloc tests/kernels.sh path/to/bench_data folder/of/spilling_nvrtc
set -eu
bench_data=$(realpath "$1")
spilling=$(realpath "$2") # has a NVRTC whose kernels spill
MLOC=$(realpath "$MLOC")
export MLOC
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small=golden/inspect/trilevel.mlo

# refuses CODE TEXT ARGUMENT..: mloc ends with CODE, says TEXT and prints nothing.
refuses() {
  code=$1 text=$2 got=0
  shift 2
  "$MLOC" "$@" >"$work/out" 2>"$work/err" || got=$?
  [ "$got" = "$code" ] && grep -qF -- "$text" "$work/err" && [ ! -s "$work/out" ] && return
  echo "mloc $*: exit code $got, expected $code and: $text" >&2
  cat "$work/err" >&2
  exit 1
}
on_cuda="inspect $small --target=cuda"
# shellcheck disable=SC2086,SC2016 # several arguments; backquotes of the message
{
  refuses 2 'knows devices of sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120' $on_cuda --arch=sm_20
  refuses 2 'are positive' $on_cuda --bandwidth=-3
  refuses 2 '--target is `cpu`, `cuda` or `cpu,cuda`, not `gpu`' inspect $small --target=gpu
  refuses 2 'one target at a time' inspect $small --target=cpu,cuda
  refuses 2 'go with --target=cuda' inspect $small --no-spills
  refuses 2 'go with --target=cuda' inspect $small --target=cpu --arch=sm_90
  refuses 2 'goes with --stage=c' emit $small --stage=cuda --target=cuda
  refuses 2 '--arch goes with --target=cuda' emit $small --target=cpu --arch=sm_90
  refuses 2 'like sm_90, not `turing`' emit $small --stage=ptx --arch=turing
  (
    export MLO_CUDA_PATH=/nonexistent
    refuses 5 'MLO_CUDA_PATH is /nonexistent, which is no folder' $on_cuda
    refuses 5 'MLO_CUDA_PATH is /nonexistent, which is no folder' emit $small --stage=ptx
    "$MLOC" emit $small --stage=cuda >"$work/trilevel.cu" # needs no compiler
    "$MLOC" emit $small --target=cpu,cuda >"$work/trilevel.c"
    grep -q 'const MloDevice ' "$work/trilevel.c"
    "$MLOC" emit $small >"$work/trilevel.c"
    [ "$(grep -c 'const MloDevice ' "$work/trilevel.c")" = 0 ]
  )
}

# That kernels spill is shown, and an error where it is asked for.
(
  export MLO_CUDA_PATH="$spilling"
  "$MLOC" inspect $small --target=cuda >"$work/report"
  grep -q '^2 kernels of 384 bytes of code; these spill' "$work/report"
  grep -q '^  loose, spills 9 bytes out and 14 bytes in, stack frame of 40 bytes (large f64 angles)$' "$work/report"
  got=0
  "$MLOC" inspect $small --target=cuda --no-spills >"$work/report.again" 2>"$work/err" || got=$?
  [ "$got" = 1 ]
  grep -q '^mloc: of the kernels for sm_90, 1 spills or keeps arrays on the stack$' "$work/err"
  cmp "$work/report" "$work/report.again"
  refuses 5 'the image for sm_80 cannot be read: it is no cubin' inspect $small --target=cuda --arch=sm_80
  refuses 5 'gives no image for compute_90' emit $small --stage=ptx
)

if ! "$MLOC" emit $small --stage=ptx >"$work/trilevel.ptx" 2>"$work/err"; then
  grep -q '^mloc: cannot .* NVRTC' "$work/err" || { cat "$work/err" >&2; exit 1; }
  echo "skipped: $(cat "$work/err")"
  exit 77
fi
[ "$(grep -c '__global__\|MLO_KERNEL' "$work/trilevel.cu")" -gt 1 ]
[ "$(grep -c '\.entry' "$work/trilevel.ptx")" -gt 1 ]
refuses 5 'does not compile for compute_20' emit $small --stage=ptx --arch=sm_20

# What the PTX says to come from the program comes from lines that it has.
awk -v lines="$(wc -l <$small)" '
  /\.file/ && /trilevel\.mlo/ { file = $2 }
  FNR != NR && $1 == ".loc" && $2 == file { n += $3 > 0; bad += $3 > lines } # 0: of no line
  END { exit n == 0 || bad > 0 }' "$work/trilevel.ptx" "$work/trilevel.ptx" || { echo "PTX names lines that are not there" >&2; exit 1; }

# Neighbouring elements go to a thread in groups of four, where arrays are aligned: a flat map loads and stores 16 bytes but
# for its end, which is no multiple of four elements here, a long-row softmax, whose elements stay in registers, nothing else.
cat >"$work/wide.mlo" <<'END'
level fit {
  var y : f32[100, 2048] = normal(1);
  var x : f32[70002] = normal(1);
  minimize norm2(x) + norm2(y);
  optimizer = sgd(lr = 0.1);
  output flat = exp(x);
  output rows = softmax(y);
}

run main of fit {
  seed = 1;
}
END
"$MLOC" emit "$work/wide.mlo" --stage=ptx >"$work/wide.ptx"
awk '/\.entry/ { name = $0; sub(/.*entry /, "", name); sub(/\(.*/, "", name) }
  /(ld|st)\.global/ { all[name]++; if (/v4/) wide[name]++ }
  END { for (k in all) {
      if (k ~ /output_flat/ && wide[k] == 2) found++
      if (k ~ /output_rows/ && wide[k] > 3 && wide[k] == all[k]) found++ }
    exit found != 2 }' "$work/wide.ptx" || { echo "kernels without accesses of 16 bytes" >&2; exit 1; }

# The report as JSON has what the text has.
"$MLOC" inspect $small --target=cuda --arch=sm_80 --bandwidth=1000 --flops=10 --json >"$work/report"
for key in '"assumed": "A100 SXM"' '"bandwidth": 1000000000000.0' '"flops_f64": 10000000000000.0' '"loose": \[\]' \
  '"registers": [1-9]' '"spill_stores": 0' '"code": [1-9]' '"threads": 256' '"occupancy": [01]\.' '"limited_by": "[a-z]' \
  '"step": {' '"launches": [1-9]' '"seconds": [0-9.e-]*' 'libnvrtc'; do
  grep -q "$key" "$work/report" || { echo "the report has no $key" >&2; exit 1; }
done

# rows FILE N [SETTING..]: N rows of x and y for the programs of language/
rows() {
  file=$1 n=$2
  shift 2
  "$MLOC" run language/rows.mlo --set N="$n" "$@" --quiet --out "$work/made" >/dev/null
  cp "$work/made/final.npz" "$work/$file"
}
rows train.npz 120 --set C=2
rows val.npz 60 --set C=2
rows noisy.npz 300
rows clean.npz 50
rows test.npz 530
rows source.npz 300
rows target.npz 350
"$bench_data" logreg "$work"
"$bench_data" mlp "$work"
"$bench_data" block "$work"
"$bench_data" kernels "$work" 4096 256
cp language/*.mlo bench/*.mlo "$work"

# One line a run of a program and an architecture.
for program in ../examples/*/*.mlo golden/inspect/trilevel.mlo "$work"/*.mlo; do
  missing= # data that a package of the system installs
  for file in $(sed -n 's|^ *file = "\(/[^"]*\)";.*|\1|p' "$program"); do [ -e "$file" ] || missing=$file; done
  [ -z "$missing" ] || { echo "skipped $program: no $missing" >&2; continue; }
  for run in $(sed -n 's/^run \([A-Za-z0-9_]*\) .*/\1/p' "$program"); do
    for arch in sm_80 sm_90 sm_100; do echo "$program --run=$run --arch=$arch"; done
  done
done >"$work/cases"
[ "$(wc -l <"$work/cases")" -gt 50 ]
# shellcheck disable=SC2016 # of the inner shell
xargs -P 2 -n 3 sh -c '
  out=$("$MLOC" inspect "$@" --target=cuda --no-spills 2>&1) && exit 0
  printf "%s %s %s:\n%s\n" "$@" "$(printf "%s\n" "$out" | sed -n "/^mloc\|^error\|bug/p; /^[0-9]* kernels/,/^\$/p")" >&2
  exit 1' sh <"$work/cases"
