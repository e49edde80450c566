#!/bin/sh
# What a program's runs do together: --load, --seeds, runs after another. Run from the repository's root with MLOC set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "runs: $*" >&2
  exit 1
}

# code WANTED TEXT COMMAND..: the exit code and a part of what it says
code() {
  wanted=$1 text=$2 got=0
  shift 2
  "$@" >"$dir/said" 2>&1 || got=$?
  [ $got -eq "$wanted" ] || fail "exit code $got, expected $wanted: $* ($(cat "$dir/said"))"
  grep -qF -- "$text" "$dir/said" || fail "did not say \`$text\`: $(cat "$dir/said")"
}

# ---- --load

cat >"$dir/load.mlo" <<EOF
level fit {
  var w : f64[3] = normal(1);
  minimize sum((w - 1)^2);
  optimizer = sgd(lr = 0.1);
  steps = 5;
}
run main of fit { seed = 1; precision = f64; report = every(1, csv); checkpoint = every(2); }
EOF
"$MLOC" build "$dir/load.mlo" -o "$dir/load"
"$dir/load" -q --out "$dir/ten" --steps 10
"$dir/load" -q --out "$dir/five"
"$dir/load" -q --out "$dir/more" --seed 9 --load "$dir/five/final.npz"
cmp "$dir/ten/final.npz" "$dir/more/final.npz" || fail "five and five steps are not ten"
tail -n 1 "$dir/five/metrics.csv" | cut -d, -f2 >"$dir/a"
sed -n 2p "$dir/more/metrics.csv" | cut -d, -f2 >"$dir/b"
cmp "$dir/a" "$dir/b" || fail "another loss after --load"
code 0 '1 variables loaded' "$MLOC" run "$dir/load.mlo" -v --load "$dir/five/final.npz"

# A checkpoint has variables in another form, and states by their names.
code 3 'a checkpoint: expected a run' "$dir/load" --load "$dir/five/checkpoints/0000000004.npz"

# A level that would begin with the values of another one begins with those of the file.
for how in 'init = copy(w, low.w);' ''; do
  cat >"$dir/copy$((${#how} > 0)).mlo" <<EOF
level low { var w : f64[2] = 1; minimize norm2(w - 3); optimizer = sgd(lr = 0.5); }
level high {
  var w : f64[2] = 5;
  $how
  argmin low via dense();
  minimize norm2(w - 4) + 0 * sum(low.w);
  optimizer = sgd(lr = 0);
  steps = 2;
  metric at = w[0];
}
run main of high { precision = f64; }
EOF
done
last_at() { tail -n 1 "$dir/$1/metrics.csv" | cut -d, -f4; }
"$MLOC" run "$dir/copy1.mlo" -q --out "$dir/copied"
"$MLOC" run "$dir/copy0.mlo" -q --out "$dir/plain"
"$MLOC" run "$dir/copy1.mlo" -q --out "$dir/loaded" --load "$dir/plain/final.npz"
[ "$(last_at copied)" = 3 ] && [ "$(last_at plain)" = 5 ] && [ "$(last_at loaded)" = 5 ] ||
  fail "init = copy: $(last_at copied) $(last_at plain) $(last_at loaded)"

# States of every element type are loaded.
cat >"$dir/states.mlo" <<EOF
level fit {
  var w : f64[2] = 1;
  state n : i32[] = 0 next n + 1;
  state odd : bool[] = false next not odd;
  minimize norm2(w - f64(n));
  optimizer = sgd(lr = 0.1);
  steps = 3;
  metric n_is = n;
  metric odd_is = f64(odd);
}
run main of fit { precision = f64; report = every(1, csv); }
EOF
"$MLOC" run "$dir/states.mlo" -q --out "$dir/three"
"$MLOC" run "$dir/states.mlo" -q --out "$dir/six" --load "$dir/three/final.npz"
[ "$(tail -n 1 "$dir/six/metrics.csv" | cut -d, -f3-)" = 6,0 ] || fail "states after --load"

