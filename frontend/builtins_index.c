/* Built-ins that read and write by index: gathers, scatters, segments, one-hot codes. Indices
   from data must be declared to fit; computed ones may miss, and then read NaN or write nothing. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"

bool v_may_index(Ops *o, Value index, SDim size) {
  if (index.bad) return false;
  if (!index.field || (index.ranged && dim_le(index.limit, size))) return true;
  Diag *d;
  if (index.ranged)
    d = ops_error(o, index.span.hi ? index.span : o->at, "E0216",
                  "`%s` may reach `%s`, but the axis has size `%s`", index.field, index.limit.text,
                  size.text);
  else
    d = ops_error(o, index.span.hi ? index.span : o->at, "E0216",
                  "`%s` is used as an index, but not checked to be one", index.field);
  if (strchr(index.field, '(')) return false;
  diag_help(o->diags, d,
            "declare the field `in range(0, %s)`: it is then checked before the first step",
            size.text);
  return false;
}

Value v_take(Ops *o, Value x, Value index, int axis) {
  if (x.bad || index.bad) return value_bad();
  int ni = index.type.rank, nx = x.type.rank;
  if (nx - 1 + ni > MAX_RANK) {
    ops_error(o, o->at, "E0204", "a tensor has at most %d axes", MAX_RANK);
    return value_bad();
  }
  Value r = v_gather(o, v_move_axis(o, x, axis, 0), index);
  int perm[MAX_RANK], k = 0;
  for (int i = 0; i < axis; i++) perm[k++] = ni + i;
  for (int i = 0; i < ni; i++) perm[k++] = i;
  for (int i = axis; i < nx - 1; i++) perm[k++] = ni + i;
  return axis && ni ? v_transpose(o, r, perm) : r;
}

Value v_one_hot_mask(Ops *o, Value index, SDim n) {
  if (index.bad) return index;
  SType t = index.type;
  t.dim[t.rank++] = n;
  Value wide = v_broadcast(o, v_expand(o, index, index.type.rank), t);
  return v_compare(o, OP_eq, wide, v_iota(o, t, t.rank - 1));
}

/* take(x, index, axis = 0) */
static Value fn_take(Ops *o, Call *c) {
  c->arg[0] = v_tensor(o, c->arg[0], o->flt);
  int axis;
  if (!call_rank(o, c, 0, 1) || !call_index(o, c, 1) || !call_axis(o, c, 2, c->arg[0], &axis))
    return value_bad();
  if (!v_may_index(o, c->arg[1], c->arg[0].type.dim[axis])) return value_bad();
  return v_take(o, c->arg[0], c->arg[1], axis);
}

/* A tensor as rows times its last axis. */
static Value as_rows(Ops *o, Value x) {
  SDim dim[2] = {stype_count(o, x.type, 0, x.type.rank - 1), x.type.dim[x.type.rank - 1]};
  return v_reshape(o, x, 2, dim);
}

/* take_along(x, index, axis = -1): index has x's shape but for the axis. Rows are laid end to end,
   and an index out of its row becomes -1, which reads NaN. */
static Value fn_take_along(Ops *o, Call *c) {
  int axis, last = c->arg[0].type.rank - 1;
  if (!call_rank(o, c, 0, 1) || !call_index(o, c, 1) || !call_axis(o, c, 2, c->arg[0], &axis))
    return value_bad();
  Value x = c->arg[0], idx = c->arg[1];
  SType want = x.type;
  if (idx.type.rank == x.type.rank) want.dim[axis] = idx.type.dim[axis];
  if (!stype_same_shape(want, idx.type)) {
    ops_error(o, o->at, "E0201", "shapes of %s do not fit: %s and %s", o->what,
              stype_str(o, x.type), stype_str(o, idx.type));
    return value_bad();
  }
  if (!v_may_index(o, idx, x.type.dim[axis]) || !chunk_row_by_row(o, x, axis) ||
      !ragged_row_by_row(o, x, axis))
    return value_bad();
  Ops whole = *o; /* each row reads itself alone, wherever it lies */
  o->chunk = NULL;
  o->ragged = NULL;
  Value xr = as_rows(o, v_move_axis(o, x, axis, last)), im = v_move_axis(o, idx, axis, last);
  Value ir = as_rows(o, im);
  Value size = value_size(o, xr.type.dim[1]);
  Value base = v_mul(o, v_iota(o, ir.type, 0), size);
  Value below = v_compare(o, OP_lt, ir, size);
  Value inside = v_logic(o, OP_and, v_compare(o, OP_le, value_int(o, 0), ir), below);
  Value at = v_select(o, inside, v_add(o, base, ir), value_int(o, -1));
  SDim all = stype_count(o, xr.type, 0, 2);
  Value r = v_gather(o, v_reshape(o, xr, 1, &all), at);
  r = v_move_axis(o, v_reshape(o, r, im.type.rank, im.type.dim), last, axis);
  o->chunk = whole.chunk;
  o->ragged = whole.ragged;
  return r;
}

