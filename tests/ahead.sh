#!/bin/sh
# Batches of large sources are read ahead: the runtime knows their rows, and results do not depend on whether it comes in
# time. Run from the repository's root with MLOC set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "ahead: $*" >&2
  exit 1
}

# zeros ROWS WIDTH: an array of f32 in d.npy
zeros() {
  {
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($1, $2), }"
    head -c $((4 * $1 * $2)) /dev/zero
  } >"$dir/d.npy"
}
zeros 1031 1024

cat >"$dir/d.mlo" <<'MLO'
dim N;
data plain { file = "d.npy"; x : f32[N, 1024]; batch = 100; }
data mixed { file = "d.npy"; x : f32[N, 1024]; batch = 64; shuffle = true; }
data kept { file = "d.npy"; x : f32[N, 1024]; batch = 100; shuffle = true; partial = keep; }
data parted { file = "d.npy"; x : f32[N, 1024]; batch = 90; shuffle = true; partial = keep;
  split = parts(tr = 0.6, va = 0.4); }
data unread { file = "d.npy"; x : f32[N, 1024]; batch = 7; }
level fit {
  var c : f32[N] = normal(1);
  let all = mean(c[index(plain)]^2 + plain.x[.., 0]) + mean(c[index(mixed)]^2 + mixed.x[.., 0])
    + mean(c[index(kept)]^2 + kept.x[.., 0]) + mean(unread.x);
  minimize all;
  optimizer = sgd(lr = 0.1);
  steps = 2;
  metric r0 = mean(f64(index(plain))^3 + index(plain));
  metric r1 = mean(f64(index(mixed))^3 + index(mixed));
  metric r2 = mean(f64(index(kept))^3 + index(kept));
}
level tune {
  var s : f32[N] = normal(1);
  argmin fit via identity;
  minimize mean(s[index(parted.tr)]^2 * fit.c[index(parted.tr)] + parted.tr.x[.., 1])
    + mean(fit.c[index(parted.va)]^2 + s[index(parted.va)]^2 + parted.va.x[.., 1]);
  optimizer = sgd(lr = 0.1);
  steps = 40;
  metric r3 = mean(f64(index(parted.tr))^3 + index(parted.tr));
  metric r4 = mean(f64(index(parted.va))^3 + index(parted.va));
}
run main of tune { precision = f64; report = every(1, csv); seed = 3; checkpoint = every(10); }
MLO

# The textual form has the cursors, and the verifier knows what they are.
"$MLOC" emit --stage=level_order "$dir/d.mlo" >"$dir/d.ir"
"$MLOC" emit --stage=level_order --verify "$dir/d.ir" | cmp - "$dir/d.ir" || fail "another text after reading it"
[ "$(sed -n 's/^  cursor //p' "$dir/d.ir" | tr '\n' ' ')" = "plain stream 0; mixed stream 1; kept stream 2 keep; \
parted of parted.tr.rows stream 4 keep; parted of parted.va.rows stream 5 keep; " ] || fail "$(grep cursor "$dir/d.ir")"
# wrong SED EXPECTED: the edited text is refused
wrong() {
  sed "$1" "$dir/d.ir" >"$dir/wrong.ir"
  "$MLOC" emit --stage=level_order "$dir/wrong.ir" >"$dir/out" 2>"$dir/err" && fail "$1 is accepted"
  grep -q "$2" "$dir/err" || fail "$1: $(cat "$dir/err")"
}
wrong 's/of parted.tr.rows stream/of kept.x stream/' 'kept.x. is no part of .parted'
wrong 's/cursor plain stream/cursor plane stream/' 'unknown source .plane'
wrong 's/^  cursor plain stream/  cursor plain of parted.va.rows stream/' 'is no part of .plain'
wrong 's/rows 1031 batch 100/rows 1031/' 'has no such batches'

"$MLOC" build --show-cc "$dir/d.mlo" -o "$dir/d" 2>"$dir/cc"
"$MLOC" emit "$dir/d.mlo" -o "$dir/d.c"
[ "$(grep -c '^  {[01], .*, spans' "$dir/d.c")" = 5 ] || fail "other cursors: $(grep spans "$dir/d.c")"
# The compiler's command, with check.c in the place of the program.
sed -n "s|-o [^ ]* [^ ]*[.]c |-I$PWD -DGENERATED='\"$dir/d.c\"' -Wl,--wrap=mlo_drawn,--wrap=mlo_report -o $dir/check $PWD/tests/ahead/check.c |p" "$dir/cc" >"$dir/cc.sh"
[ -s "$dir/cc.sh" ] || fail "no command of the compiler: $(cat "$dir/cc")"
sh "$dir/cc.sh"

# check LEAST OPTIONS...: runs it, and at least so many rows were right
check() {
  least=$1
  shift
  said=$("$dir/check" --quiet "$@" 2>&1 | tail -n 1)
  [ "${said%% rows compared}" -ge "$least" ] || fail "$*: $said"
}
check 15000 --out "$dir/full"
check 30000 --seeds 2 --out "$dir/seeds"
cmp "$dir/full/final.npz" "$dir/seeds/seed-3/final.npz" || fail "another result with --seeds"
check 8000 --resume "$dir/full/checkpoints/0000000020.npz" --out "$dir/rest"
cmp "$dir/full/final.npz" "$dir/rest/final.npz" || fail "another result after --resume"

# Whether the draw gathers the rows or each function does that reads them, they are the same.
"$MLOC" build --passes=-batches "$dir/d.mlo" -o "$dir/each" 2>"$dir/err" || fail "$(cat "$dir/err")"
"$MLOC" emit --stage=batches "$dir/d.mlo" | grep -q '^  return fit.draw.mixed.x = ' || fail "no draw gathers rows"
"$dir/each" --quiet --out "$dir/each.out"
cmp "$dir/full/final.npz" "$dir/each.out/final.npz" || fail "another result where each function gathers rows"

# With one processor there is no thread to read ahead, and all is the same.
taskset -c "$(taskset -cp $$ | sed 's/.*: //;s/[-,].*//')" "$dir/d" --quiet --threads 1 --out "$dir/alone" 2>"$dir/err"
cmp "$dir/full/final.npz" "$dir/alone/final.npz" || fail "another result where nothing is read ahead"
ahead=$("$dir/d" --threads 1 --verbose 2>&1 >"$dir/out" | sed -n 's/.*: \([0-9]*\) rows were read ahead/\1/p')
if [ "$(nproc)" -gt 1 ]; then
  [ "${ahead:-0}" -gt 0 ] || fail "nothing was read ahead"
fi
