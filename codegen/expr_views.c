/* What views, leaves and gathers do to indices: one function an operation, in a table. */
#include <string.h>

#include "codegen/expr_impl.h"
#include "ir/op.h"

typedef Val ViewFn(Emit *e, const Node *n, const Pos *ix, int guard);

static Val zero(Emit *e, DType d) { return (Val){emit_literal(e, d, 0), 0}; }

/* value where the guard holds, otherwise elsewhere */
static Val choose(Emit *e, DType d, int guard, int parent, Val value, Val elsewhere) {
  if (guard == parent) return value;
  const Guard *g = &e->guard[guard - 1];
  int depth = g->depth > value.depth ? g->depth : value.depth;
  if (elsewhere.depth > depth) depth = elsewhere.depth;
  return emit_local(e, d, depth,
                    arena_printf(e->arena, "%s ? %s : %s", g->text, value.text, elsewhere.text));
}

static Val view_iota(Emit *e, const Node *n, const Pos *ix, int guard) {
  (void)guard;
  int depth = 0;
  const char *text = emit_aff(e, ix->e[n->attr.i[0]], &depth);
  return emit_local(e, DT_I32, depth, arena_printf(e->arena, "(int32_t)(%s)", text));
}

/* Counter-based: the element's number alone tells its value. */
static Val view_random(Emit *e, const Node *n, const Pos *ix, int guard) {
  Pos scalar = {0};
  Val seed = emit_node(e, n->in[0], &scalar, guard), step = emit_node(e, n->in[1], &scalar, guard);
  int depth = seed.depth > step.depth ? seed.depth : step.depth;
  const char *at = emit_aff(e, emit_linear(n->type, ix), &depth);
  const char *name = n->attr.i[0] == RANDOM_NORMAL ? "normal" : "uniform";
  e->random = true;
  return emit_local(e, n->type.dtype, depth,
                    arena_printf(e->arena,
                                 "mlo_%s%s((uint32_t)%s, %lluu, (uint64_t)%s, (uint64_t)(%s))",
                                 name, n->type.dtype == DT_F32 ? "f" : "", seed.text,
                                 (unsigned long long)(uint32_t)n->attr.i[1], step.text, at));
}

static Val view_shuffle(Emit *e, const Node *n, const Pos *ix, int guard) {
  Pos scalar = {0};
  Val seed = emit_node(e, n->in[0], &scalar, guard), epoch = emit_node(e, n->in[1], &scalar, guard);
  Val at = emit_node(e, n->in[2], ix, guard);
  int depth = seed.depth > epoch.depth ? seed.depth : epoch.depth;
  e->random = true;
  return emit_local(e, DT_I32, depth > at.depth ? depth : at.depth,
                    arena_printf(e->arena,
                                 "mlo_shuffle((uint32_t)%s, %lluu, (uint32_t)%s, %lluu, %s)",
                                 seed.text, (unsigned long long)(uint32_t)n->attr.i[1], epoch.text,
                                 (unsigned long long)n->attr.i[0], at.text));
}

static Val view_cast(Emit *e, const Node *n, const Pos *ix, int guard) {
  Val x = emit_node(e, n->in[0], ix, guard);
  DType d = n->type.dtype;
  DType from = n->in[0]->type.dtype;
  if (from == d) return x;
  if (d == DT_I32 && dtype_is_float(from))
    return emit_local(e, d, x.depth,
                      arena_printf(e->arena, "mlo_i32%s(%s)", from == DT_F32 ? "f" : "", x.text));
  const char *value = arena_printf(e->arena, "(%s)%s", e->target->type[d], x.text);
  if (d == DT_BOOL)
    value = arena_printf(e->arena, "%s != 0", x.text);
  else if (from == DT_BOOL)
    value = arena_printf(e->arena, "%s ? %s : %s", x.text, emit_literal(e, d, 1),
                         emit_literal(e, d, 0));
  return emit_local(e, d, x.depth, value);
}

/* Views that only move the index. */
typedef Pos PosFn(Emit *e, const Node *n, const Pos *ix);

static Pos index_broadcast(Emit *e, const Node *n, const Pos *ix) {
  (void)e;
  Pos in = {.rank = n->attr.n};
  for (int k = 0; k < in.rank; k++)
    in.e[k] = n->in[0]->type.dim[k] == 1 ? aff_const(0) : ix->e[n->attr.i[k]];
  return in;
}

static Pos index_transpose(Emit *e, const Node *n, const Pos *ix) {
  (void)e;
  Pos in = {.rank = ix->rank};
  for (int k = 0; k < ix->rank; k++) in.e[n->attr.i[k]] = ix->e[k];
  return in;
}

static Pos index_slice(Emit *e, const Node *n, const Pos *ix) {
  (void)e;
  Pos in = *ix;
  for (int k = 0; k < ix->rank; k++) in.e[k] = aff_shift(ix->e[k], n->attr.i[k]);
  return in;
}

static Pos index_reverse(Emit *e, const Node *n, const Pos *ix) {
  (void)e;
  Pos in = *ix;
  for (int k = 0; k < n->attr.n; k++) {
    int64_t axis = n->attr.i[k];
    in.e[axis] = aff_add(aff_const(n->type.dim[axis] - 1), ix->e[axis], -1);
  }
  return in;
}

/* Row-major order is kept: linear index out, then divided by the operand's dimensions. */
/* Axes of both sides whose sizes have the same product belong together, and divide only among
   themselves: an axis that stays keeps its index, even where another one, outside of a guard, is
   beyond its size. */
