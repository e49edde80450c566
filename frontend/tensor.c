/* The bulk part of lowering: each function here gives the symbolic type of a primitive and, where
   all sizes are known, its node. Reductions, views, gather and scatter, random numbers, matrix
   products. */
#include <math.h>

#include "frontend/value.h"
#include "ir/program.h"

static Value like(Value v, SType t, Node *node) {
  Value r = value_new(t, node);
  r.span = v.span;
  return r;
}

/* The same elements seen differently: what is known about their range stays known. */
static Value view(Value v, SType t, Node *node) {
  Value r = like(v, t, node);
  r.field = v.field;
  r.ranged = v.ranged;
  r.limit = v.limit;
  r.soft = v.soft;
  return r;
}

typedef Node *Reduction(Graph *g, Node *x, const int64_t *axes, int n);

static Value reduce(Ops *o, Reduction *fn, Value x, const int *axes, int n, bool keep) {
  if (x.bad) return x;
  SType t = {.dtype = x.type.dtype}, kept = x.type;
  int64_t list[MAX_RANK];
  bool rows = false;
  double none = fn == ir_sum ? 0 : x.type.dtype == DT_I32 ? -2147483648.0 : -INFINITY;
  for (int i = 0; i < n; i++) x = ragged_fill(o, x, axes[i], none);
  if (x.bad) return x;
  for (int i = 0, k = 0; i < x.type.rank; i++) {
    bool reduced = k < n && axes[k] == i;
    if (reduced) {
      rows = rows || x.type.dim[i].chunk;
      if (x.type.dim[i].chunk && !chunk_one_axis(o, x, i)) return value_bad();
      list[k++] = i;
      kept.dim[i] = dim_int(o->arena, 1);
    } else {
      t.dim[t.rank++] = x.type.dim[i];
    }
  }
  Value r = like(x, t, x.node ? fn(o->g, x.node, list, n) : NULL);
  if (rows) r = chunk_total(o, r, fn == ir_reduce_max);
  return keep ? v_reshape(o, r, kept.rank, kept.dim) : r;
}

Value v_sum(Ops *o, Value x, const int *axes, int n, bool keep) {
  x = v_tensor(o, x, x.lit == LIT_INT ? DT_I32 : o->flt);
  if (!x.bad && x.type.dtype == DT_BOOL) x = v_cast(o, x, o->flt);
  return reduce(o, ir_sum, x, axes, n, keep);
}

/* Nothing has no maximum. */
static bool empty(Ops *o, Value x) {
  for (int i = 0; !x.bad && i < x.type.rank; i++)
    if (x.type.dim[i].value == 0) {
      ops_error(o, o->at, "E0206", "%s of nothing: an axis of %s has size 0", o->what,
                stype_str(o, x.type));
      return true;
    }
  return x.bad;
}

Value v_reduce_max(Ops *o, Value x, const int *axes, int n, bool keep) {
  if (empty(o, x)) return value_bad();
  return reduce(o, ir_reduce_max, x, axes, n, keep);
}

Value v_argmax(Ops *o, Value x, int axis) {
  if (empty(o, x) || !chunk_row_by_row(o, x, axis)) return value_bad();
  x = ragged_fill(o, x, axis, x.type.dtype == DT_I32 ? -2147483648.0 : -INFINITY);
  if (x.bad) return x;
  SType t = {.dtype = DT_I32};
  for (int i = 0; i < x.type.rank; i++)
    if (i != axis) t.dim[t.rank++] = x.type.dim[i];
  return like(x, t, x.node ? ir_argmax(o->g, x.node, axis) : NULL);
}

