#!/bin/sh
# Every program of examples/ compiles and runs a few steps, with poisoned memory to the same numbers; on one split the
# main job of ridge_digits beats the best single L2 of its sweep in test accuracy and in test loss, and with 40% wrong labels
# the learned weights of reweight_digits beat all of its baselines.
#   MLOC=path/to/mloc tests/examples.sh
set -eu
cd "$(dirname "$0")/../examples"
MLOC=$(realpath "$MLOC")
export MLOC
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Data that a package of the system installs may be missing; the programs that read it are checked without it.
installed() {
  # shellcheck disable=SC2013 # names without blanks
  for file in $(sed -n 's|^ *file = "\(/[^"]*\)";.*|\1|p' "$1"); do
    [ ! -e "$file" ] || continue
    "$MLOC" check "$1" || exit
    echo "skipped $1: no $file (its README.md says which package has it)"
    return 1
  done
}
# Memory that is filled with NaN as soon as the plan calls it dead changes no number.
for program in */*.mlo ../tests/golden/inspect/trilevel.mlo; do
  "$MLOC" fmt --check "$program"
  if ! installed "$program"; then continue; fi
  "$MLOC" run "$program" --steps 3 --progress=none --out "$work/plain"
  "$MLOC" run --poison "$program" --steps 3 --quiet --out "$work/poison"
  for file in metrics.csv final.npz; do cmp "$work/plain/$file" "$work/poison/$file"; done
  rm -r "$work/plain" "$work/poison"
done
./ridge_digits/run.sh 0 | awk -F'|' '
  { print }
  /per feature/ { loss = $4 + 0; acc = $5 + 0 }
  /best single/ { n++; if (!(loss < $4 + 0 && acc > $5 + 0)) bad = 1 }
  END { exit bad || n != 2 }'
./reweight_digits/run.sh 0 | awk -F'|' '
  { print }
  /^$/ { exit } # the table of 60% follows
  /^. (noisy|clean)/ { plain++; if ($3 + 0 > best) best = $3 + 0 }
  /^. weighted/ { weighted++; if ($3 + 0 <= best) bad = 1 }
  END { exit bad || weighted != 2 || plain != 4 }'
