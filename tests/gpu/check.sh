#!/bin/bash
# Is the CUDA target right on this machine's device, and how fast is it? One table in Markdown, on the standard output and in
# RESULTS.md of $OUT (or FOLDER); README.md says what its rows mean.
#
#   tests/gpu/check.sh [--quick] [--only=PART,..] [BUILD [FOLDER]]
#   tests/gpu/check.sh --prepare BUILD FOLDER      compiles only, for a machine that cannot
#
# BUILD (build/ by default) is made where it is missing, FOLDER (BUILD/gpu) is for what is compiled and measured; one that
# --prepare has filled needs no BUILD. --quick: small sizes, to try the script itself, as with the emulated stack:
#   MLO_CUDA_PATH=build/emulator tests/gpu/check.sh --quick
# LIMIT: seconds for all (570). ARCH=sm_90: compile the kernels now, for machines without NVRTC. PYTHON: which one has the peers.
# Parts: copy tests kernels steps torch jax examples sanitizer. What fails is a row of the table; the exit code is then 1.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
self=$root/tests/gpu/check.sh
all="copy tests kernels steps torch jax examples sanitizer"
quick=${quick:-} only=$all prepare='' part=''
command="tests/gpu/check.sh${*:+ $*}"
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --prepare) prepare=yes ;;
    --only=*) only=${1#*=} only=${only//,/ } ;;
    --part=*) part=${1#*=} ;;
    -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$self" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
build=$(realpath -m "${1:-$root/build}")
work=$(realpath -m "${2:-$build/gpu}")
mkdir -p "$work"/{bin,lib,data,rows,logs,out,empty,cache} || exit 2
bin=$work/bin data=$work/data
export quick XDG_CACHE_HOME=$work/cache OMP_NUM_THREADS=1
[ -z "${MLO_CUDA_PATH:-}" ] || MLO_CUDA_PATH=$(realpath "$MLO_CUDA_PATH")
rows=4096 width=16384 bytes=1073741824 slice=0.05 source=49152
[ -z "$quick" ] || rows=32 width=512 bytes=1048576 slice=0.002 source=2048
kernels="gelu layernorm xent adam"

# ---- compiling

# compiler_of_mloc NAME: the compiler, its flags and libraries, out of the command that `mloc build` prints
compiler_of_mloc() {
  local words w to=flags
  "$build/bin/mloc" build --target=cuda --show-cc "$root/tests/golden/inspect/trilevel.mlo" -o "$work/out/cc_$1" \
    2>"$work/logs/cc_$1" || return
  read -ra words < <(grep -- ' -o ' "$work/logs/cc_$1")
  cc=${words[0]} flags=() libs=()
  for w in "${words[@]:1}"; do
    case $w in
      -o) to=none ;;
      -L*) to=libs ;;
    esac
    [ $to != flags ] || flags+=("$w")
    [ $to != libs ] || libs+=("$w")
  done
}

# timed NAME PROGRAM: bin/time_NAME
timed() {
  local name=$1 source=$2 c=$work/out/$1.c given
  mapfile -t given < <(data_of "$name")
  compiler_of_mloc "$name" && "$build/bin/mloc" emit --target=cuda ${ARCH:+--arch="$ARCH"} "$source" "${given[@]}" -o "$c" &&
    "$cc" "${flags[@]}" -I"$root" -DGENERATED="\"$c\"" "$root/tests/bench/generated.c" "$root"/tests/gpu/{time_program,timing}.c \
      "$root/tests/bench/bench.c" -o "$bin/time_$name" "${libs[@]}"
}

# built NAME PROGRAM OPTION..: bin/NAME, for both devices
built() {
  local name=$1 source=$2
  shift 2
  "$build/bin/mloc" build --target=cpu,cuda ${ARCH:+--arch="$ARCH"} "$source" "$@" -o "$bin/$name"
}

plain() {
  local given
  mapfile -t given < <(data_of "$1")
  built "$1" "$2" "${given[@]}"
}

# tolerant NAME: the network whose CG has a tolerance that ends it early, as both
tolerant() {
  sed 's/cg(iters = 10, damping = 1)/cg(iters = 50, tol = 0.05, damping = 1)/' "$root/tests/bench/mlp_cg.mlo" >"$work/out/$1.mlo"
  grep -q 'tol = 0.05' "$work/out/$1.mlo" && timed "$1" "$work/out/$1.mlo" && plain "$1" "$work/out/$1.mlo"
}

