#!/bin/sh
# Prints the table of README.md: on each of the five splits, per-feature L2 tuned by mloc beside one L2 for all features,
# swept over a grid. Both programs are compiled once; their executables then read each split by --data.
#
#   ./run.sh            all splits; MLOC=path/to/mloc where mloc is not installed
#   ./run.sh 0 1        these splits only
set -eu
cd "$(dirname "$0")"
mloc=${MLOC:-$(command -v mloc || echo ../../build/bin/mloc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grid="0 1e-6 1e-5 3e-5 1e-4 3e-4 1e-3 3e-3 1e-2 3e-2 1e-1"
[ $# -gt 0 ] || set -- 0 1 2 3 4

# train PROGRAM SPLIT OPTIONS..: appends "validation loss, test loss, test accuracy" of the last report to a file.
train() {
  program=$1 split=$2
  shift 2
  "$work/$program" --quiet --out "$work/out" --data "train=data/$split/train.npz" \
    --data "val=data/$split/val.npz" --data "test=data/$split/test.npz" "$@"
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    END { v = "val_loss" in at ? at["val_loss"] : at["tune.loss"]
          print $v, $at["test_loss"], $at["test_acc"] }' "$work/out/metrics.csv"
}

for program in ridge_digits sweep; do "$mloc" build "$program.mlo" -o "$work/$program"; done
for split; do
  train ridge_digits "$split" | sed "s/^/$split tuned /" >>"$work/rows"
  for l2 in $grid; do train sweep "$split" --set "l2=$l2" | sed "s/^/$split $l2 /" >>"$work/rows"; done
done

# Rows "split, l2, validation loss, test loss, test accuracy": mean and standard deviation over the splits.
awk '
  function add(name, i) {
    if (!(name in n)) order[++kinds] = name
    n[name]++
    for (i = 3; i <= 5; i++) { sum[name, i] += row[i]; square[name, i] += row[i]^2 }
  }
  function keep(i) { for (i = 3; i <= 5; i++) row[i] = $i }
  function spread(name, i, m, v) {
    m = sum[name, i] / n[name]
    v = n[name] > 1 ? (square[name, i] - n[name] * m^2) / (n[name] - 1) : 0
    return sprintf("%.4f ± %.4f", m, v > 0 ? sqrt(v) : 0)
  }
  { keep() }
  $2 == "tuned" { add("one L2 per feature (ridge_digits.mlo)"); next }
  { add("one L2 = " $2 (($2 == 0) ? " (unregularized)" : "")) }
  !($1 in loss) || $3 < loss[$1] { loss[$1] = $3; best[$1] = $0 }
  !($1 in acc) || $5 > acc[$1] { acc[$1] = $5; lucky[$1] = $0 }
  END {
    for (s in best) { split(best[s], row); add("best single L2 by validation loss, of each split") }
    for (s in lucky) { split(lucky[s], row); add("best single L2 by test accuracy, of each split") }
    print "| | validation loss | test loss | test accuracy |\n|---|---|---|---|"
    for (k = 1; k <= kinds; k++) {
      name = order[k]
      print "| " name " | " spread(name, 3) " | " spread(name, 4) " | " spread(name, 5) " |"
    }
  }' "$work/rows"
