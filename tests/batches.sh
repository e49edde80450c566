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

# over SETTINGS: metrics and outputs over all rows of a source that is read as the settings say
over() {
  cat >"$dir/over.mlo" <<MLO
dim N, C = 3;
data d { file = "d.csv"; x : f32[N, 2]; y : i32[N] in range(0, C); $1 }
data all { file = "d.csv"; x : f32[N, 2]; y : i32[N] in range(0, C); }
level fit {
  var W : f32[2, C] = normal(1);
  let hit : f32[batch(d)] = f32(argmax(d.x @ W) == d.y);
  minimize mean(xent(all.x @ W, all.y));
  optimizer = sgd(lr = 0.5);
  steps = 20;
  metric accuracy on d = mean(hit);
  metric loss on d = mean(xent(d.x @ W, d.y));
  metric share on d = sum(hit * d.x[.., 0]) / sum(abs(d.x[.., 0]));
  metric root on d = sqrt(mean(d.x^2) + sum(hit) / batch(d));
  metric largest on d = max(d.x @ W) - min(index(d) * d.x[.., 1]);
  metric moment on d = sum((d.x.T @ d.x)^2) + sum(segment_mean(d.x, d.y, C)^2);
  output p on d = d.x * W[0, 0];
  output table on d = segment_sum(one_hot(argmax(d.x @ W), C), d.y, C);
}
run main of fit { report = every(5, csv); precision = f64; }
MLO
  "$MLOC" run "$dir/over.mlo" --quiet --out "$dir/over$2" >/dev/null
}
over '' whole
for size in 1 2 4 7 20 21; do
  over "batch = $size; shuffle = true;" $size
  paste -d, "$dir/overwhole/metrics.csv" "$dir/over$size/metrics.csv" | awk -F, 'NR > 1 {
    n = NF / 2
    for (i = 1; i <= n; i++) { d = $i - $(i + n); if (d < 0) d = -d; if (d > 1e-12) exit 1 }
  }' || fail "metrics over all rows, batches of $size: $(cat "$dir/over$size/metrics.csv")"
  cmp "$dir/overwhole/final.npz" "$dir/over$size/final.npz" || fail "outputs over all rows, batches of $size"
done
