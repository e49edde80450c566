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
  let channels = reshape(d.x, batch(d), 1, 2) * reshape(d.x @ W, batch(d), C, 1);
  metric grouped on d = mean(conv1d(channels, reshape(f32(iota(8)), 2, 1, 4), groups = 2)^2);
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

# A split: every row in one part, labels divided alike, the same whatever the batch; a part's batches hold its rows alone.
split() {
  cat >"$dir/split.mlo" <<MLO
dim N, C = 3;
data d { file = "d.csv"; x : f32[N, 2]; y : i32[N] in range(0, C); $1
         split = parts(tr = 0.6, va = 0.25, te = 0.15, by = y, seed = 3); }
data all { file = "d.csv"; x : f32[N, 2]; }
level fit {
  var c : f32[N] = 0;
  maximize sum(c[index(d.tr)]) + 0 * sum(c[index(d.va)]);
  optimizer = sgd(lr = 1);
  steps = 3;
  metric count on d.tr = sum(d.tr.x[.., 0] == d.tr.x[.., 0]);
  metric misread on d.tr = sum(abs(d.tr.x - all.x[index(d.tr)]));
  metric trained = sum(c);
  output tr on d.tr = index(d.tr);
  output va on d.va = index(d.va);
  output te on d.te = index(d.te);
  metric labels on d.va = sum(square(segment_sum(0 * d.va.x + 1, d.va.y, C)[.., 0] - 5 / 3));
}
run main of fit { report = every(1, csv); precision = f64; }
MLO
  "$MLOC" run "$dir/split.mlo" --quiet --out "$dir/split$2" >/dev/null
  [ "$(column count "$dir/split$2/metrics.csv" | tail -n 1)" = 13 ] || fail "a part of 0.6 of 21 rows has not 13"
  [ "$(column misread "$dir/split$2/metrics.csv" | tail -n 1)" = 0 ] || fail "a part reads other rows"
  [ "$(column trained "$dir/split$2/metrics.csv" | tail -n 1)" = "$3" ] || fail "a batch of a part holds other rows"
}
split '' whole 39
split 'batch = 2; shuffle = true;' small 6
# The parts together: each of the 21 rows once.
cat >"$dir/seen.mlo" <<MLO
data r {
  file = "splitsmall/final.npz";
  tr : i32[13] in range(0, 21);
  va : i32[5] in range(0, 21);
  te : i32[3] in range(0, 21);
}
level seen {
  var c : f32[21] = 0;
  maximize sum(c[r.tr]) + sum(c[r.va]) + sum(c[r.te]);
  optimizer = sgd(lr = 1);
  steps = 1;
  metric low = min(c);
  metric high = max(c);
}
run main of seen { report = every(1, csv); }
MLO
"$MLOC" run "$dir/seen.mlo" --quiet --out "$dir/seen" >/dev/null
[ "$(tail -n 1 "$dir/seen/metrics.csv" | cut -d, -f 2-)" = "21,1,1" ] ||
  fail "a row is in two parts or in none: $(cat "$dir/seen/metrics.csv")"
cmp "$dir/splitwhole/final.npz" "$dir/splitsmall/final.npz" >/dev/null && fail "both kinds of batches trained alike"
exit 0