/* Segments: (x, ids, n): ids has the leading shape of x. */
static bool read_segments(Ops *o, Call *c, SDim *n) {
  c->arg[0] = v_float(o, v_tensor(o, c->arg[0], o->flt));
  if (!call_index(o, c, 1) || !call_size(o, c, 2, n) || c->arg[0].bad) return false;
  SType x = c->arg[0].type, ids = c->arg[1].type;
  bool fits = ids.rank <= x.rank;
  for (int i = 0; fits && i < ids.rank; i++) fits = dim_eq(ids.dim[i], x.dim[i]);
  if (fits) return v_may_index(o, c->arg[1], *n);
  Diag *d = ops_error(o, o->at, "E0201", "shapes of %s do not fit: %s and %s", o->what,
                      stype_str(o, x), stype_str(o, ids));
  diag_note(o->diags, d, "the index has the first axes of the tensor");
  return false;
}

static Value fn_segment_sum(Ops *o, Call *c) {
  SDim n;
  return read_segments(o, c, &n) ? v_scatter_add(o, c->arg[1], c->arg[0], n) : value_bad();
}

/* x made to broadcast from the left: one axis of size 1 for each that `like` has more. */
static Value trail(Ops *o, Value x, int rank) {
  while (!x.bad && x.type.rank < rank) x = v_expand(o, x, x.type.rank);
  return x;
}

static Value fn_segment_mean(Ops *o, Call *c) {
  SDim n;
  if (!read_segments(o, c, &n)) return value_bad();
  Value sum = v_scatter_add(o, c->arg[1], c->arg[0], n);
  Value one = v_broadcast(o, v_cast(o, value_int(o, 1), sum.type.dtype), c->arg[1].type);
  Value count = v_map2(o, OP_max, v_scatter_add(o, c->arg[1], one, n), value_int(o, 1));
  return v_div(o, sum, trail(o, count, sum.type.rank));
}

static Value fn_segment_max(Ops *o, Call *c) {
  SDim n;
  return read_segments(o, c, &n) ? v_scatter_max(o, c->arg[1], c->arg[0], n) : value_bad();
}

static Value fn_segment_softmax(Ops *o, Call *c) {
  SDim n;
  if (!read_segments(o, c, &n)) return value_bad();
  Value x = c->arg[0], ids = c->arg[1];
  Value top = v_gather(o, v_map1(o, OP_shift, v_scatter_max(o, ids, x, n)), ids);
  Value e = v_map1(o, OP_exp, v_sub(o, x, top));
  return v_div(o, e, v_gather(o, v_scatter_add(o, ids, e, n), ids));
}

/* one_hot(index, n) */
static Value fn_one_hot(Ops *o, Call *c) {
  SDim n;
  if (!call_index(o, c, 0) || !call_size(o, c, 1, &n) || !call_room(o, c->arg[0], 1))
    return value_bad();
  if (!v_may_index(o, c->arg[0], n)) return value_bad();
  return v_cast(o, v_one_hot_mask(o, c->arg[0], n), o->flt);
}

static const Builtin row[] = {
    {"take", "take(x, index, axis = 0)",
     "x at the indices along an axis, as `x[index]`; out of range: NaN", fn_take},
    {"take_along", "take_along(x, index, axis = -1)",
     "x at each position's own index; the index has the shape of x but for the axis",
     fn_take_along},
    {"scatter_add", "scatter_add(x, index, n)",
     "f32[n, ..]: row i is the sum of the rows of x whose index is i; others are dropped",
     fn_segment_sum},
    {"segment_sum", "segment_sum(x, ids, n)", "the same by another name", fn_segment_sum},
    {"segment_mean", "segment_mean(x, ids, n)",
     "means of the rows of each segment; 0 where it is empty", fn_segment_mean},
    {"segment_max", "segment_max(x, ids, n)",
     "maxima of the rows of each segment; -inf where it is empty", fn_segment_max},
    {"segment_softmax", "segment_softmax(x, ids, n)", "softmax among the rows of one segment",
     fn_segment_softmax},
    {"one_hot", "one_hot(index, n)", "1 at the index and 0 elsewhere, along a new last axis",
     fn_one_hot},
    {"index", "index(source)",
     "the numbers of the rows of a source, or of a part, that are at hand", NULL},
    {"batch", "batch(source)", "how many rows that is, as a size", NULL},
};

const BuiltinList builtins_index = {row, sizeof row / sizeof *row};
