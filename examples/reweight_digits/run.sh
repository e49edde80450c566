#!/bin/sh
# Prints the tables of README.md: for 40% and 60% wrong labels and each random split, weights learned by mloc beside the
# baselines. The split is part of a program's build; the noise and the baselines are settings of the executables.
#
#   ./run.sh            all five splits; MLOC=path/to/mloc where mloc is not installed
#   ./run.sh 0 1        these splits only
set -eu
cd "$(dirname "$0")"
mloc=${MLOC:-$(command -v mloc || echo ../../build/bin/mloc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- 0 1 2 3 4

# train RUN NAME OPTIONS..: appends a row of columns between |: rate, name, accuracy at the end, best accuracy of all
# reports, mean weights of rows with right and with wrong labels.
train() {
  run=$1 name=$2
  shift 2
  "$work/$run" --threads=1 --quiet --seed "$split" --set "rate=$rate" --out "$work/out" "$@"
  awk -F, -v name="$rate|$name" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["acc"] > best { best = $at["acc"] }
    END { w = "weight_right" in at
          print name "|" $at["acc"] "|" best "|" (w ? $at["weight_right"] "|" $at["weight_wrong"] : "|") }' \
    "$work/out/metrics.csv" >>"$work/rows"
  rm -r "$work/out"
}

for split; do
  for run in main baseline; do
    "$mloc" build reweight_digits.mlo --run $run --set "fold=$split" -o "$work/$run"
  done
  for rate in 0.4 0.6; do
    train baseline "noisy rows" --set share=0
    train baseline "noisy and clean rows, each counts once" --set share=0.0909091
    train baseline "noisy and clean rows, half of the loss each" --set share=0.5
    train baseline "clean rows" --set share=1
    train main "weighted noisy rows (\`mloc run reweight_digits.mlo\`)" --set share=0
    train main "weighted noisy rows, and clean rows" --set share=0.0909091
  done
done

# Mean and standard deviation over the splits.
awk -F'|' '
  function spread(name, i, m, v) {
    m = sum[name, i] / n[name]
    v = n[name] > 1 ? (square[name, i] - n[name] * m^2) / (n[name] - 1) : 0
    return sprintf(i < 5 ? "%.1f ± %.1f" : "%.2f ± %.2f", m, v > 0 ? sqrt(v) : 0)
  }
  {
    name = $1 "|" $2
    if (!(name in n)) order[++kinds] = name
    n[name]++
    weighted[name] = $5 != ""
    for (i = 3; i <= 6; i++) { x = i < 5 ? 100 * $i : $i; sum[name, i] += x; square[name, i] += x^2 }
  }
  END {
    for (k = 1; k <= kinds; k++) {
      name = order[k]
      split(name, part, "|")
      if (part[1] != rate) {
        rate = part[1]
        print (k > 1 ? "\n" : "") "| " 100 * rate "% wrong labels: trained on | test accuracy % | best of 21 reports |" \
          " weight, right label | weight, wrong label |\n|---|---|---|---|---|"
      }
      print "| " part[2] " | " spread(name, 3) " | " spread(name, 4) " | " \
        (weighted[name] ? spread(name, 5) " | " spread(name, 6) : "– | –") " |"
    }
  }' "$work/rows"