# --resume auto: the file counts where there is no checkpoint.
code 0 'step 0/5' "$dir/load" --out "$dir/again" --load "$dir/five/final.npz" --resume auto
cmp "$dir/again/final.npz" "$dir/more/final.npz" || fail "--resume auto without a checkpoint"
code 0 'finished before' "$dir/load" --out "$dir/again" --load "$dir/five/final.npz" --resume auto
rm "$dir/again/final.npz"
code 0 'resumed at step 4' "$dir/load" --out "$dir/again" --load "$dir/five/final.npz" --resume auto
cmp "$dir/again/final.npz" "$dir/more/final.npz" || fail "--resume auto with a checkpoint"
code 3 'it began from' "$dir/load" --out "$dir/again" --load "$dir/ten/final.npz" --resume auto
# What counts are the values: a file may have another name now, and another file the same.
cp "$dir/five/final.npz" "$dir/moved.npz"
code 0 'finished before' "$dir/load" --out "$dir/again" --load "$dir/moved.npz" --resume auto
cp "$dir/ten/final.npz" "$dir/moved.npz"
code 0 'step 0/5' "$dir/load" --out "$dir/from" --load "$dir/moved.npz"
cp "$dir/five/final.npz" "$dir/moved.npz"
code 3 'which has other values now' "$dir/load" --out "$dir/from" --load "$dir/moved.npz" --resume auto
odd=$dir/$(printf '\377').npz # no UTF-8, and so no JSON
cp "$dir/five/final.npz" "$odd"
code 0 'step 0/5' "$dir/load" --out "$dir/from" --load "$odd"
rm "$dir/from/final.npz"
code 0 'resumed at step 4' "$dir/load" --out "$dir/from" --load "$odd" --resume auto
printf 'v\n1\n2\n' >"$dir/v.csv"
cat >"$dir/data.mlo" <<EOF
dim N;
data d { file = "v.csv"; v : f64[N]; }
level fit { var w : f64[N] = 0; minimize sum((w - d.v)^2); optimizer = sgd(lr = 0.1); steps = 5; }
run main of fit { precision = f64; checkpoint = every(2); }
EOF
"$MLOC" build "$dir/data.mlo" -o "$dir/data"
"$dir/data" -q --out "$dir/of-data"
printf 'v\n1.0\n2.0\n' >"$dir/u.csv"
code 0 'finished before' "$dir/data" --out "$dir/of-data" --resume auto --data d="$dir/u.csv"
printf 'v\n1\n3\n' >"$dir/v.csv"
code 3 'its data had other values' "$dir/data" --out "$dir/of-data" --resume auto
code 3 'its data had other values' "$dir/data" --out "$dir/new" --resume "$dir/of-data/checkpoints/0000000004.npz"
code 0 'step 0/5' "$dir/data" --out "$dir/of-data"
code 0 'finished before' "$dir/data" --out "$dir/of-data" --resume auto

# ---- metrics of the edges: a solve that is exact, and norms that are those of differences

# fit.w = exp(-rho) * target, so that the loss of tune is known in closed form.
cat >"$dir/edge.mlo" <<EOF
level fit {
  var w : f64[2] = 0;
  minimize 0.5 * sum(exp(tune.rho) * w^2) - 3 * w[0] - 4 * w[1];
  optimizer = sgd(lr = 1);
  steps = 1;
}
level tune {
  var rho : f64[2] = 0;
  argmin fit via METHOD;
  minimize 0.5 * sum(fit.w^2);
  optimizer = sgd(lr = 0.001);
  steps = 3;
}
run main of tune { precision = f64; report = every(1, csv); }
EOF
# At rho = 0 the answer is w = (3, 4) and d loss / d rho = -w^2 = (-9, -16); with the step before, the same w at the end.
for method in 'dense()' 'cg(iters = 5)' 'neumann(terms = 1, alpha = 1)' 'identity()'; do
  sed "s/METHOD/$method/" "$dir/edge.mlo" >"$dir/edge_now.mlo"
  "$MLOC" run "$dir/edge_now.mlo" -q --out "$dir/edge" --verify
  norm=$(sed -n 2p "$dir/edge/metrics.csv" | cut -d, -f4)
  [ "$norm" = 18.35755975068582 ] || [ "$norm" = 18.357559750685819 ] || fail "$method: norm $norm, expected |(9, 16)|"
  residual=$(sed -n 2p "$dir/edge/metrics.csv" | cut -d, -f5)
  case $method in
    identity*) [ -z "$residual" ] || fail "identity has a residual" ;;
    neumann*) [ "$residual" = 1 ] || fail "$method: residual $residual, expected 1" ;; # before its only term
    *) [ "$residual" = 0 ] || fail "$method: residual $residual, expected 0" ;;
  esac
