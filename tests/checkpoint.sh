#!/bin/sh
# Runs that are killed and go on: `kill -9` at random moments, then --resume auto, must end in the same final.npz and
# metrics.csv as an undisturbed run. Then interruption, checkpoints of another run, damaged ones, a folder that cannot be
# written, and how many stay. Run from the repository's root with MLOC set; KILLS is how often each program is killed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
kills=${KILLS:-20}

fail() {
  echo "checkpoint: $*" >&2
  exit 1
}

# program NAME PRECISION METHOD OPTIMIZER STEPS SETTING: about a second; initial values are random, so that the seed matters
program() {
  cat >"$dir/$1.mlo" <<EOF
const strength = 1e-2;

level fit {
  var w : $2[60] = normal(0.1);
  minimize sum((exp(0.1 * w) - 0.2 * iota(60) / 60)^2) + strength * sum(exp(tune.rho) * w^2);
  optimizer = $4(lr = 0.01 * warmup(40));
  steps = 10;
}

level tune {
  var rho : $2[60] in box(-8, 4) = -2;
  argmin fit via $3;
  minimize mean((fit.w - 0.1)^2);
  optimizer = adam(lr = 0.05 * cosine($5, end = 0.1));
  steps = $5;
}

run main of tune {
  seed = 3;
  precision = $2;
  report = every(7, csv);
  checkpoint = every(5, keep = 3);
  $6
}
EOF
  "$MLOC" build "$dir/$1.mlo" -o "$dir/$1"
}

# batched NAME STEPS: shuffled batches of both levels and random numbers, which a resumed run must draw on
batched() {
  awk 'BEGIN { OFS = ","; print "x0,x1,y"; for (i = 0; i < 100; i++) print sin(i), cos(3 * i), sin(2 * i) }' >"$dir/d.csv"
  cat >"$dir/$1.mlo" <<EOF
dim N;
data d { file = "d.csv"; x : f32[N, 2]; y : f32[N]; batch = 8; shuffle = true; }

level fit {
  var w : f32[2] = zeros;
  var choice : f32[2] = normal(0.1);
  let mixed = d.x * gumbel_softmax(choice);
  minimize mean(exp(0.1 * tune.a[index(d)]) * (mixed @ w - d.y)^2) + 0.1 * sum(choice^2);
  optimizer = adam(lr = 0.01);
  steps = 10;
}

level tune {
  var a : f32[N] in box(-8, 4) = 0;
  argmin fit via neumann(terms = 3, alpha = 0.1);
  minimize mean((d.x @ fit.w - d.y)^2);
  optimizer = adam(lr = 0.05);
  steps = $2;
}

run main of tune { seed = 3; report = every(7, csv); checkpoint = every(5, keep = 3); }
EOF
  "$MLOC" build "$dir/$1.mlo" -o "$dir/$1"
}

# modules NAME STEPS: modules with running statistics, dropout, parts of a source in batches, a copied start after every restart,
# the best report, metrics and outputs over all rows
modules() {
  awk 'BEGIN { OFS = ","; print "x0,x1,x2,y"; for (i = 0; i < 40; i++) print sin(i), cos(3 * i), sin(2 * i + 1), cos(i) }' >"$dir/m.csv"
  cat >"$dir/$1.mlo" <<EOF
dim N;
data d { file = "m.csv"; x : f32[N, 3]; y : f32[N]; batch = 8; shuffle = true; split = parts(tr = 0.6, va = 0.4, seed = 2); }

module encoder[I, H](x : f32[.., I]) -> f32[.., H] {
  var first = linear[I, H];
  var centre = batchnorm[H];
  return tanh(centre(first(x)));
}

level pretrain {
  var enc = encoder[3, 5];
  var back = linear[5, 3];
  minimize mean((back(dropout(enc(d.tr.x), 0.1)) - d.tr.x)^2) + 1e-3 * sum(exp(tune.rho) * norm2(enc));
  optimizer = adam(lr = 0.01);
  steps = 2;
}

level fit {
  var enc = encoder[3, 5];
  var head = mlp[5, 4, 1];
  state seen : f32 = 0 next seen + 1;
  init = copy(enc, pretrain.enc);
  restart = fresh;
  argmin pretrain via identity(scale = 0.1);
  let guess = squeeze(head(dropout(enc(d.tr.x), 0.2)), 1);
  minimize mean(exp(tune.a[index(d.tr)]) * (guess - d.tr.y)^2) + 0.1 * dist2(enc, pretrain.enc);
  optimizer = sgd(lr = 0.01 * cosine(20), momentum = 0.9);
  steps = 3;
}

level tune {
  var a : f32[N] in box(-1, 1) = normal(0.1);
  var rho : f32 = 0;
  argmin fit via cg(iters = 3, damping = 0.1);
  minimize mean((squeeze(fit.head(fit.enc(d.va.x)), 1) - d.va.y)^2);
  optimizer = adam(lr = 0.05 * warmup(20));
  steps = $2;
  metric miss on d.va = mean((squeeze(fit.head(fit.enc(d.va.x)), 1) - d.va.y)^2);
  metric steps_of_fit = fit.seen;
  output p on d = squeeze(fit.head(fit.enc(d.x)), 1);
}

run main of tune { seed = 3; report = every(7, csv); eval = every(5); checkpoint = every(5, keep = 3); keep_best = min(miss); }
EOF
  "$MLOC" build "$dir/$1.mlo" -o "$dir/$1"
}

