#!/bin/sh
# The programs of the language's design, as they are written there, on data of the right shapes: they check without their
# data, and with it run from the first report to the last.
set -eu
mloc=$(realpath "${MLOC:?}")
cd "$(dirname "$0")/language"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# rows FILE N [SETTING..]: N rows of x and y
rows() {
  file=$1 n=$2
  shift 2
  "$mloc" run rows.mlo --set N="$n" "$@" --quiet --out "$dir/made" >/dev/null
  cp "$dir/made/final.npz" "$dir/$file"
}
cp strength.mlo reweight.mlo select.mlo "$dir"
for p in strength reweight select; do "$mloc" check "$dir/$p.mlo"; done

rows train.npz 120 --set C=2 --seed 1
rows val.npz 60 --set C=2 --seed 2
rows noisy.npz 300 --seed 3
rows clean.npz 50 --seed 4
rows test.npz 530 --seed 5
rows source.npz 300 --seed 6
rows target.npz 350 --seed 7
for p in strength reweight select; do
  "$mloc" check "$dir/$p.mlo"
  "$mloc" run "$dir/$p.mlo" --steps 60 --threads=1 --quiet --out "$dir/$p"
  [ "$(tail -n 1 "$dir/$p/metrics.csv" | cut -d, -f1)" = 60 ] || { echo "$p: no last report" >&2; exit 1; }
done
