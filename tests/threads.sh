#!/bin/sh
# The same bits at any number of threads: sums over everything, over rows, over columns and by segment, dropout, norms of a whole
# level. Matrix products of the library may differ; this program has none. Run from the repository's root with MLOC set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "threads: $*" >&2
  exit 1
}

awk 'BEGIN { OFS = ","; print "x0,x1,x2,y"; for (i = 0; i < 40; i++) print sin(i), cos(3 * i), sin(2 * i + 1), cos(i) }' >"$dir/d.csv"
cat >"$dir/p.mlo" <<MLO
dim N, R = 8000, C = 64;
data d { file = "d.csv"; x : f32[N, 3]; y : f32[N]; batch = 8; shuffle = true; }

level fit {
  var w : f32[R, C] = normal(0.1);
  var b : f32[C] = zeros;
  let s = dropout(tanh(w), 0.1) + b;
  let row = d.x @ w[0..3];
  let groups = segment_sum(s, iota(R) mod 7, 7);
  minimize mean(xent(s, iota(R) mod C)) + mean((max(s, axis = 1) - mean(s, 1))^2) + norm2(mean(s, 0)) + norm2(groups) / R
    + mean(exp(tune.rho) * w^2) + mean((mean(row, 1) - d.y)^2) + norm2(layernorm(s)^2) / R;
  optimizer = sgd(lr = 0.1, momentum = 0.9, clip = 1);
  steps = 3;
}

level tune {
  var rho : f32[R, C] in box(-8, 4) = normal(0.1);
  argmin fit via cg(iters = 3, damping = 0.5);
  minimize sum((fit.w - 0.1 * sin(iota(C)))^2);
  optimizer = adam(lr = 0.05);
  steps = 4;
  output rows = sum(fit.w, 1);
}

run main of tune { seed = 3; report = every(1, csv); }
MLO
"$MLOC" inspect "$dir/p.mlo" >"$dir/kernels"
for kind in '): columns over .*reduced along 0, parallel' '): loop over .*reduced along 0, 1, parallel' \
  '): loop over .*reduced along 1, parallel' '): loop over [^d]*, parallel'; do
  grep -q "$kind" "$dir/kernels" || fail "no kernel with threads like \`$kind\`"
done
! grep -qi 'gemm (blas)' "$dir/kernels" || fail "the program has a product of the library"
for precision in f32 f64; do
  sed -i "s/precision = f[0-9]*/precision = $precision/" "$dir/p.mlo"
  "$MLOC" build "$dir/p.mlo" -o "$dir/p"
  for n in 1 2 3; do "$dir/p" --quiet --threads=$n --out "$dir/$n"; done
  for n in 2 3; do
    grep -q "\"threads\": $n" "$dir/$n/run.json" || fail "not $n threads"
    cmp "$dir/1/final.npz" "$dir/$n/final.npz" || fail "$precision: $n threads: another final.npz"
    cmp "$dir/1/metrics.csv" "$dir/$n/metrics.csv" || fail "$precision: $n threads: another metrics.csv"
  done
done