same() {
  cmp "$dir/$1/final.npz" "$dir/$2/final.npz" || fail "$2: another final.npz"
  cmp "$dir/$1/metrics.csv" "$dir/$2/metrics.csv" || fail "$2: another metrics.csv"
}

# moment MS: within so many milliseconds, from bytes of the kernel.
moment() { od -An -N2 -tu2 /dev/urandom | awk -v ms="$1" '{ printf "%.4f", $1 % 1000 * ms / 1e6 }'; }

# One process is killed at each moment, or ends before it; a third of them must have been killed.
killed() {
  begin=$(date +%s%N)
  "$dir/$1" -q --out "$dir/$1.whole"
  span=$((($(date +%s%N) - begin) / 3000000)) # a third of what it takes, so that some fall into a resumed run
  i=0 hit=0
  while [ $i -lt "$kills" ]; do
    "$dir/$1" -q --out "$dir/$1.killed" --resume auto &
    child=$! got=0
    sleep "$(moment $span)"
    kill -9 $child 2>/dev/null || :
    wait $child 2>/dev/null || got=$?
    [ $got -eq 0 ] || [ $got -eq 137 ] || fail "$1: exit code $got of a run that was killed"
    [ $got -eq 0 ] || hit=$((hit + 1))
    # Once it has ended, another one from the start.
    if [ $got -eq 0 ]; then
      same "$1.whole" "$1.killed"
      rm -rf "$dir/$1.killed"
    fi
    i=$((i + 1))
  done
  "$dir/$1" -q --out "$dir/$1.killed" --resume auto
  same "$1.whole" "$1.killed"
  [ "$(ls "$dir/$1.whole/checkpoints" | wc -l)" -eq 3 ] || fail "$1: not three checkpoints"
  # A kill between the last one and the removal of the oldest leaves one more.
  [ "$(ls "$dir/$1.killed/checkpoints" | wc -l)" -le 4 ] || fail "$1: more than four checkpoints"
  [ $((3 * hit)) -ge "$kills" ] || fail "$1: $hit of $kills runs were killed"
}

# code WANTED TEXT COMMAND..: the exit code and a part of what it says
code() {
  wanted=$1 text=$2 got=0
  shift 2
  "$@" >"$dir/said" 2>&1 || got=$?
  [ $got -eq "$wanted" ] || fail "exit code $got, expected $wanted: $* ($(cat "$dir/said"))"
  grep -qF -- "$text" "$dir/said" || fail "did not say \`$text\`: $(cat "$dir/said")"
}

program cg32 f32 'cg(iters = 20)' adam 900 'keep_best = max(tune.loss);' # that of the first report
program cg64 f64 'cg(iters = 20)' sgd 900 ''
program dense32 f32 'dense()' adam 900 'keep_best = min(tune.loss);'
program dense64 f64 'dense()' adam 900 ''
batched batched 1500
modules modules 900
for p in cg32 cg64 dense32 dense64 batched modules; do killed $p; done

# SIGTERM: a checkpoint, exit code 75; then on, with as many steps as the undisturbed run. The signal comes when the first
# checkpoint shows that the run is under way; it has more steps than it could take until then.
p=$dir/dense64
"$p" -q --out "$dir/term" --steps 1000000 &
child=$!
while [ ! -e "$dir/term/checkpoints" ]; do sleep 0.01; done
kill -TERM $child
got=0
wait $child || got=$?
[ $got -eq 75 ] || fail "interrupted: exit code $got"
step=$(ls "$dir/term/checkpoints" | tail -n 1 | sed 's/^0*//; s/[.].*//')
step=$((step + 30))
"$p" -q --out "$dir/whole" --steps $step
code 0 'resumed at step' "$p" --out "$dir/term" --resume auto --steps $step
same whole term

