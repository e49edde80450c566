#!/bin/sh
# One golden case: run.sh MLOC CASE. The first line of the case holds its command,
#
#   // RUN: mloc check %s => 1
#
# with the case's file for %s, a scratch file for %t and, after =>, the expected exit code (0 without).
# What the command prints must be what stands in CASE.out and CASE.err, byte by byte; where there is
# no such file, nothing may be printed. UPDATE=1 writes these files instead.
set -u
mloc=$1
case=$2
folder=$(dirname "$case")
file=$(basename "$case")
base=${file%.*}
line=$(head -n 1 "$case")
command=$(printf '%s\n' "$line" | sed -n 's|^[^R]*RUN: *mloc \(.*\)$|\1|p')
code=0
case $command in
  *'=>'*) code=${command##*=>}; command=${command%%=>*} ;;
esac
if [ -z "$command" ]; then
  echo "$case: the first line has no RUN: command" >&2
  exit 2
fi
out=$(mktemp -d) || exit 2
trap 'rm -rf "$out"' EXIT
cd "$folder" || exit 2
eval "set -- $(printf '%s' "$command" | sed "s|%s|$file|g; s|%t|$out/made|g")"
"$mloc" "$@" > "$out/out" 2> "$out/err" < /dev/null
got=$?
failed=0
if [ "$got" -ne "$code" ]; then
  echo "$case: exit code $got, expected $code" >&2
  cat "$out/err" >&2
  failed=1
fi
for kind in out err; do
  if [ "${UPDATE:-0}" = 1 ]; then
    if [ -s "$out/$kind" ]; then cp "$out/$kind" "$base.$kind"; else rm -f "$base.$kind"; fi
  elif [ -e "$base.$kind" ]; then
    diff -u "$base.$kind" "$out/$kind" || failed=1
  elif [ -s "$out/$kind" ]; then
    echo "$case: unexpected output on std$kind:" >&2
    cat "$out/$kind" >&2
    failed=1
  fi
done
exit $failed