done
code 0 'tune.hypergradient.norm' "$MLOC" run "$dir/edge_now.mlo"
grep -q '^step.*hypergradient' "$dir/said" && fail "details in the lines of progress: $(cat "$dir/said")"
code 0 'tune.loss 12.5  tune.hypergradient.norm' "$MLOC" run "$dir/edge_now.mlo" -v

# ---- eval: a metric on a source, at its own steps; the best of those is kept

cat >"$dir/x.csv" <<EOF
x
1
2
4
EOF
cat >"$dir/eval.mlo" <<EOF
dim N;
data train { file = "x.csv"; x : f64[N]; }
level fit {
  var w : f64[] = 0;
  minimize (w - 10)^2;
  optimizer = sgd(lr = 0.05);
  steps = 20;
  metric near on train = mean((train.x - w)^2);
}
run main of fit { precision = f64; report = every(5, csv); eval = every(3); keep_best = min(near); }
EOF
# w goes from 0 to 10 and is nearest to the mean 7/3 at step 3: 10 (1 - 0.9^3) = 2.71.
code 0 'best `near` at step 3' "$MLOC" run "$dir/eval.mlo" --out "$dir/eval"
grep -q '^step 5/20 .*near -$' "$dir/said" || fail "eval: $(cat "$dir/said")"
empty=$(awk -F, 'NR > 1 && $3 == "" { printf "%s ", $1 }' "$dir/eval/metrics.csv")
[ "$empty" = "5 10 " ] || fail "eval: not evaluated at $empty, expected 5 10"
[ "$(cut -d, -f1 "$dir/eval/metrics.csv" | tr '\n' ' ')" = "step 0 3 5 6 9 10 12 15 18 20 " ] || fail "eval: $(cat "$dir/eval/metrics.csv")"

# ---- --seeds

# Random initial values and data; a checkpoint is there to go on from.
cat >"$dir/x.csv" <<EOF
x
1
2
4
EOF
cat >"$dir/seeds.mlo" <<EOF
dim N;
data train { file = "x.csv"; x : f64[N]; }
level fit {
  var w : f64[N] = normal(1);
  minimize mean((w - train.x)^2);
  optimizer = adam(lr = 0.01);
  steps = 40;
}
run main of fit { seed = 5; precision = f64; report = every(10, csv); checkpoint = every(5); }
EOF
"$MLOC" build "$dir/seeds.mlo" -o "$dir/seeds"
code 0 'over 3 of 3 seeds' "$dir/seeds" --seeds=3 --out "$dir/all"
for k in 5 6 7; do
  "$dir/seeds" -q --seed $k --out "$dir/one"
  cmp "$dir/one/final.npz" "$dir/all/seed-$k/final.npz" || fail "seed $k: another final.npz than alone"
  cmp "$dir/one/metrics.csv" "$dir/all/seed-$k/metrics.csv" || fail "seed $k: another metrics.csv than alone"
  tail -n 1 "$dir/one/metrics.csv" | cut -d, -f2 >>"$dir/losses"
