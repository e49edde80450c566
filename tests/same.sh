#!/bin/sh
# Programs that say the same in two ways: same/NAME.mlo and same/NAME.plain.mlo report the same losses and metrics, up to
# rounding (both are in f64). The first uses what the language offers, the second spells it out.
set -eu
mloc=${MLOC:?}
folder=$(dirname "$0")/same
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
for plain in "$folder"/*.plain.mlo; do
  name=$(basename "$plain" .plain.mlo)
  "$mloc" run "$folder/$name.mlo" --out "$out/a" --quiet >/dev/null
  "$mloc" run "$plain" --out "$out/b" --quiet >/dev/null
  paste -d , "$out/a/metrics.csv" "$out/b/metrics.csv" | awk -F , -v name="$name" '
    NR == 1 { for (i = 1; i <= NF / 2; i++) { if ($i != $(i + NF / 2)) wrong++; noise[i] = $i ~ /residual$/ } }
    NR > 1 { for (i = 1; i <= NF / 2; i++) {
      if (noise[i]) continue # of a solve that is exact but for rounding
      x = $i; y = $(i + NF / 2); d = x - y; size = (x < 0 ? -x : x) + 1e-9
      if (d < 0) d = -d
      if (!(d <= 1e-6 * size)) { wrong++; print name ": row " NR ": " x " is not " y } } }
    END { exit wrong > 0 || NR < 6 }' >&2 || { echo "$name: the two programs differ" >&2; failed=1; }
done
exit $failed