# example NAME PROGRAM RUN PRECISION: bin/NAME
example() {
  local copy given
  copy=$work/out/$1/$(basename "$2")
  mkdir -p "$work/out/$1"
  if [ "$4" = f64 ]; then sed 's/^\(run .*\) {/\1 {\n  precision = f64;/' "$2" >"$copy"; else cp "$2" "$copy"; fi
  mapfile -t given < <(given_data "$2")
  built "$1" "$copy" --run="$3" "${given[@]}"
}

# The options --data of a program whose files lie beside it: one word a line; fails where one is missing.
given_data() {
  awk -v dir="$(dirname "$1")" '
    /^data / { name = $2 }
    match($0, /file = "[^"]*"/) { file = substr($0, RSTART + 8, RLENGTH - 9)
      print "--data"; print name "=" (file ~ /^\// ? file : dir "/" file) }' "$1"
}

missing_data() { given_data "$1" | sed -n 's/^[^-=]*=//p' | while read -r file; do [ -e "$file" ] || echo "$file"; done | head -1; }

# One line a job: the examples' runs whose data is there (a few where it must be quick), as NAME PROGRAM RUN PRECISION AFTER.
examples() {
  local program name run after precision
  for program in "$root"/examples/*/*.mlo "$root"/tests/golden/inspect/trilevel.mlo; do
    [ -z "$(missing_data "$program")" ] || continue
    case $quick$program in yes*/ridge_digits.mlo | yes*/trilevel.mlo) ;; yes*) continue ;; esac
    name=$(basename "$program" .mlo)
    sed -n 's/^run \([A-Za-z0-9_]*\) of [A-Za-z0-9_]* after \([A-Za-z0-9_]*\).*/\1 \2/p; t; s/^run \([A-Za-z0-9_]*\) .*/\1 -/p' "$program" |
      while read -r run after; do
        for precision in f32 f64; do echo "${name}_${run}_$precision $program $run $precision $after"; done
      done
  done
}

# Data of the benchmarks, where it is not there yet; programs learn their sizes from it.
make_data() {
  local p
  for p in mlp logreg block; do "$bin/bench_data" $p "$data" || return; done
  [ "$(cat "$data/size" 2>/dev/null)" = "$rows $width" ] && return
  mkdir -p "$data/ahead" && "$bin/bench_data" kernels "$data/ahead" "$source" 1024 &&
    "$bin/bench_data" kernels "$data" "$rows" "$width" && echo "$rows $width" >"$data/size"
}

data_of() {
  case $1 in
    mlp_* | logreg) printf '%s\n' --data "train=$data/${1%%_*}_train.npz" --data "val=$data/${1%%_*}_val.npz" ;;
    block) printf '%s\n' --data "d=$data/block.npz" ;;
    ahead) printf '%s\n' --data "d=$data/ahead/kernels.npz" ;;
    ridge_digits) given_data "$root/examples/$1/$1.mlo" ;;
    *) printf '%s\n' --data "d=$data/kernels.npz" ;;
  esac
}

# What a part compiles beforehand: a function and its arguments a line.
jobs_of() {
  local p
  case $1 in
    kernels) for p in $kernels; do echo "timed $p $root/tests/bench/$p.mlo"; done ;;
    steps)
      for p in mlp_sama mlp_cg logreg; do
        echo "timed $p $root/tests/bench/$p.mlo"
        echo "plain $p $root/tests/bench/$p.mlo"
      done
      echo "tolerant mlp_tol"
      echo "timed ahead $root/tests/bench/ahead.mlo"
      echo "timed block $root/tests/bench/block.mlo"
      echo "timed ridge_digits $root/examples/ridge_digits/ridge_digits.mlo"
      ;;
    examples) examples | sed 's/^/example /; s/ [^ ]*$//' ;;
  esac
}

# Tests of the device: ctest gives them the emulated one.
device_tests() {
  sed -n 's/^set_tests_properties(\[=\[\(test_[a-z_]*\)\]=\].*MLO_CUDA_PATH=.*/\1/p' "$build/tests/CTestTestfile.cmake" | grep -v -e test_emulat -e test_conditional
}

