#!/bin/sh
# The rules of the house that text alone can show: who may include whom, sizes of files and functions, no unfinished
# places, no exit outside the command line. Run from the repository's root; prints each violation.
set -eu
bad=$(mktemp)
trap 'rm -f "$bad"' EXIT
rooms="frontend ir passes codegen runtime"

# note WHY: each line of input is a violation.
note() { sed "s/\$/   <- $1/" >>"$bad"; }

# arrows ROOM ALLOWED..: the quoted includes of a room name an allowed room, a file beside them, or a generated header.
# frontend/mloc.c and mloc_*.c, the command line, may include every room.
arrows() {
  room=$1
  shift
  allowed=$(echo "$@" | tr ' ' '|')
  grep -EHn '^ *# *include *"' "$room"/*.[chly] | grep -Ev '^frontend/mloc(_[a-z]+)?\.[ch]:' |
    grep -Ev "\"(($allowed)/[^/]*|parser\.tab\.h|lexer\.h|mloc_config\.h|mlo_[a-z0-9]*\.h)\"" |
    note "$room may include of: $*" || :
}
arrows ir ir
arrows frontend frontend ir
arrows passes passes ir
arrows codegen codegen ir
arrows runtime runtime

# A function is what stands between a line that starts at the left margin and the next "}" alone there.
# shellcheck disable=SC2046,SC2086 # lists of names without blanks
awk '
  FNR == 1 || /^[^ \t{}#\/*]/ { start = FNR }
  /^}$/ && FNR - start >= 80 { printf "%s:%d: a function of %d lines\n", FILENAME, start, FNR - start + 1 }
  FNR == 701 { printf "%s: more than 700 lines\n", FILENAME }
' $(find $rooms tests -name '*.[chly]' -o -name '*.def' -o -name '*.sh') | note "too long"

# shellcheck disable=SC2086
grep -EIrn '\b(TO[D]O|FIX[M]E|X[X]X)\b' $rooms tests examples .ci ./*.md CMakeLists.txt | note "unfinished" || :

# shellcheck disable=SC2086
grep -EHn '^[^"]*\b_?exit *\(' $(find $rooms -name '*.[chly]') |
  grep -Ev '^frontend/(mloc|driver)\.c:|//|/\*|^[^:]*:[0-9]*: *\*' | note "exit in library code" || :

cat "$bad"
[ ! -s "$bad" ]