done
cut -d, -f4 "$dir/all/summary.csv" | tail -n 3 | cmp - "$dir/losses" || fail "summary.csv has other losses"
# Mean and sample standard deviation, computed here.
want=$(awk '{ s += $1; q[NR] = $1 } END { m = s / NR; for (i in q) v += (q[i] - m)^2; printf "%.6g %.6g", m, sqrt(v / (NR - 1)) }' "$dir/losses")
got=$(awk '$1 == "fit.loss" { printf "%.6g %.6g", $2, $3 }' "$dir/said")
[ "$got" = "$want" ] || fail "mean and std are $got, expected $want"
grep -q '"std": [0-9]' "$dir/all/summary.json" || fail "summary.json has no std: $(cat "$dir/all/summary.json")"
code 0 'over 1 of 1 seeds' "$dir/seeds" --seeds=1 --seed 6 -q
grep -q 'fit.loss .* -$' "$dir/said" || fail "one seed has a deviation: $(cat "$dir/said")"

# Splits and batches are the same for every seed, as alone.
cat >"$dir/parts.mlo" <<EOF
dim N;
data train {
  file = "parts.csv";
  x : f64[N];
  split = parts(tr = 0.6, va = 0.4);
  batch = 2;
  shuffle = true;
}
level fit {
  var w : f64 = normal(1);
  minimize mean((w - train.tr.x)^2);
  optimizer = sgd(lr = 0.1);
  steps = 7;
  metric off on train.va = mean((w - train.va.x)^2);
}
run main of fit { seed = 5; precision = f64; report = every(1, csv); }
EOF
awk 'BEGIN { print "x"; for (i = 1; i <= 20; i++) print i * i }' >"$dir/parts.csv"
"$MLOC" build "$dir/parts.mlo" -o "$dir/parts"
code 0 'over 2 of 2 seeds' "$dir/parts" --seeds=2 --out "$dir/all-parts"
for k in 5 6; do
  "$dir/parts" -q --seed $k --out "$dir/one-part"
  cmp "$dir/one-part/final.npz" "$dir/all-parts/seed-$k/final.npz" || fail "seed $k: another final.npz than alone"
  cmp "$dir/one-part/metrics.csv" "$dir/all-parts/seed-$k/metrics.csv" || fail "seed $k: other metrics than alone"
done
[ -z "$("$dir/seeds" -q --seeds=2 --out "$dir/quiet" 2>&1)" ] || fail "quiet, and said something"

# Finished seeds are read back, an interrupted one goes on, the others run.
sed -i 's/"exit_status": 0/"exit_status": 75/' "$dir/all/seed-6/run.json"
rm "$dir/all/seed-6/final.npz" "$dir/all/seed-6/checkpoints/0000000040.npz"
rm -r "$dir/all/seed-7"
code 0 'seed 5: ok before' "$dir/seeds" --seeds=3 --out "$dir/all" --resume auto
grep -q 'resumed at step 35' "$dir/said" || fail "the interrupted seed did not go on: $(cat "$dir/said")"
cut -d, -f4 "$dir/all/summary.csv" | tail -n 3 | cmp - "$dir/losses" || fail "other losses after --resume auto"
"$dir/seeds" -q --seed 6 --out "$dir/one"
cmp "$dir/one/final.npz" "$dir/all/seed-6/final.npz" || fail "the interrupted seed: another final.npz"
code 3 'its `settings` differs' "$dir/seeds" --seeds=3 --out "$dir/all" --resume auto --set fit.optimizer.lr=0.02
code 2 'a file is of one seed' "$dir/seeds" --seeds=3 --resume x.npz
code 2 '--seeds: expected an integer from 1' "$dir/seeds" --seeds=0
code 2 'beyond 2147483647' "$dir/seeds" --seeds=3 --seed 2147483646

