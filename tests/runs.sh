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

# --resume auto: the file counts where there is no checkpoint.
code 0 'step 0/5' "$dir/load" --out "$dir/again" --load "$dir/five/final.npz" --resume auto
cmp "$dir/again/final.npz" "$dir/more/final.npz" || fail "--resume auto without a checkpoint"
code 0 'resumed at step 4' "$dir/load" --out "$dir/again" --load "$dir/five/final.npz" --resume auto
cmp "$dir/again/final.npz" "$dir/more/final.npz" || fail "--resume auto with a checkpoint"
code 3 'it began from' "$dir/load" --out "$dir/again" --load "$dir/ten/final.npz" --resume auto
