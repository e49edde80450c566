#!/bin/sh
# Which rows batches hold, and what is computed over all rows. Run from the repository's root with MLOC set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "batches: $*" >&2
  exit 1
}

# column NAME FILE: the values of a column of a table, one a line
column() { awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } NR > 1 { print $c }' "$2"; }

# 21 rows: x0, x1 and a label
awk 'BEGIN { OFS = ","; print "x0,x1,y"; for (i = 0; i < 21; i++) print sin(i), cos(3 * i), i % 3 }' >"$dir/d.csv"

# Each step adds 1 to the rows of its batch: after an epoch all counts are equal, before it they are not.
epochs() {
  cat >"$dir/epochs.mlo" <<MLO
dim N;
data d { file = "d.csv"; x : f32[N, 2]; batch = 3; $1 }
level count {
  var c : f32[N] = 0;
  maximize sum(c[index(d)]);
  optimizer = sgd(lr = 1);
  steps = 28;
  metric spread = max(c) - min(c);
  metric total = sum(c);
  output rows = index(d);
}
run main of count { report = every(1, csv); seed = 5; }
MLO
  "$MLOC" run "$dir/epochs.mlo" --quiet --out "$dir/epochs" >/dev/null
  column spread "$dir/epochs/metrics.csv" | awk '{ want = (NR - 1) % 7 > 0; if ($1 != want) exit 1 }' ||
    fail "$1: a row comes twice or never in an epoch"
  [ "$(column total "$dir/epochs/metrics.csv" | tail -n 1)" = 84 ] || fail "$1: another number of rows"
}
epochs ''
epochs 'shuffle = true;'