# One diverges: the others count. What a seed draws decides which.
cat >"$dir/lost.mlo" <<EOF
level fit {
  var w : f64[] = normal(1);
  minimize w^3;
  optimizer = sgd(lr = 0.1);
  steps = 200;
}
run main of fit { seed = 1; precision = f64; report = every(100, csv); }
EOF
code 4 'diverged' "$MLOC" run "$dir/lost.mlo" --seeds=8 --out "$dir/lost.out"
lost=$(grep -c ',diverged,' "$dir/lost.out/summary.csv")
[ "$lost" -gt 0 ] && [ "$lost" -lt 8 ] || fail "$lost of 8 seeds diverged"
grep -q "over $((8 - lost)) of 8 seeds" "$dir/said" || fail "did not count the lost ones: $(cat "$dir/said")"
grep -Eq 'seed [0-9]: diverged' "$dir/said" || fail "did not name the seed: $(cat "$dir/said")"

# Interrupted in the middle: what is done is kept, and nothing more is begun.
"$dir/seeds" -q --seeds=3 --out "$dir/term" --steps 30000000 --set fit.optimizer.lr=0 2>/dev/null &
child=$! waited=0
while [ ! -e "$dir/term/seed-5/checkpoints" ] && [ $waited -lt 1000 ]; do
  sleep 0.01
  waited=$((waited + 1))
done
kill -TERM $child
got=0
wait $child || got=$?
[ $got -eq 75 ] || fail "interrupted: exit code $got"
grep -q '^5,interrupted,' "$dir/term/summary.csv" || fail "interrupted: $(cat "$dir/term/summary.csv")"
[ ! -e "$dir/term/seed-6/run.json" ] || fail "the seed after the interrupted one was begun"

# ---- runs after others

cat >"$dir/y.csv" <<EOF
y
1
1
3
EOF
cat >"$dir/phases.mlo" <<EOF
dim N;
const other = 1;
data train { file = "x.csv"; x : f64[N]; }
data held { file = "y.csv"; y : f64[N]; }
level fit {
  var w : f64[N] = normal(1);
  minimize mean((w - train.x)^2) + 0.1 * sum(exp(search.rho) * w^2);
  optimizer = sgd(lr = 0.5);
  steps = 5;
}
level search {
  var rho : f64[N] in box(-3, 3) = 0;
  argmin fit via dense();
  minimize mean((fit.w - held.y)^2) + 0 * other;
  optimizer = adam(lr = 0.1);
  steps = 20;
}
level last {
  var v : f64[N] = 0;
  minimize sum((v - fit.w - 100 * search.rho)^2);
  optimizer = sgd(lr = 0.5);
  steps = 1;
}
run main of search { seed = 2; precision = f64; checkpoint = every(5); }
run retrain of fit after main { seed = 3; precision = f64; }
run third of last after retrain { seed = 4; precision = f64; checkpoint = every(1); report = every(1, csv); }
EOF
p=$dir/phases.mlo
"$MLOC" check "$p" >"$dir/said" || fail "check: $(cat "$dir/said")"
"$MLOC" run "$p" third -q --out "$dir/three" --verify --set search.optimizer.lr=0.05 --set other=2
# The same by hand: three executables. After one step of size 1/2, v is what the runs before it left.
for run in main retrain third; do
  "$MLOC" build "$p" --run $run -o "$dir/$run" --set search.optimizer.lr=0.05 --set other=2
done
"$dir/main" -q --out "$dir/hand/main"
code 2 'give the final.npz of `main` by --load FILE' "$dir/retrain"
"$dir/retrain" -q --out "$dir/hand/retrain" --load "$dir/hand/main/final.npz"
"$dir/third" -q --out "$dir/hand" --load "$dir/hand/retrain/final.npz"
for run in main retrain .; do
  cmp "$dir/three/$run/final.npz" "$dir/hand/$run/final.npz" || fail "run $run: by hand it is another one"
