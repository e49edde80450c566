#!/bin/sh
# The programs of a page run as it shows them. Fenced blocks whose info string names a file ("```mlo line.mlo",
# "```csv line.csv", "```text line.err") are written into an empty folder; there every .mlo must be in canonical format,
# pass `check` and run, or, where a .err stands beside it, be rejected with exactly that text.
#   MLOC=path/to/mloc tests/readme.sh README.md
set -eu
page=$(realpath "$1")
mloc=$(realpath "$MLOC")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
awk '
  file != "" && /^```/ { close(file); file = ""; next }
  file != "" { print > file; next }
  /^```[a-z]+ [A-Za-z0-9_]+\.(mlo|csv|err)$/ { file = $2; printf "" > file }
' "$page"

bad=0 programs=0
fail() { echo "$1"; bad=1; }
for program in *.mlo; do
  [ -e "$program" ] || break
  name=${program%.mlo} programs=$((programs + 1))
  if [ -e "$name.err" ]; then
    if "$mloc" check "$program" 2>"$name.got"; then fail "$program: should be rejected"; fi
    diff "$name.err" "$name.got" || fail "$program: says something else"
    continue
  fi
  "$mloc" fmt --check "$program" || fail "$program: not in canonical format"
  "$mloc" check "$program" || { fail "$program: check"; continue; }
  "$mloc" run "$program" --progress=none --out "$name.run" || { fail "$program: run"; continue; }
  [ -s "$name.run/final.npz" ] && [ -s "$name.run/metrics.csv" ] || fail "$program: no results"
done
echo "$programs programs"
[ "$programs" -gt 0 ] && [ "$bad" = 0 ]