# Libraries that another machine may lack, beside the executables.
collect_libraries() {
  for file in "$bin"/*; do ldd "$file"; done 2>/dev/null | awk '/=> \// { print $3 }' | sort -u |
    grep -Ev '/(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+)\.so' | xargs -r cp -Lut "$work/lib"
}

# All that executables are made of, in one line: the commit, and a sum.
stamp() {
  local sum
  sum=$(cat "$build/bin/mloc" "$build/lib/libmlo.a" "$build"/tests/test_* "$root"/tests/{gpu,bench,device}/*.[chm]* "$root"/examples/*/*.mlo | sha256sum)
  echo "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown) ${sum%% *} $quick ${ARCH:-} $only"
}

prepare() {
  [ ! -x "$build/bin/mloc" ] && [ -e "$work/prepared" ] && return 0
  if [ ! -x "$build/bin/mloc" ]; then
    cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo && cmake --build "$build" -j "$(getconf _NPROCESSORS_ONLN)" || return
  fi
  [ "$(cat "$work/prepared" 2>/dev/null)" = "$(stamp)" ] && return 0
  cp "$build"/tests/{bench_data,gpu_probe,apart} "$bin" || return
  for p in $(device_tests); do cp "$build/tests/$p" "$bin" || return; done
  make_data || return
  for p in $only; do jobs_of "$p"; done >"$work/jobs"
  # A job that fails leaves no executable; its part says so.
  xargs -a "$work/jobs" -P "$(getconf _NPROCESSORS_ONLN)" -d '\n' -I{} timeout 200 "$self" --part=job "$build" "$work" {}
  collect_libraries
  if [ -n "$prepare" ]; then # it travels
    rm -rf "$data"/{size,kernels.npz,ahead} "$work"/out/*
    strip "$bin"/*
  fi
  stamp >"$work/prepared"
}

# Where neither the loader nor /usr/local/cuda has NVRTC and cuBLAS, those of Python's packages.
find_toolkit() {
  local name folder
  [ -z "${MLO_CUDA_PATH:-}" ] || return 0
  for name in libnvrtc libcublas; do
    ldconfig -p | grep -q "$name\.so\.1[23]" || ls /usr/local/cuda/lib64/$name.so.1[23] || folder=missing
  done >"$work/logs/toolkit" 2>&1
  [ -n "${folder:-}" ] || return 0
  "${PYTHON:-python3}" -c 'import nvidia; print(*nvidia.__path__, sep="\n")' 2>>"$work/logs/toolkit" | while read -r folder; do
    find "$folder" \( -name 'libnvrtc*.so*' -o -name 'libcublas*.so*' \) -exec ln -sft "$work/empty" {} +
  done
  [ -z "$(ls "$work/empty")" ] || export MLO_CUDA_PATH=$work/empty
}

# ---- rows

# row WHAT VALUE TARGET MET [COMMAND]. MET: yes, no; NO where a result is wrong; - where there is nothing to meet.
row() {
  printf '| %s | %s | %s | %s | %s |\n' "$1" "${2//|/\\|}" "$3" "$4" "${5:+\`$5\`}" >>"$work/rows/$part"
}

emulated() { grep -q '^device.Emulated' "$work/probe" 2>/dev/null; }
probed() { awk -F '\t' -v k="$1" '$1 == k { print $2 }' "$work/probe" 2>/dev/null; }
# met A OP B: of a speed, which an emulated device has not
met() { if emulated; then echo emulated; else awk -v a="$1" -v b="$3" "BEGIN { print a $2 b ? \"yes\" : \"no\" }"; fi; }
# right A OP B: of a result
right() { awk -v a="$1" -v b="$3" "BEGIN { print a $2 b ? \"yes\" : \"NO\" }"; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
# keep NAME SECONDS; kept NAME: of mloc, for the peers' rows
keep() { printf '%s\t%s\n' "$1" "$2" >>"$work/times"; }
kept() { awk -F '\t' -v k="$1" '$1 == k { print $2 }' "$work/times" 2>/dev/null | tail -1; }
# on SECONDS LOG COMMAND..: with a limit; what it prints, and on failure a row ($fault: what is then met)
on() {
  local limit=$1 log=$work/logs/$2 code
  shift 2
  timeout -k 5 "$limit" "$@" >"$log" 2>&1
  code=$?
  [ $code -ne 0 ] || return 0
  row "$(basename "$log")" "exit code $code: $(grep -v '^ *$' "$log" | tail -1 | cut -c 1-160)" "" "${fault:-NO}" "$(printf '%s ' "${@/#$work/.}" | cut -c 1-120)"
  return 1
}

# ---- parts

part_copy() {
  on 60 probe "$bin/gpu_probe" "$bytes" "$slice" || return 0
  cp "$work/logs/probe" "$work/probe"
  row "copy of $((bytes >> 20)) MiB within the device's memory" "$(probed copy) GB/s" "" - "gpu_probe $bytes $slice"
  row "an empty kernel in a graph of 1000" "$(probed node) us" "" - "gpu_probe $bytes $slice"
  row "launch of a graph of one empty kernel" "$(probed launch) us" "" - "gpu_probe $bytes $slice"
}

part_tests() {
  local file name real=real
  emulated && real=
  for file in "$bin"/test_*; do
    name=$(basename "$file")
    if [ ! -x "$build/bin/mloc" ] && tr '\0' '\n' <"$file" | grep -aqx MLOC; then
      row "$name" "skipped: it runs mloc, and $build has none" "" -
      continue
    fi
    # Tests that take a device where the environment names a stack: any folder, where the loader finds the real one.
    MLO_TEST_DEVICE=$real MLO_CUDA_PATH=${MLO_CUDA_PATH:-$work/empty} MLOC_SOURCE_DIR=$root MLOC=$build/bin/mloc \
      timeout -k 5 120 "$file" >"$work/logs/$name" 2>&1
    code=$?
    [ $code -eq 0 ] && ok=yes || ok=NO
    row "$name" "exit code $code: $(sed -n 's/^\[  \(PASSED\|FAILED\|SKIPPED\) *\] \([0-9]* test(s)\).*/\2 \L\1/p' "$work/logs/$name" | paste -sd ,)" "exit code 0" "$ok" \
      "${real:+MLO_TEST_DEVICE=real }$name"
  done
}

