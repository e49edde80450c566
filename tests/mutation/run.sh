#!/bin/bash
# Mutation tests: every derivative of the op table with its sign flipped, and every sign of the Lagrangian, must make
# a test fail. Usage: run.sh SOURCE_DIR [CC]. Prints one line for each mutant that survives, then a count.
set -u
src=$1 cc=${2:-cc}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
cd "$src" || exit 2
flags=(-std=gnu11 -O1 -w -I. -I"$tmp")
compile() { "$cc" "${flags[@]}" -c "$1" -o "$2"; }

for f in ir/{arena,derive,diag,eval,eval_random,graph,kernel,op,op_bulk,op_views,program,schema,type}.c tests/support/{cases,interp,build}.c \
  passes/{calculus,differences,differentiate,update,expand,simplify,dead_code,hoist,linear,edge_metrics,level_order,check_grad}.c \
  tests/unit/test_ops.c tests/oracles/test_{calculus,differences}.c; do
  compile "$f" "$tmp/$(basename "$f" .c).o" || exit 2
done
cd "$tmp" || exit 2
ops="arena.o derive.o diag.o eval.o eval_random.o graph.o op_bulk.o op_views.o program.o schema.o type.o cases.o interp.o build.o"
rest="update.o simplify.o dead_code.o hoist.o kernel.o linear.o edge_metrics.o level_order.o check_grad.o"
link() { "$cc" "$@" -lcmocka -lm -o "$name.exe"; }
verdict() { # a mutant survives when the test still passes; a crash or a hang is a death
  if [ ! -x "$name.exe" ]; then echo "broken: $name does not link"; elif timeout 60 "./$name.exe" >/dev/null 2>&1; then echo "survives: $name"; else echo "dead: $name"; fi
  rm -f "$name".*
}

# One row of op.c's table at a time: the named function is replaced by its negative.
mutate_table() { # NAME FUNCTION PARAMETERS ARGUMENTS
  name=$1
  { sed '/^static const OpInfo ops/,$d; /^#define MAP1(name, text, dx, lo, hi, flags) *\\$/,$d' "$src/ir/op.c"
    echo "static Node *mutant($3) { Node *r = $2($4); return r ? ir_neg(G, r) : r; }"
    echo "#define $2 mutant"
    sed -n '/^#define MAP1(name, text, dx, lo, hi, flags) *\\$/,$p' "$src/ir/op.c"; } >"$name.c"
  cc_out=$("$cc" "${flags[@]}" -I"$src" -c "$name.c" -o "$name.o" 2>&1) || { echo "broken: $name: $cc_out"; return; }
  link "$name.o" test_ops.o $ops
  verdict
}

# A line of a file of passes, changed by sed; the rest of the file as it is. TEST names the oracle that must notice.
mutate_line() { # NAME FILE TEST SED
  name=$1
  sed "$4" "$src/passes/$2.c" >"$name.c"
  if cmp -s "$name.c" "$src/passes/$2.c"; then echo "broken: $name changes nothing"; return; fi
  "$cc" "${flags[@]}" -I"$src" -c "$name.c" -o "$name.o" || { echo "broken: $name"; return; }
  local others=
  for f in calculus differences differentiate expand; do [ "$f" = "$2" ] || others="$others $f.o"; done
  link "$name.o" $others "test_$3.o" op.o $ops $rest
  verdict
}

export -f mutate_table mutate_line link verdict
export src cc tmp ops rest
export FLAGS="${flags[*]}"
{
  sed -n 's/^MAP1(\([a-z0-9_]*\),.*/\1/p' "$src/ir/op.def" | grep -vxE 'sign|floor|round|not|stop|shift' |
    while read -r op; do echo "mutate_table partial0_$op partial0_$op 'Graph *G, Node *x, Node *z, Node *y' 'G, x, z, y'"; done
  sed -n 's/^MAP2(\([a-z0-9_]*\),.*/\1/p' "$src/ir/op.def" | grep -vxE 'idiv|lt|le|eq|ne|and|or' |
    while read -r op; do for k in 0 1; do
      echo "mutate_table partial${k}_$op partial${k}_$op 'Graph *G, Node *x, Node *z, Node *y' 'G, x, z, y'"; done; done
  sed -n 's/^Node \*\(vjp_[a-z_]*\)(.*/\1/p' "$src/ir/op_bulk.c" "$src/ir/op_views.c" |
    while read -r f; do echo "mutate_table $f $f 'Graph *G, Node *n, Node *ct, int k' 'G, n, ct, k'"; done
  sed -n 's/^Node \*\(jvp_[a-z_]*\)(.*/\1/p' "$src/ir/op_bulk.c" "$src/ir/op_views.c" |
    while read -r f; do echo "mutate_table $f $f 'Graph *G, Node *n, Node *const *t' 'G, n, t'"; done
  echo "mutate_line lagrangian_mu calculus calculus 's/cot\[at++\] = mu->leaf\[k\];/cot[at++] = ir_neg(c->graph, mu->leaf[k]);/'"
  echo "mutate_line lagrangian_objective calculus calculus 's/cot\[0\] = ir_num(c->graph, l->objective, 1);/cot[0] = ir_num(c->graph, l->objective, -1);/'"
  echo "mutate_line rhs_mu differentiate calculus 's/cot\[at++\] = ir_neg(g, mu->leaf\[j\]);/cot[at++] = mu->leaf[j];/'"
  echo "mutate_line rhs_objective differentiate calculus 's/cot\[0\] = ir_num(g, l->objective, -1);/cot[0] = ir_num(g, l->objective, 1);/'"
  echo "mutate_line maximize calculus calculus 's/if (l->level->maximize) l->objective/if (!l->level->maximize) l->objective/'"
  echo "mutate_line differences_weight differences differences 's/sign > 0 ? weight : minus;/sign > 0 ? minus : weight;/'"
  echo "mutate_line differences_half differences differences 's/ir_scale(g, radius, 2)/radius/'"
  echo "mutate_line differences_side differences differences 's/direction, ir_neg(g, h))/direction, h)/'"
  echo "mutate_line differences_stop differences differences 's/== OP_stop/== OP_argmax/'"
  echo "mutate_line differences_zero differences differences 's/ir_select(g, some, ir_div(g, radius, size), zero)/ir_div(g, radius, size)/'"
  echo "mutate_line differences_mask differences differences 's/u->mask.k. ? ir_mul(g, u->mask.k., mu->leaf.k.) : //'"
  echo "mutate_line differences_rhs_mask differentiate differences 's/if (mask.i. && out.i.)/if (0)/'"
  echo "mutate_line sama_sign expand differences 's/ir_neg(g, storage_read(g, s->rhs))/storage_read(g, s->rhs)/'"
  echo "mutate_line differences_rhs differentiate differences 's/differences_push(c, l, i, -1,/differences_push(c, l, i, 1,/'"
  echo "mutate_line differences_level differentiate differences 's/|| !owner->nu) return true/|| owner->nu) return true/'"
} >list
xargs -P 2 -d '\n' -I{} bash -c 'flags=($FLAGS); {}' <list >result
grep -v '^dead' result
dead=$(grep -c '^dead' result) all=$(wc -l <list)
echo "$dead of $all mutants die"
[ "$dead" = "$all" ] && [ "$all" -gt 50 ]