# One run at a time in a folder; what a killed one held is free at once.
"$p" -q --out "$dir/taken" --steps 1000000 &
child=$!
while [ ! -e "$dir/taken/checkpoints" ]; do sleep 0.01; done
code 2 'another run is at work there' "$p" --out "$dir/taken" --steps 5
code 2 'another run is at work there' "$p" --out "$dir/taken" --resume auto
code 2 'another run is at work there' "$p" --out "$dir/taken" --seeds=2 --steps 5
kill -9 $child
wait $child 2>/dev/null || :
code 0 'step' "$p" --out "$dir/taken" --steps 5

# The run before it had fewer steps; a file by its name.
"$p" -q --out "$dir/short" --steps 100
code 0 'resumed at step 100' "$p" --out "$dir/long" --resume "$dir/short/checkpoints/0000000100.npz"
cmp "$dir/long/final.npz" "$dir/dense64.whole/final.npz" || fail "continued: another final.npz"

# Another run's.
code 3 'setting `strength` was' "$p" --out "$dir/short" --resume auto --set strength=0.5
code 3 'seed was 3 and is 4' "$p" --out "$dir/short" --resume auto --seed 4
code 3 'beyond the 50 steps' "$p" --out "$dir/short" --resume auto --steps 50
code 3 'its program is' "$dir/cg64" --out "$dir/short" --resume auto
code 3 'has another type or shape' "$dir/cg32" --out "$dir/short" --resume auto
[ -e "$dir/short/final.npz" ] || fail "a resume that failed removed the results"

# Damaged: one byte in the middle of the last, half of the one before it.
last=$dir/short/checkpoints/0000000100.npz
size=$(wc -c <"$last")
printf '\377' | dd of="$last" bs=1 seek=$((size / 3)) conv=notrunc 2>/dev/null
code 3 '0000000100.npz' "$p" --out "$dir/other" --resume "$last"
code 0 'resumed at step 95' "$p" --out "$dir/short" --resume auto --steps 96
truncate -s $((size / 2)) "$last"
cp "$last" "$dir/short/checkpoints/0000000095.npz"
code 0 'resumed at step 90' "$p" --out "$dir/short" --resume auto --steps 91
code 0 'warning: ' "$p" --out "$dir/short" --resume auto --steps 92

# A folder that cannot be made: the run goes on and says so once.
mkdir "$dir/full"
: >"$dir/full/checkpoints"
code 0 'warning: no checkpoint at step 5' "$p" --out "$dir/full"
[ "$(grep -c warning "$dir/said")" -eq 1 ] || fail "more than one warning"
cmp "$dir/full/final.npz" "$dir/dense64.whole/final.npz" || fail "without checkpoints: another final.npz"

# What is not finite is never written; the good ones stay.
cat >"$dir/nan.mlo" <<EOF
level fit {
  var w : f32[3] = 0.5;
  minimize -sum(w^4);
  optimizer = sgd(lr = 0.1);
  steps = 400;
}
run main of fit { report = every(50, csv); checkpoint = every(2, keep = 2); }
EOF
"$MLOC" build "$dir/nan.mlo" -o "$dir/nan"
code 4 'is not finite after step' "$dir/nan" --out "$dir/nan.out"
grep -qF 'diverged: level `fit`, step 50: metric `fit.loss` is NaN; the report of step 0 was finite; the last checkpoint is of step 1' "$dir/said" || fail "diverged: $(cat "$dir/said")"
code 4 'resumed at step 10' "$dir/nan" --out "$dir/nan.out" --resume auto

# w doubles in each step: it is finite at step 70, and its square is not. The checkpoint before stays, though one is kept.
cat >"$dir/grow.mlo" <<EOF
level fit {
  var w : f32[3] = 1;
  minimize norm2(w);
  optimizer = sgd(lr = 1.5);
  steps = 400;
}
run main of fit { report = every(10, csv); checkpoint = every(10, keep = 1); }
EOF
code 4 'step 70: metric `fit.loss` is +inf; the report of step 60 was finite; the last good checkpoint is of step 60' \
  "$MLOC" run "$dir/grow.mlo" --out "$dir/grow.out"
code 0 'resumed at step 60' "$MLOC" run "$dir/grow.mlo" --out "$dir/grow.out" --resume "$dir/grow.out/checkpoints/0000000060.npz" --steps 62

# Without a folder, and with nothing to go on with.
code 0 'without --out there are no checkpoints' "$p" --steps 3
code 0 'step' "$p" --out "$dir/new" --resume auto --steps 3
code 2 'expected --out' "$p" --resume auto