# kernel PROGRAM LAUNCH BYTES TITLE: the longest launch whose name fits, of so many bytes an element
kernel() {
  local s gbs
  [ -e "$work/logs/time_$1" ] || return 0
  s=$(awk -F '\t' -v r="$2" '$1 == "launch" && $2 ~ r && $3 > m { m = $3 } END { print m + 0 }' "$work/logs/time_$1")
  if [ "$s" = 0 ]; then row "$4" "no kernel \`$2\`" "" NO; return; fi
  gbs=$(calc %.1f "1e-9 * $3 * $rows * $width / $s")
  keep "$5" "$s"
  row "$4, $rows x $width" "$gbs GB/s, $(calc %.0f "100 * $gbs / $(probed copy)") % of the copy" ">= 80 %" \
    "$(met "$gbs" '>=' "$(calc %g "0.8 * $(probed copy)")")" "GPU_TIME=launches time_$1 --device=cuda"
}

part_kernels() {
  local p
  make_data || return
  for p in $kernels; do
    GPU_TIME=launches GPU_SLICE=$slice on 120 "time_$p" "$bin/time_$p" -q --device=cuda --steps=1 --data "d=$data/kernels.npz" ||
      rm -f "$work/logs/time_$p"
  done
  kernel gelu fit_gradient_hoisted_k0 8 'bias + gelu' gelu
  kernel layernorm fit_gradient_hoisted_k0 8 'layer norm' layernorm
  kernel xent fit_objective_k0 4 'cross entropy, forward' xent
  kernel xent fit_gradient_k0 8 'cross entropy, backward' xent_grad
  kernel adam fit_update_k0 28 'Adam' adam
}

# step PROGRAM TITLE [TIMES]: one upper step against its launches, of which it should take that many times the time
step() {
  local given s kernels products others nodes floor
  mapfile -t given < <(data_of "$1")
  GPU_SLICE=$slice on 120 "time_$1" "$bin/time_$1" -q --device=cuda --steps=1 "${given[@]}" || return 0
  IFS=$'\t' read -r _ s kernels products others < <(grep '^step' "$work/logs/time_$1")
  nodes=$((kernels + products + others))
  floor=$(calc %.6g "1e-6 * $nodes * $(probed node)")
  keep "$1" "$s"
  row "$2: a step" "$(calc %.1f "1e6 * $s") us; $kernels kernels, $products products, $others counters; $(calc %.2f "$s / $floor") x their launches" \
    "${3:+<= $3 x}" "$([ -n "${3:-}" ] && met "$s" '<=' "$(calc %g "$3 * $floor")" || echo -)" "time_$1 --device=cuda"
}

