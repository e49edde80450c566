#!/bin/sh
# Removing any barrier or fence from a kernel is caught: the programs of device/*.mlo pass on the emulated device every
# `__syncthreads`, `__syncwarp` and `__threadfence` that codegen/cuda_*.c and runtime/mlo_team.h can print, in kernels of all
# shapes, of one block and of many, alone and several in one block. Each of them, kernel by kernel, is left out in a run of
# its own, in which accesses are checked: the run must report a race, or other results than the untouched program, in one of
# the three orders of threads. (It is left out by the emulator rather than in the text, which is the same to all threads and
# needs no compilation.) Each program also runs in f64.
#
# Sizes are such that each barrier matters: where a vector of at most 16 elements goes into a product in tiles, for one,
# the thread that reads an element may be the one that wrote it, whatever stands in between. The order of a warp's threads
# that a shuffle implies is not modelled as one of memory.
#   MLOC=path/to/mloc tests/device_mutation.sh path/to/emulator
set -eu
emulator=$1
[ -e "$emulator/libcuda.so.1" ] || { echo "skipped: no $emulator/libcuda.so.1"; exit 77; }
MLOC=$(realpath "$MLOC")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MLO_CUDA_PATH="$emulator" MLO_EMU_CHECK=1
unset MLO_EMU_ORDER MLO_EMU_DEVICES MLO_EMU_MEMORY MLO_EMU_LAZY

# Who prints another barrier adds a program here that passes it.
printed=$(grep -h 'CUDA_BARRIER\|__sync\(warp\|threads\)()\|__threadfence()' codegen/cuda_*.c runtime/mlo_team.h | grep -vc '^ *if (!strcmp')
[ "$printed" -eq 19 ] || { echo "device_mutation: $printed places print barriers or fences, 19 are known here" >&2; exit 1; }

# run NAME [ORDER]: results in $work/NAME
run() { MLO_EMU_ORDER=${2:-forward} timeout 100 "$work/program" --device=cuda --quiet --out "$work/$1" >"$work/said" 2>&1; }

same() { cmp -s "$work/whole/final.npz" "$work/$1/final.npz" && cmp -s "$work/whole/metrics.csv" "$work/$1/metrics.csv"; }

# caught PLACE
caught() {
  for order in forward reverse random; do
    rm -rf "$work/cut"
    MLO_EMU_WITHOUT=$1 run cut $order || return 0
    same cut || return 0
  done
  return 1
}

all=0 missed=0
# mutate PROGRAM AT_LEAST: how many places it passes
mutate() {
  rm -rf "$work/whole" "$work/other" "$work/places"
  "$MLOC" build "$1" --target=cuda -o "$work/program"
  MLO_EMU_PLACES=$work/places run whole || { cat "$work/said" >&2; exit 1; }
  for order in reverse random; do
    run other $order && same other || { echo "device_mutation: $1: other results in order $order" >&2; exit 1; }
  done
  n=$(wc -l <"$work/places")
  [ "$n" -ge "$2" ] || { echo "device_mutation: $1 passes $n barriers and fences, fewer than $2" >&2; exit 1; }
  while read -r place kind where; do
    all=$((all + 1))
    caught "$place" || { missed=$((missed + 1)); echo "$1: nothing misses $kind of ${place%@*} ($where)" >&2; }
  done <"$work/places"
}

for program in tests/device/*.mlo; do
  least=$(sed -n 's|^// At least \([0-9]*\) barriers and fences[.:].*|\1|p' "$program")
  mutate "$program" "${least:?$program does not say how many barriers it passes}"
  sed 's/^\( *\)seed = /\1precision = f64;\n\1seed = /' "$program" >"$work/f64.mlo"
  mutate "$work/f64.mlo" "$least"
done
echo "$all barriers and fences left out, $missed not missed"
[ "$all" -gt 100 ] && [ "$missed" -eq 0 ]
