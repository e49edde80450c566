#!/bin/sh
# Replay: a hypergradient is what perturbing the upper variable and rerunning the executable with the same seed gives, with
# shuffled batches and dropout in both levels. Run from the repository's root with MLOC set.
#
# The upper variable begins at 0.3 sin(i) + push cos(i). Its only step, by sgd(lr = 1), leaves the hypergradient in it; its
# product with cos(i) is compared with the central difference of the upper loss of step 0 by push: batches, masks and initial
# values are the same in all three runs. Each program says for which methods the two are equal, and to what.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "replay: $*" >&2
  exit 1
}

awk 'BEGIN {
  OFS = ","; print "x0,x1,x2,y"
  for (i = 0; i < 40; i++) print sin(i), cos(3 * i), sin(2 * i + 1), sin(1.3 * i) + 0.3 * cos(7 * i)
}' >"$dir/d.csv"

# What all programs read.
data() {
  echo 'dim N, D = 3;
const push = 0.0;
data d { file = "d.csv"; x : f32[N, 3]; y : f32[N]; batch = 8; shuffle = true; split = parts(tr = 0.6, va = 0.4); }'
}

# upper METHOD SIZE LOSS
upper() {
  cat <<MLO
level tune {
  var a : f32[$2] = 0.3 * sin(iota($2)) + push * cos(iota($2));
  argmin fit via $1;
  minimize $3;
  optimizer = sgd(lr = 1);
  steps = 1;
  metric slope = sum((0.3 * sin(iota($2)) - a) * cos(iota($2)));
}
run main of tune { seed = 3; precision = f64; report = every(1, csv); }
MLO
}

# value NAME ROW COLUMN PUSH: a metric of the report of that step
value() {
  "$dir/$1" --quiet --set push="$4" --out "$dir/out" || fail "$1: exit code $?"
  awk -F, -v row="$2" -v name="$3" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
    NR > 1 && $1 == row { print $c }' "$dir/out/metrics.csv"
}

# check NAME STEP TOLERANCE: of the program NAME.mlo
check() {
  "$MLOC" build "$dir/$1.mlo" -o "$dir/$1"
  slope=$(value "$1" 1 slope 0)
  more=$(value "$1" 0 tune.loss "$2")
  less=$(value "$1" 0 tune.loss "-$2")
  awk -v slope="$slope" -v more="$more" -v less="$less" -v step="$2" -v tolerance="$3" 'BEGIN {
    want = (more - less) / (2 * step)
    far = slope - want
    if (far < 0) far = -far
    size = want < 0 ? -want : want
    exit !(size > 0 && far <= tolerance * size)
  }' || fail "$1: hypergradient $slope, by rerunning from $less to $more"
}

# One step of the lower level. The upper variable weighs an own linear model of the lower level, on the batch and under the
# masks of its update: the mixed derivative does not change along the step, and the derivative of the update is lr times it.
linear() {
  { data; cat <<MLO; upper "$3" N 'mean((squeeze(dropout(fit.net(d.va.x), 0.2), 1) + d.va.x @ fit.w - d.va.y)^2)'; } >"$dir/$1.mlo"
level fit {
  var net = mlp[3, 6, 1];
  var w : f32[3] = normal(0.5);
  let guess = squeeze(dropout(net(dropout(d.tr.x, 0.2)), 0.1), 1);
  minimize mean((guess - d.tr.y)^2) + mean(dropout(tune.a[index(d.tr)], 0.25) * (dropout(d.tr.x, 0.2) @ w));
  optimizer = $2;
  steps = 1;
  restart = fresh;
}
MLO
  check "$1" "$4" "$5"
}
linear linear.identity 'sgd(lr = 0.1)' 'identity(scale = 0.1)' 1e-3 1e-7
linear linear.fd 'sgd(lr = 0.1)' 'fd(scale = 0.1, radius = 1e-3)' 1e-3 1e-7
linear linear.sama 'sgd(lr = 0.1, momentum = 0.9, decay = 0.1)' 'sama(radius = 1e-3)' 1e-3 1e-7
linear linear.clip 'sgd(lr = 0.1, clip = 0.5)' 'sama(radius = 1e-3)' 1e-3 1e-7

# Nets with dropout in both levels: examples weighed by the upper variable and by what `stop` holds. Along a step as small as
# this one the mixed derivative changes by as little: the error is of order lr times the curvature.
nets() {
  { data; cat <<MLO; upper "$2" N 'mean((fit.net(d.va.x, mode = train) - d.va.y)^2)'; } >"$dir/$1.mlo"
module dropped[I, H](x : f32[.., I]) -> f32[..] {
  var first = linear[I, H];
  var last = linear[H, 1];
  return squeeze(last(dropout(tanh(first(dropout(x, 0.2))), 0.3)), -1);
}
level fit {
  var net = dropped[3, 6];
  let miss = net(d.tr.x) - d.tr.y;
  minimize mean((1 + tune.a[index(d.tr)]) * stop(1 + abs(miss)) * miss^2);
  optimizer = sgd(lr = 1e-6);
  steps = 1;
  restart = fresh;
}
MLO
  check "$1" 1 "$3"
}
nets nets.identity 'identity(scale = 1e-6)' 1e-4
nets nets.fd 'fd(scale = 1e-6, radius = 1e-3)' 1e-4
nets nets.sama 'sama(radius = 1e-3)' 1e-4

# A lower level that its steps solve, without batches; the upper level has them, and dropout.
solved() {
  { data; cat <<MLO; upper "$2" D 'mean((dropout(d.va.x, 0.3) @ fit.w - d.va.y)^2)'; } >"$dir/$1.mlo"
data all { file = "d.csv"; x : f32[N, 3]; y : f32[N]; }
level fit {
  var w : f32[3] = normal(0.5);
  minimize mean((all.x @ w - all.y)^2) + sum(exp(tune.a) * w^2);
  optimizer = sgd(lr = 0.3);
  steps = 200;
}
MLO
  check "$1" 1e-3 1e-6
}
solved solved.dense 'dense()'
solved solved.cg 'cg(iters = 10)'
solved solved.neumann 'neumann(terms = 200, alpha = 0.3)'