# loops NAME TITLE: its loops with a condition as nodes of the graph against all their rounds: times, and the same results
loops() {
  local given how s fixed
  mapfile -t given < <(data_of "$1")
  for how in nodes fixed; do
    MLO_GRAPH_LOOPS=$how GPU_SLICE=$slice on 120 "time_$1 $how" "$bin/time_$1" -q --device=cuda --steps=1 "${given[@]}" || return 0
    MLO_GRAPH_LOOPS=$how on 120 "$1 $how" "$bin/$1" -v --device=cuda --steps=5 --out "$work/out/$how-$1" "${given[@]}" || return 0
  done
  s=$(awk '/^step/ { print $2 }' "$work/logs/time_$1 nodes") fixed=$(awk '/^step/ { print $2 }' "$work/logs/time_$1 fixed")
  if grep -q 'loops .* end early in graphs' "$work/logs/$1 nodes" && ! grep -q 'from now on' "$work/logs/$1 nodes"; then
    row "$2: a step, loops end early" "$(calc %.1f "1e6 * $s") us; with all rounds $(calc %.1f "1e6 * $fixed") us" "<= with all" \
      "$(met "$s" '<=' "$fixed")" "time_$1 --device=cuda"
    row "$2: after five steps the same as with all rounds" "final.npz" "the same bytes" \
      "$(cmp -s "$work/out/nodes-$1/final.npz" "$work/out/fixed-$1/final.npz" && echo yes || echo NO)" "MLO_GRAPH_LOOPS=fixed $1"
  else
    row "$2: a step, all rounds" "$(calc %.1f "1e6 * $s") us; $(sed -n 's/.*make all their rounds in graphs[^:]*: //p' "$work/logs/$1 nodes" | tail -1)" "" - "$1 -v"
  fi
}