static Pos index_reshape(Emit *e, const Node *n, const Pos *ix) {
  Type t = n->in[0]->type;
  Pos in = {.rank = t.rank};
  int i = type_count(t) ? t.rank - 1 : -1, o = n->type.rank - 1;
  while (i >= 0) {
    Aff rest = aff_const(0);
    int64_t inner = t.dim[i], outer = 1;
    int last = i;
    while (outer != inner || (o >= 0 && n->type.dim[o] == 1)) {
      if (o >= 0 && outer <= inner) {
        rest = aff_add(rest, ix->e[o], outer);
        outer *= n->type.dim[o--];
      } else {
        inner *= t.dim[--i];
      }
    }
    for (int k = last; k > i; k--) emit_divide(e, rest, t.dim[k], &rest, &in.e[k]);
    in.e[i--] = rest;
  }
  return in;
}

static Pos index_same(Emit *e, const Node *n, const Pos *ix) { return (void)e, (void)n, *ix; }

static PosFn *const indices[NOP] = {
    [OP_broadcast] = index_broadcast, [OP_transpose] = index_transpose, [OP_slice] = index_slice,
    [OP_reverse] = index_reverse,     [OP_reshape] = index_reshape,     [OP_stop] = index_same,
};

/* Inside its guard, the index of an axis of length 1 is 0. */
static Aff only_element(Aff at, int64_t extent) { return extent == 1 ? aff_const(0) : at; }

static Val view_pad(Emit *e, const Node *n, const Pos *ix, int guard) {
  Pos in = *ix;
  int inside = guard;
  for (int k = 0; k < ix->rank && inside >= 0; k++) {
    in.e[k] = aff_shift(ix->e[k], -n->attr.i[k]);
    inside = emit_guard(e, inside, in.e[k], n->in[0]->type.dim[k]);
    in.e[k] = only_element(in.e[k], n->in[0]->type.dim[k]);
  }
  DType d = n->type.dtype;
  if (inside < 0) return zero(e, d);
  return choose(e, d, inside, guard, emit_node(e, n->in[0], &in, inside), zero(e, d));
}

/* The numerator is made nonnegative by a multiple of the divisor, so that quotient and remainder
   are those of the floor. Where the remainder is known to be 0 nothing tests it. */
static Val view_skew(Emit *e, const Node *n, const Pos *ix, int guard) {
  const int64_t *s = n->attr.i, axis = s[SKEW_AXIS], q = s[SKEW_DIVISOR];
  int64_t lo, hi, extent = n->in[0]->type.dim[axis];
  Aff at = aff_add(aff_const(s[SKEW_OFFSET]), ix->e[axis], s[SKEW_STEP]), rest;
  at = aff_add(at, ix->e[s[SKEW_ALONG]], s[SKEW_SLANT]);
  int inside = guard;
  emit_range(e, &at, &lo, &hi);
  if (q > 1) {
    int64_t lift = lo < 0 ? (q - 1 - lo) / q : 0;
    emit_divide(e, aff_shift(at, lift * q), q, &at, &rest);
    at = aff_shift(at, -lift);
    inside = emit_guard(e, inside, rest, 1);
  }
  if (inside >= 0) inside = emit_guard(e, inside, at, extent);
  DType d = n->type.dtype;
  if (inside < 0) return zero(e, d);
  Pos in = *ix;
  in.e[axis] = only_element(at, extent);
  return choose(e, d, inside, guard, emit_node(e, n->in[0], &in, inside), zero(e, d));
}

static Val view_concat(Emit *e, const Node *n, const Pos *ix, int guard) {
  int64_t axis = n->attr.i[0], start = n->type.dim[axis];
  DType d = n->type.dtype;
  Val v = zero(e, d);
  for (int k = n->nin - 1; k >= 0; k--) {
    Pos in = *ix;
    int64_t extent = n->in[k]->type.dim[axis];
    start -= extent;
    if (!extent) continue;
    in.e[axis] = aff_shift(ix->e[axis], -start);
    int inside = emit_guard(e, guard, in.e[axis], extent);
    in.e[axis] = only_element(in.e[axis], extent);
    if (inside >= 0) v = choose(e, d, inside, guard, emit_node(e, n->in[k], &in, inside), v);
  }
  return v;
}

/* The row number becomes a variable; a number out of range reads as NaN. */
static Val view_gather(Emit *e, const Node *n, const Pos *ix, int guard) {
  Type x = n->in[0]->type, i = n->in[1]->type;
  DType d = n->type.dtype;
  Pos at = {.rank = i.rank}, in = {.rank = x.rank};
  for (int k = 0; k < i.rank; k++) at.e[k] = ix->e[k];
  for (int k = 1; k < x.rank; k++) in.e[k] = ix->e[i.rank + k - 1];
  in.e[0] = aff_var(emit_value_var(e, emit_node(e, n->in[1], &at, guard)));
  int inside = emit_row_guard(e, guard, in.e[0], x.dim[0]);
  in.e[0] = only_element(in.e[0], x.dim[0]);
  Val nan = {e->target->nan[d], 0};
  return choose(e, d, inside, guard, emit_node(e, n->in[0], &in, inside), nan);
}

static ViewFn *const views[NOP] = {
    [OP_iota] = view_iota, [OP_random] = view_random,   [OP_cast] = view_cast,
    [OP_pad] = view_pad,   [OP_concat] = view_concat,   [OP_gather] = view_gather,
    [OP_skew] = view_skew, [OP_shuffle] = view_shuffle,
};

Val emit_view(Emit *e, const Node *n, const Pos *ix, int guard) {
  if (indices[n->op]) {
    Pos in = indices[n->op](e, n, ix);
    return emit_node(e, n->in[0], &in, guard);
  }
  if (!views[n->op])
    compiler_bug("codegen", "kernel %s: `%s` (node %u) is neither computed nor stored",
                 e->kernel->name, op_info(n->op)->name, n->id);
  return views[n->op](e, n, ix, guard);
}
