#!/bin/sh
# Every program of examples/ compiles and runs a few steps; on one split the main job beats the best single L2 of its
# sweep in test accuracy and in test loss.
#   MLOC=path/to/mloc tests/examples.sh
set -eu
cd "$(dirname "$0")/../examples"
MLOC=$(realpath "$MLOC")
export MLOC
for program in */*.mlo; do
  "$MLOC" fmt --check "$program"
  "$MLOC" run "$program" --steps 3 --progress=none
done
./ridge_digits/run.sh 0 | awk -F'|' '
  { print }
  /per feature/ { loss = $4 + 0; acc = $5 + 0 }
  /best single/ { n++; if (!(loss < $4 + 0 && acc > $5 + 0)) bad = 1 }
  END { exit bad || n != 2 }'