# batches NAME TITLE: its data in the device's memory, and in the host's: batches copied ahead, and when they are drawn
batches() {
  local given how
  mapfile -t given < <(data_of "$1")
  for how in device ahead late; do
    MLO_BATCHES=${how#device} GPU_SLICE=$slice on 120 "time_$1 $how" "$bin/time_$1" -v --device=cuda --steps=5 --out "$work/out/$how-$1" "${given[@]}" || return 0
    eval "$how=$(awk -F '\t' '$1 == "step" { print $2 }' "$work/logs/time_$1 $how")"
  done
  row "$2: a step, batches copied ahead from the host's memory" "$(calc %.1f "1e6 * $ahead") us; when drawn $(calc %.1f "1e6 * $late") us; data on the device $(calc %.1f "1e6 * $device") us" \
    "<= when drawn" "$(grep -q 'copied ahead' "$work/logs/time_$1 ahead" && met "$ahead" '<=' "$late" || echo NO)" "MLO_BATCHES=ahead time_$1 --device=cuda"
  for how in ahead late; do
    row "$2: after five steps the same, $how" "final.npz" "the same bytes" \
      "$(cmp -s "$work/out/device-$1/final.npz" "$work/out/$how-$1/final.npz" && echo yes || echo NO)" "MLO_BATCHES=$how time_$1"
  done
}

# The same ten steps from the same start on either device and by the peers.
ten_steps() {
  local given
  mapfile -t given < <(data_of "$1")
  on 60 "start of $1" "$bin/$1" -q --device=cpu --steps=1 --out "$work/out/start-$1" "${given[@]}" || return 0
  cp "$work/out/start-$1/final.npz" "$data/start-$1.npz"
  on 120 "$1 on the device" "$bin/$1" -q --device=cuda --steps=10 --load "$data/start-$1.npz" --out "$work/out/end-$1" "${given[@]}" || return 0
  cp "$work/out/end-$1/final.npz" "$data/end-$1.npz"
}

part_steps() {
  local p
  make_data || return
  step mlp_sama 'network 784-256-10, SAMA' 2
  step mlp_cg 'network 784-256-10, CG(10)' 2
  step logreg 'logistic regression, 100 inner steps, CG(20)'
  loops mlp_tol 'network 784-256-10, CG(50, tol = 0.05)'
  batches ahead "network 1024-256-1 on 128 of $source rows"
  for p in mlp_sama mlp_cg logreg; do ten_steps $p; done
  step ridge_digits 'examples/ridge_digits'
  step block 'transformer block, gradient and Hessian-vector product'
}

# peers LIBRARY: rows of peers_LIBRARY.py beside mloc's times
peers() {
  local what how s far mine most
  export LD_LIBRARY_PATH=${own_libraries:-}
  if ! "${PYTHON:-python3}" -c "import $1, numpy" 2>"$work/logs/import $1"; then
    row "$1" "skipped: ${PYTHON:-python3} cannot import it: $(tail -1 "$work/logs/import $1")" "" -
    return
  fi
  fault=- on "$2" "peers_$1" "${PYTHON:-python3}" "$root/tests/gpu/peers_$1.py" "$data" --slice "$slice" ${cpu:+--cpu}
  grep "$(printf '\t')" "$work/logs/peers_$1" | while IFS=$'\t' read -r what how s far; do
    mine=$(kept "$what")
    if [ "$how" = - ]; then row "$what" "${far/#-/on the ${cpu:-GPU}}" "" -; continue; fi
    if [ "$s" = failed ]; then row "$what, $1 $how" "failed: $far" "" -; continue; fi
    row "$what, $1 $how" "$(calc %.1f "1e6 * $s") us${mine:+, $(calc %.2f "$s / $mine") x mloc}" ">= 1 x" \
      "$([ -n "$mine" ] && met "$s" '>=' "$mine" || echo -)" "peers_$1.py"
    [ "$far" != - ] || continue
    most=1e-3
    [ "$what" != mlp_sama ] || most=5e-2 # differences of losses in f32
    row "$what, $1 $how: upper variables after ten steps" "$far apart" "<= $most" "$(right "$far" '<=' $most)" "peers_$1.py"
  done
}

part_torch() { peers torch 150; }
part_jax() { peers jax 100; }

# The first report's metrics of two runs, but for what a hypergradient is behind: the greatest relative difference.
first_report() {
  paste -d , "$1" "$2" | awk -F , '
    NR == 1 { n = NF / 2; for (i = 1; i <= n; i++) skip[i] = $i ~ /hypergradient|residual/ }
    NR == 2 { for (i = 1; i <= n; i++) { d = $i - $(i + n); s = $i < 0 ? -$i : $i; if (d < 0) d = -d
        if ($i ~ /nan|inf/ || $(i + n) ~ /nan|inf/) d = 1e30
        if (!skip[i] && d > worst * (s + 1e-9)) worst = d / (s + 1e-9) } }
    END { print NR < 2 ? 1e30 : worst + 0 }'
}

# both NAME PROGRAM RUN PRECISION AFTER: on either device, compared
both() {
  local name=$1 device far given load out=$work/out n=5
  [ -z "$quick" ] || n=1
  [ -x "$bin/$name" ] || { row "$name" "did not compile" "" NO "see $work/logs"; return; }
  mapfile -t given < <(given_data "$2")
  for device in cpu cuda; do
    load=()
    [ "$5" = - ] || load=(--load "$out/$device-${name%_"$3"_"$4"}_${5}_$4/final.npz")
    rm -rf "$out/$device-$name"
    on 40 "$name on $device" "$bin/$name" -q --device=$device --steps=$n --out "$out/$device-$name" "${given[@]}" \
      "${load[@]}" || return 0
  done
  if [ "$4" = f64 ]; then
    far=$("$bin/apart" "$out/cpu-$name/final.npz" "$out/cuda-$name/final.npz" 2>&1) || far="1e30 $far"
    row "$name, $n steps: final.npz of CPU and device" "${far/$'\t'/ apart in }" "<= 1e-6" "$(right "${far%%[$'\t' ]*}" '<=' 1e-6)" "$name --device=cuda --steps=$n"
  else
    far=$(first_report "$out/cpu-$name/metrics.csv" "$out/cuda-$name/metrics.csv")
    row "$name: first report of CPU and device" "$far apart" "<= 1e-4" "$(right "$far" '<=' 1e-4)" "$name --device=cuda --steps=$n"
  fi
}

part_examples() {
  local job program file
  while read -ra job; do both "${job[@]}"; done < <(examples)
  [ -z "$quick" ] || row "other examples" "skipped: --quick" "" -
  for program in "$root"/examples/*/*.mlo; do
    file=$(missing_data "$program")
    [ -z "$file" ] || row "$(basename "$program")" "skipped: no $file" "" -
  done
}

part_sanitizer() {
  local tool p given sanitizer
  emulated && { row compute-sanitizer "skipped: the device is emulated (MLO_EMU_CHECK=1 is its own)" "" -; return; }
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) ||
    { row compute-sanitizer "skipped: it is not installed" "" -; return; }
  for p in mlp_sama logreg; do
    mapfile -t given < <(data_of $p)
    for tool in memcheck racecheck synccheck; do
      on 60 "$tool $p" "$sanitizer" --tool $tool --error-exitcode 9 --print-limit 5 "$bin/$p" -q --device=cuda --steps=1 "${given[@]}" &&
        row "$tool of $p, one step" "$(grep 'ERROR SUMMARY\|RACECHECK SUMMARY' "$work/logs/$tool $p" | tail -1 | sed 's/^=* *//')" "0 errors" yes \
          "compute-sanitizer --tool $tool $p --device=cuda --steps=1"
    done
  done
}

# ---- all

case $part in
  '') ;;
  job) shift 2; read -ra job <<<"$*"; log=$work/logs/compile_${job[0]}_${job[1]}; "${job[@]}" >"$log" 2>&1 || { echo "check.sh: $* failed: $log" >&2; false; }; exit 0 ;;
  *) cpu=''; ! emulated || cpu=CPU; "part_$part"; exit ;;
