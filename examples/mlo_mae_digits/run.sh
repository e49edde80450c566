#!/bin/sh
# Prints the table of README.md. The runs of the program are compiled once; for each draw of data/ and each row of the table
# `main` chooses masks, `retrain` pretrains an encoder with them, and `heads` fits heads to both encoders.
#
#   ./run.sh            all draws; MLOC=path/to/mloc where mloc is not installed
#   ./run.sh 0 1        these draws only
set -eu
cd "$(dirname "$0")"
mloc=${MLOC:-$(command -v mloc || echo ../../build/bin/mloc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- 0 1 2 3 4 5

# run NAME OPTIONS..: one run on this draw.
run() {
  name=$1
  shift
  "$work/$name" --threads=1 --quiet --seed "$draw" --out "$work/out/$name" "$@"
}

# choose OPTIONS..: the masks, and the encoder of the search.
choose() { run main --data "$unlabelled" --data "labelled=$labelled" "$@"; }

# measure ROW STEPS: trains an encoder anew with the masks; appends "draw, row, test accuracy with the encoder of the search,
# with the new one" to a file.
measure() {
  run retrain --load "$work/out/main/final.npz" --data "$unlabelled" --steps "$2"
  run heads --load "$work/out/retrain/final.npz" --data "all=$labelled" --data "$test"
  last heads test_found test_again | sed "s/^/$draw $1 /" >>"$work/rows"
}

# last RUN METRIC..: metrics of its last report.
last() {
  file=$work/out/$1/metrics.csv
  shift
  awk -F, -v names="$*" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    END { n = split(names, name, " ")
          for (i = 1; i <= n; i++) printf "%s%s", $at[name[i]], i < n ? " " : "\n" }' "$file"
}

for name in main retrain heads labels; do "$mloc" build mlo_mae_digits.mlo --run $name -o "$work/$name"; done
still="--steps 1 --set pretrain.optimizer.lr=0 --set masks.optimizer.lr=0" # masks as they begin
for draw; do
  unlabelled=unlabelled=data/$draw/unlabelled.npz labelled=data/$draw/labelled.npz test=test=data/$draw/test.npz
  choose $still
  measure uniform 1200
  measure uniform_long 4800
  choose $still --set prior=2
  measure hand 1200
  choose
  measure learned 1200
  measure learned_long 4800
  choose --set through=0
  measure encoder 1200
  choose --set direct=0
  measure head 1200
  run labels --data "labelled=$labelled" --data "$test"
  last labels test_acc | sed "s/^/$draw labels /" >>"$work/rows"
done

# Rows "draw, row, accuracies": mean and standard deviation over the draws, and the difference to uniform masks.
awk '
  function add(row, draw, x) {
    if (!(row in n)) order[++rows] = row
    n[row]++; sum[row] += x; square[row] += x^2; acc[row, draw] = x
  }
  function deviation(s, q, k) { return k > 1 && q > s^2 / k ? sqrt((q - s^2 / k) / (k - 1)) : 0 }
  function paired(row, d, k, s, q, x) {
    if (row == uniform) return ""
    for (d in draws) { x = acc[row, d] - acc[uniform, d]; k++; s += x; q += x^2 }
    return sprintf("%+.1f ± %.1f", s / k, deviation(s, q, k) / sqrt(k))
  }
  BEGIN { uniform = "uniform masks" }
  { draws[$1]; found = 100 * $3; again = 100 * $4 }
  $2 == "uniform" { add("no pretraining", $1, found); add(uniform, $1, again) }
  $2 == "uniform_long" { add("uniform masks, 4800 steps", $1, again) }
  $2 == "hand" { add("masks by hand, anew", $1, again) }
  $2 == "learned" { add("**learned masks**, encoder of the search", $1, found)
                    add("**learned masks**, anew", $1, again) }
  $2 == "learned_long" { add("learned masks, anew, 4800 steps", $1, again) }
  $2 == "encoder" { add("learned through the encoder alone, encoder of the search", $1, found)
                    add("learned through the encoder alone, anew", $1, again) }
  $2 == "head" { add("learned through the head alone, encoder of the search", $1, found)
                 add("learned through the head alone, anew", $1, again) }
  $2 == "labels" { add("encoder and head trained on the 400 labels, no pretraining", $1, found) }
  END {
    print "| | test accuracy, % | paired difference to uniform masks |\n|---|---|---|"
    for (i = 1; i <= rows; i++) {
      row = order[i]
      spread = deviation(sum[row], square[row], n[row])
      printf "| %s | %.1f ± %.1f | %s |\n", row, sum[row] / n[row], spread, paired(row)
    }
  }' "$work/rows"
