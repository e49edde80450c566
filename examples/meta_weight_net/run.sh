#!/bin/sh
# Prints the table of README.md: test accuracy of Meta-Weight-Net beside plain training and training on the clean images
# alone, mean ± standard deviation over seeds. Executables are compiled once and run on one thread.
#
#   ./run.sh                three seeds, 40 % noise; MLOC=path/to/mloc where mloc is not installed
#   ./run.sh 5 0.4 0.6      five seeds, 40 % and 60 % noise
#   STEPS=100 ./run.sh 2    fewer steps, to try it
set -eu
cd "$(dirname "$0")"
mloc=${MLOC:-$(command -v mloc || echo ../../build/bin/mloc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=${1:-3}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 0.4
steps=${STEPS:-}

# train NAME PROGRAM OPTIONS..: runs all seeds and leaves "NAME;metrics.csv" in a list.
train() {
  name=$1 program=$2
  shift 2
  out=$work/out/$(wc -l <"$work/list")
  if ! "$work/$program" --quiet --threads=1 ${steps:+--steps "$steps"} --seeds "$seeds" --out "$out" "$@"; then
    echo "run.sh: $program failed" >&2
    exit 1
  fi
  for file in "$out"/seed-*/metrics.csv; do echo "$name;$file"; done >>"$work/list"
}

: >"$work/list"
for program in meta_weight_net plain meta_only; do "$mloc" build "$program.mlo" -o "$work/$program"; done
train "1000 clean images only" meta_only
train "plain, no noise" plain --set noise=0
for noise; do
  train "plain, noise $noise" plain --set "noise=$noise"
  train "Meta-Weight-Net, noise $noise" meta_weight_net --set "noise=$noise"
done

# The last report of each run, and of plain ones also that with the best accuracy on the clean images.
awk -F, '
  function add(name, i, k) {
    if (!(name in n)) order[++kinds] = name
    n[name]++
    for (i = 1; i <= 4; i++) {
      k = name SUBSEP column[i]
      if (!(column[i] in at)) continue
      seen[k] = 1
      sum[k] += row[at[column[i]]]
      square[k] += row[at[column[i]]]^2
    }
  }
  function spread(name, i, k, m, v) {
    k = name SUBSEP column[i]
    if (!(k in seen)) return "-"
    m = sum[k] / n[name]
    v = n[name] > 1 ? (square[k] - n[name] * m^2) / (n[name] - 1) : 0
    return sprintf("%.4f ± %.4f", m, v > 0 ? sqrt(v) : 0)
  }
  BEGIN { split("test_acc learnt_wrong v_right v_wrong", column, " ") }
  {
    name = substr($0, 1, index($0, ";") - 1)
    file = substr($0, index($0, ";") + 1)
    split("", at)
    best = -1
    for (line = 0; (getline text < file) > 0; line++) {
      fields = split(text, row, ",")
      if (!line) for (i = 1; i <= fields; i++) at[row[i]] = i
      else if ("meta_acc" in at && row[at["meta_acc"]] > best) { best = row[at["meta_acc"]]; kept = text }
    }
    close(file)
    add(name)
    if (best >= 0) { split(kept, row, ","); add(name ", stopped by the clean images") }
  }
  END {
    print "| | test accuracy | wrong labels learnt | weight of right labels | weight of wrong labels |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= kinds; i++) {
      name = order[i]
      print "| " name " | " spread(name, 1) " | " spread(name, 2) " | " spread(name, 3) " | " spread(name, 4) " |"
    }
  }' "$work/list"