esac

LIMIT=${LIMIT:-570}
seconds_of() { case $1 in copy) echo 60 ;; tests | kernels | steps | jax) echo 120 ;; torch) echo 170 ;; *) echo 150 ;; esac; }

header() {
  local commit
  commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || cut -d ' ' -f 1 "$work/prepared")
  git -C "$root" diff --quiet HEAD -- 2>/dev/null || commit="$commit with changes"
  # shellcheck disable=SC2016 # backquotes here are Markdown's
  printf '# Results%s\n\n- command: `%s`\n' "$(! emulated || echo ': emulated, so times mean nothing')" "$command"
  printf -- '- date: %s, commit: %s\n' "$(date -u +%Y-%m-%d)" "$commit"
  printf -- '- device: %s, %s, %s; CUDA driver %s, NVRTC %s\n' "$(probed device)" "$(probed arch)" "$(probed memory)" "$(probed driver)" "$(probed nvrtc)"
  printf -- '- host: %s, %s processors; %s s in all\n\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(getconf _NPROCESSORS_ONLN)" "$SECONDS"
  printf '| what | value | target | met | command |\n|---|---|---|---|---|\n'
}

rm -f "$work"/rows/* "$work/probe" "$work/times"
part=build
if ! prepare >"$work/logs/prepare" 2>&1; then row build "failed: $(tail -1 "$work/logs/prepare")" "" NO "see $work/logs/prepare"; fi
[ -z "$prepare" ] || { cat "$work/logs/prepare" >&2; du -sh "$work"/{bin,lib} >&2; [ ! -e "$work/rows/build" ]; exit; }
export own_libraries=${LD_LIBRARY_PATH:-}
! ldd "$bin"/* 2>/dev/null | grep -q 'not found' || export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
find_toolkit

for part in copy $all; do
  [ "$part" != copy ] || [ ! -e "$work/rows/copy" ] || continue # first, always: the others need the device's facts
  [[ " $only copy " == *" $part "* ]] || { row "$part" "skipped: not asked for" "" -; continue; }
  left=$((LIMIT - SECONDS)) most=$(seconds_of "$part")
  [ $left -gt 10 ] || { row "$part" "skipped: no time is left of $LIMIT s" "" -; continue; }
  [ "$part" = copy ] || [ -e "$work/probe" ] || { row "$part" "skipped: no device" "" -; continue; }
  echo "check.sh: $part, at $SECONDS s" >&2
  timeout -k 5 $((left < most ? left : most)) "$self" ${quick:+--quick} --part="$part" "$build" "$work" >"$work/logs/$part" 2>&1
  code=$?
  [ $code -eq 0 ] || row "$part" "$([ $code -eq 124 ] && echo 'ran out of time' || echo "exit code $code"): $(tail -1 "$work/logs/$part")" "" NO "see $work/logs/$part"
done

out=${OUT:-$work}
{ header; for part in build $all; do cat "$work/rows/$part" 2>/dev/null; done; } | tee "$out/RESULTS.md"
! grep -q '| NO |' "$out/RESULTS.md"