/* Also where rows of batches change places, if they change back. */
static Value regroup(Ops *o, Value x, int rank, const SDim *dim) {
  if (x.bad) return x;
  SType t = {.dtype = x.type.dtype, .rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  Type c;
  Node *n = x.node && stype_concrete(t, &c) ? ir_reshape(o->g, x.node, c.rank, c.dim) : NULL;
  return view(x, t, n);
}

Value v_reshape(Ops *o, Value x, int rank, const SDim *dim) {
  return chunk_reshapes(o, x, rank, dim) && ragged_reshapes(o, x, rank, dim)
             ? regroup(o, x, rank, dim)
             : value_bad();
}

Value v_expand(Ops *o, Value x, int axis) {
  SDim dim[MAX_RANK + 1];
  for (int i = 0; i <= x.type.rank && i < MAX_RANK; i++)
    dim[i] = i < axis ? x.type.dim[i] : i == axis ? dim_int(o->arena, 1) : x.type.dim[i - 1];
  return v_reshape(o, x, x.type.rank + 1, dim);
}

Value v_squeeze(Ops *o, Value x, int axis) {
  SDim dim[MAX_RANK];
  for (int i = 0; i + 1 < x.type.rank; i++) dim[i] = x.type.dim[i + (i >= axis)];
  return v_reshape(o, x, x.type.rank - 1, dim);
}

Value v_transpose(Ops *o, Value x, const int *perm) {
  if (x.bad) return x;
  SType t = x.type;
  int64_t p[MAX_RANK];
  for (int i = 0; i < t.rank; i++) {
    p[i] = perm[i];
    t.dim[i] = x.type.dim[perm[i]];
  }
  return view(x, t, x.node ? ir_transpose(o->g, x.node, p) : NULL);
}

Value v_move_axis(Ops *o, Value x, int from, int to) {
  if (x.bad || from == to) return x;
  int perm[MAX_RANK], k = 0;
  for (int i = 0; i < x.type.rank; i++) {
    if (k == from) k++;
    perm[i] = i == to ? from : k++;
  }
  return v_transpose(o, x, perm);
}

Value v_slice(Ops *o, Value x, int axis, SDim start, SDim size) {
  if (x.bad || (dim_is(start, 0) && dim_eq(size, x.type.dim[axis]))) return x;
  if (!chunk_row_by_row(o, x, axis) || !ragged_row_by_row(o, x, axis)) return value_bad();
  SType t = x.type;
  t.dim[axis] = size;
  int64_t at[MAX_RANK] = {0};
  at[axis] = start.value;
  Type c;
  bool have = x.node && start.value >= 0 && stype_concrete(t, &c);
  return view(x, t, have ? ir_slice(o->g, x.node, at, c) : NULL);
}

Value v_pad(Ops *o, Value x, int axis, SDim before, SDim after) {
  if (x.bad || !chunk_row_by_row(o, x, axis) || !ragged_row_by_row(o, x, axis)) return value_bad();
  SType t = x.type;
  t.dim[axis] = dim_add(o->arena, dim_add(o->arena, before, t.dim[axis]), after);
  int64_t at[MAX_RANK] = {0};
  at[axis] = before.value;
  Type c;
  bool have = x.node && before.value >= 0 && stype_concrete(t, &c);
  return like(x, t, have ? ir_pad(o->g, x.node, at, c) : NULL);
}

Value v_reverse(Ops *o, Value x, int axis) {
  int64_t a = axis;
  if (!chunk_row_by_row(o, x, axis) || !ragged_row_by_row(o, x, axis)) return value_bad();
  return x.bad ? x : view(x, x.type, x.node ? ir_reverse(o->g, x.node, &a, 1) : NULL);
}

Value v_concat(Ops *o, const Value *x, int n, int axis) {
  SType t = x[0].type;
  Node **in = arena_array(o->arena, Node *, n);
  bool have = true;
  for (int i = 0; i < n; i++) {
    if (x[i].bad || !chunk_row_by_row(o, x[i], axis) || !ragged_row_by_row(o, x[i], axis))
      return value_bad();
    if (i) t.dim[axis] = dim_add(o->arena, t.dim[axis], x[i].type.dim[axis]);
    in[i] = x[i].node;
    have = have && in[i];
  }
  return like(x[0], t, have ? ir_concat(o->g, in, n, axis) : NULL);
}

Value v_gather(Ops *o, Value x, Value index) {
  if (x.bad || index.bad || !chunk_row_by_row(o, x, 0) || !ragged_row_by_row(o, x, 0))
    return value_bad();
  SType t = index.type;
  t.dtype = x.type.dtype;
  for (int i = 1; i < x.type.rank; i++) t.dim[t.rank++] = x.type.dim[i];
  Value r = view(x, t, x.node && index.node ? ir_gather(o->g, x.node, index.node) : NULL);
  r.span = x.span;
  return r;
}

typedef Node *Scatter(Graph *g, Node *index, Node *update, int64_t rows);

static Value scatter(Ops *o, Scatter *fn, Value index, Value u, SDim rows) {
  if (u.bad || index.bad) return value_bad();
  bool over_rows = false;
  for (int i = 0; i < index.type.rank; i++)
    if (index.type.dim[i].chunk) {
      if (!chunk_one_axis(o, index, i) || !chunk_one_axis(o, u, i)) return value_bad();
      over_rows = true;
    }
  if (rows.chunk) return chunk_error(o, "it combines rows of different batches");
  for (int i = 0; i < index.type.rank; i++)
    u = ragged_fill(o, u, i, fn == ir_scatter_add ? 0 : -INFINITY);
  if (u.bad) return u;
  SType t = {.dtype = u.type.dtype, .rank = 1};
  t.dim[0] = rows;
  for (int i = index.type.rank; i < u.type.rank; i++) t.dim[t.rank++] = u.type.dim[i];
  bool have = index.node && u.node && rows.value >= 0;
  Value r = value_new(t, have ? fn(o->g, index.node, u.node, rows.value) : NULL);
  return over_rows ? chunk_total(o, r, fn == ir_scatter_max) : r;
}

Value v_scatter_add(Ops *o, Value index, Value update, SDim rows) {
  return scatter(o, ir_scatter_add, index, update, rows);
}

Value v_scatter_max(Ops *o, Value index, Value update, SDim rows) {
  return scatter(o, ir_scatter_max, index, update, rows);
}

Value v_iota(Ops *o, SType shape, int axis) {
  shape.dtype = DT_I32;
  if (!chunk_row_by_row(o, value_new(shape, NULL), axis)) return value_bad();
  if (shape.dim[axis].value > (int64_t)INT32_MAX + 1) {
    ops_error(o, o->at, "E0221", "`%s` is too large for %s here", shape.dim[axis].text, o->what);
    return value_bad();
  }
  Type c;
  return value_new(shape, stype_concrete(shape, &c) ? ir_iota(o->g, c, axis) : NULL);
}

/* Rows of different batches have different noise; what is not made of rows has the same in all. */
static Node *step_of_batch(Ops *o, SType shape, Node *step) {
  bool rows = false;
  for (int i = 0; i < shape.rank; i++) rows = rows || shape.dim[i].chunk;
  if (!rows) return step;
  const Chunk *c = o->chunk;
  Node *last = ir_num(o->g, step, (double)c->nbatch);
  Node *batch = c->counter ? ir_param(o->g, c->counter, step->type) : last;
  Node *wide = ir_mul(o->g, step, ir_num(o->g, step, (double)c->nbatch + 1));
  return ir_add(o->g, wide, batch);
}

Value v_random(Ops *o, SType shape, int distribution) {
  Type c;
  o->counted = true;
  int64_t stream = (*o->stream)++;
  if (!stype_concrete(shape, &c)) return value_new(shape, NULL);
  Type counter = type_scalar(DT_I32);
  Node *seed = ir_param(o->g, "seed", counter);
  Node *step = o->counter ? ir_param(o->g, o->counter, counter) : ir_const(o->g, counter, 0);
  if (o->chunk) step = step_of_batch(o, shape, step);
  return value_new(shape, ir_random(o->g, c, distribution, stream, seed, step));
}

/* ---- matrix products */

static Value no_product(Ops *o, Value a, Value b, SDim p, SDim q) {
  Diag *d = ops_error(o, o->at, "E0203", "inner dimensions of %s differ: `%s` and `%s`", o->what,
                      p.text, q.text);
  if (a.span.hi) diag_label(o->diags, d, a.span, "%s", stype_str(o, a.type));
  if (b.span.hi) diag_label(o->diags, d, b.span, "%s", stype_str(o, b.type));
  SType want = b.type;
  want.dim[want.rank == 1 ? 0 : want.rank - 2] = p;
  if (b.type.rank == 2 && dim_eq(b.type.dim[1], p))
    diag_help(o->diags, d, "`transpose(...)` of the right side fits here");
  else
    diag_help(o->diags, d, "a right side of type `%s` fits here", stype_str(o, want));
  return value_bad();
}

static bool product_operands(Ops *o, Value *a, Value *b) {
  *a = v_float(o, v_tensor(o, *a, o->flt));
  *b = v_float(o, v_tensor(o, *b, o->flt));
  if (a->bad || b->bad) return false;
  if (a->type.rank == 0 || b->type.rank == 0) {
    Diag *d = ops_error(o, o->at, "E0202", "%s needs vectors or matrices on both sides", o->what);
    if (a->span.hi) diag_label(o->diags, d, a->span, "%s", stype_str(o, a->type));
    if (b->span.hi) diag_label(o->diags, d, b->span, "%s", stype_str(o, b->type));
    diag_help(o->diags, d, "use `*` to scale");
    return false;
  }
  if (a->type.dtype == b->type.dtype) return true;
  if (a->soft || b->soft) {
    DType to = a->soft ? b->type.dtype : a->type.dtype;
    *a = v_cast(o, *a, to);
    *b = v_cast(o, *b, to);
    return true;
  }
  v_join(o, a, b); /* says why not, if only by the types */
  return false;
}

/* Both of rank >= 2 with the batch axes of one made those of the other. */
static bool align_batches(Ops *o, Value *a, Value *b) {
  Value pa = *a, pb = *b;
  pa.type.rank -= 2;
  pb.type.rank -= 2;
  SType batch;
  if (!v_join_shapes(o, pa, pb, &batch)) return false;
  Value *side[2] = {a, b};
  for (int k = 0; k < 2; k++) {
    SType t = batch;
    int r = side[k]->type.rank;
    t.dtype = side[k]->type.dtype;
    t.dim[t.rank] = side[k]->type.dim[r - 2];
    t.dim[t.rank + 1] = side[k]->type.dim[r - 1];
    t.rank += 2;
    *side[k] = v_broadcast(o, *side[k], t);
  }
  return true;
}

/* A transposition of the last two axes becomes a flag of the product. */
static Node *strip_transpose(Node *n, bool *flag) {
  int r = n->type.rank;
  *flag = false;
  if (n->op != OP_transpose) return n;
  for (int i = 0; i < r; i++)
    if (n->attr.i[i] != (i == r - 1 ? r - 2 : i == r - 2 ? r - 1 : i)) return n;
  *flag = true;
  return n->in[0];
}

static Value product(Ops *o, Value a, Value b) {
  int r = a.type.rank;
  SType t = a.type;
  t.dim[r - 1] = b.type.dim[r - 1];
  if (!a.node || !b.node) return value_new(t, NULL);
  bool ta, tb;
  Node *x = strip_transpose(a.node, &ta), *y = strip_transpose(b.node, &tb);
  return value_new(t, ir_matmul(o->g, x, y, ta, tb));
}

Value v_matmul(Ops *o, Value a, Value b) {
  if (a.bad || b.bad || !product_operands(o, &a, &b)) return value_bad();
  SType ta = a.type, tb = b.type;
  SDim p = ta.dim[ta.rank - 1], q = tb.dim[tb.rank == 1 ? 0 : tb.rank - 2];
  if (!dim_eq(p, q)) return no_product(o, a, b, p, q);
  if (ta.rank == 1 && tb.rank == 1) return v_sum(o, v_mul(o, a, b), (int[]){0}, 1, false);
  if (p.chunk &&
      (!chunk_one_axis(o, a, ta.rank - 1) || !chunk_one_axis(o, b, tb.rank == 1 ? 0 : tb.rank - 2)))
    return value_bad();
  if (p.ragged) b = ragged_fill(o, b, tb.rank == 1 ? 0 : tb.rank - 2, 0);
  if (b.bad) return b;
  if (ta.rank == 1) a = v_expand(o, a, 0);
  if (tb.rank == 1) b = v_expand(o, b, 1);
  Value r;
  if (b.type.rank == 2 && a.type.rank > 2) { /* one matrix for all rows: a single product */
    SDim flat[2] = {stype_count(o, a.type, 0, a.type.rank - 1), p};
    r = product(o, regroup(o, a, 2, flat), b);
    SType t = a.type;
    t.dim[t.rank - 1] = b.type.dim[1];
    r = regroup(o, r, t.rank, t.dim);
  } else {
    if (!align_batches(o, &a, &b)) return value_bad();
    r = product(o, a, b);
  }
  if (p.chunk) r = chunk_total(o, r, false);
  if (r.bad) return r;
  if (ta.rank == 1) r = v_squeeze(o, r, r.type.rank - 2);
  if (tb.rank == 1) r = v_squeeze(o, r, r.type.rank - 1);
  return r;
}