done
tail -n 1 "$dir/three/metrics.csv" | awk -F, '{ exit !($2 < 1e-20) }' || fail "third: $(cat "$dir/three/metrics.csv")"
head -n 2 "$dir/three/metrics.csv" | tail -n 1 | awk -F, '{ exit !($2 > 100) }' || fail "third began with initial values"
code 3 'expected an array `search.rho`' "$dir/third" --load "$dir/five/final.npz"
# --load by hand takes the place of the runs before; so does a finished one with --resume auto.
code 0 '1 of 1 steps' "$MLOC" run "$p" third --load "$dir/hand/retrain/final.npz"
grep -q '^run main' "$dir/said" && fail "--load, and a run before it began"
code 0 'main: finished before' "$MLOC" run "$p" third --out "$dir/three" --resume auto --set search.optimizer.lr=0.05 --set other=2
grep -q 'step' "$dir/said" && fail "finished runs were run: $(cat "$dir/said")"
mv "$dir/three" "$dir/moved" # the folder may have another name then
code 0 'retrain: finished before' "$MLOC" run "$p" third --out "$dir/moved" --resume auto --set search.optimizer.lr=0.05 --set other=2
mv "$dir/moved" "$dir/three"
rm "$dir/three/final.npz" "$dir/three/retrain/final.npz"
code 0 'step 5/5' "$MLOC" run "$p" third --out "$dir/three" --resume auto --set search.optimizer.lr=0.05 --set other=2
cmp "$dir/three/final.npz" "$dir/hand/final.npz" || fail "resumed: another final.npz"
# --steps is of the last; several seeds are not offered.
code 0 '0 of 0 steps' "$MLOC" run "$p" third --steps 0
grep -q '20 of 20 steps' "$dir/said" || fail "--steps reached a run before: $(cat "$dir/said")"
code 0 '1 of 1 steps' "$MLOC" run "$p" third --data train="$dir/x.csv" --data held="$dir/x.csv" # of the runs that read it
code 2 '--seeds: not offered' "$MLOC" run "$p" third --seeds=2
code 2 '--resume FILE: a file is of one run' "$MLOC" run "$p" third --resume "$dir/three/checkpoints/0000000001.npz"
code 1 'E0340' "$MLOC" run "$p" third --set nothing=1
code 1 'did you mean `train`' "$MLOC" run "$p" third --data trian="$dir/x.csv"
code 1 'E0340' "$MLOC" check "$p" --data nothing="$dir/x.csv"
# What another process asks of mloc reaches the run that is under way; one request may be two signals, and is one.
"$MLOC" run "$p" retrain -q --out "$dir/asked" --set search.steps=100000000 --set search.optimizer.lr=0 2>/dev/null &
child=$! waited=0
while [ ! -e "$dir/asked/main/checkpoints" ] && [ $waited -lt 1000 ]; do
  sleep 0.01
  waited=$((waited + 1))
done
kill -TERM $child
sleep 0.02
kill -TERM $child 2>/dev/null || :
got=0
wait $child || got=$?
[ $got -eq 75 ] || fail "a run before the last, interrupted: exit code $got"
grep -q '"status": "interrupted"' "$dir/asked/main/run.json" || fail "interrupted: $(cat "$dir/asked/main/run.json")"
[ ! -e "$dir/asked/run.json" ] || fail "the run after the interrupted one was begun"
# Without a run before it, a level that is not reached cannot be read.
sed 's/ after retrain//' "$p" >"$dir/lonely.mlo"
code 1 'E0322' "$MLOC" check "$dir/lonely.mlo"
echo 'run alone of fit { precision = f64; }' | cat "$p" - >"$dir/lonely.mlo"
code 1 'E0332' "$MLOC" check "$dir/lonely.mlo" # all runs are checked
"$MLOC" check --run third "$dir/lonely.mlo" || fail "a run that was not asked for is checked"
"$MLOC" emit --stage=ir --run third "$p" -o "$dir/third.ir"
grep -q '^run third of last after retrain {' "$dir/third.ir" || fail "the text does not say after what"
"$MLOC" emit --stage=ir "$dir/third.ir" | cmp - "$dir/third.ir" || fail "the text does not read back"
