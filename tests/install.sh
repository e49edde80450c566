#!/bin/sh
# An installed mloc needs neither its source nor its build folder, and works from any directory, also after the
# installation has moved.
#   tests/install.sh BUILD_DIR
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/second"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
cat >line.mlo <<'END'
level fit {
  var w : f32[3] = zeros;
  minimize sum((w - 1)^2);
  optimizer = sgd(lr = 0.25);
  steps = 20;
}

run main of fit { seed = 0; }
END
XDG_CACHE_HOME=$work/cache
export XDG_CACHE_HOME
"$work/second/bin/mloc" run line.mlo --progress=none --out first
"$work/second/bin/mloc" build line.mlo -o line
rm -rf "$work/second"
./line --progress=none --out second
[ -s first/final.npz ] && [ -s second/final.npz ]
