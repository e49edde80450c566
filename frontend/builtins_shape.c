/* Built-ins that rearrange elements, join tensors, or make them from nothing. Sizes among the
   arguments are symbolic, so that what fits is known before any file is read. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"

static Value as_tensor(Ops *o, Call *c, int i) { return v_tensor(o, c->arg[i], o->flt); }

/* The sizes that the rest of a call lists; one of them may be -1: whatever makes the product
   `count`. */
static bool read_sizes(Ops *o, Call *c, SDim count, bool wildcard, SDim *dim) {
  if (c->nrest > MAX_RANK) {
    ops_error(o, o->at, "E0204", "a tensor has at most %d axes", MAX_RANK);
    return false;
  }
  SDim product = dim_int(o->arena, 1);
  int open = -1;
  for (int i = 0; i < c->nrest; i++) {
    Value v = c->rest[i];
    if (wildcard && v.lit == LIT_INT && v.num == -1 && open < 0) {
      open = i;
      continue;
    }
    if (v.lit && v.sized)
      dim[i] = v.size;
    else if (!c->size(c->ctx, c->rest_source[i], &dim[i]))
      return false;
    product = dim_mul(o->arena, product, dim[i]);
  }
  if (open < 0) return true;
  bool exact = true;
  dim[open] = dim_div(o->arena, count, product, &exact);
  if (!exact) ops_error(o, o->at, "E0220", "`%s` does not divide `%s`", product.text, count.text);
  return exact;
}

/* reshape(x, sizes..) */
static Value fn_reshape(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  SDim dim[MAX_RANK], product = dim_int(o->arena, 1),
                      count = stype_count(o, x.type, 0, x.type.rank);
  if (x.bad || !read_sizes(o, c, count, true, dim)) return value_bad();
  for (int i = 0; i < c->nrest; i++) product = dim_mul(o->arena, product, dim[i]);
  if (dim_eq(product, count)) return v_reshape(o, x, c->nrest, dim);
  Diag *d = ops_error(o, o->at, "E0207", "%s keeps the number of elements: `%s` is not `%s`",
                      o->what, count.text, product.text);
  if (x.span.hi) diag_label(o->diags, d, x.span, "%s", stype_str(o, x.type));
  return value_bad();
}

/* flatten(x, axis = 0) */
static Value fn_flatten(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  int axis = 0;
  if (x.bad || (x.type.rank && !call_axis(o, c, 1, x, &axis))) return value_bad();
  SType t = x.type;
  t.dim[axis] = stype_count(o, x.type, axis, x.type.rank);
  return v_reshape(o, x, axis + 1, t.dim);
}

/* transpose(x, axes..) */
static Value fn_transpose(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  int perm[MAX_RANK], r = x.type.rank, seen = 0;
  if (x.bad || (!c->nrest && !call_rank(o, c, 0, 2))) return value_bad();
  for (int i = 0; i < r; i++) perm[i] = i == r - 2 ? r - 1 : i == r - 1 ? r - 2 : i;
  for (int i = 0; i < c->nrest && i < r; i++) {
    double a = c->rest[i].lit == LIT_INT ? c->rest[i].num : NAN;
    perm[i] = a >= -r && a < r ? (int)a + (a < 0 ? r : 0) : -1;
    if (perm[i] >= 0) seen |= 1 << perm[i];
  }
  if (c->nrest && (c->nrest != r || seen != (1 << r) - 1)) {
    ops_error(o, o->at, "E0205", "%s of %s needs each of its %d axes once", o->what,
              stype_str(o, x.type), r);
    return value_bad();
  }
  return v_transpose(o, x, perm);
}

static bool same_but(Ops *o, Value a, Value b, int axis) {
  bool same = a.type.rank == b.type.rank;
  for (int i = 0; same && i < a.type.rank; i++)
    same = i == axis || dim_eq(a.type.dim[i], b.type.dim[i]);
  if (same) return true;
  Diag *d = ops_error(o, o->at, "E0201", "shapes of %s do not fit: %s and %s", o->what,
                      stype_str(o, a.type), stype_str(o, b.type));
  if (a.span.hi) diag_label(o->diags, d, a.span, "%s", stype_str(o, a.type));
  if (b.span.hi) diag_label(o->diags, d, b.span, "%s", stype_str(o, b.type));
  return false;
}

/* Brings the rest of a call to one element type; false after an error. */
static bool unify(Ops *o, Call *c) {
  if (c->nrest == 0) {
    ops_error(o, o->at, "E0230", "%s needs tensors", o->what);
    return false;
  }
  DType d = DT_I32;
  for (int i = 0; i < c->nrest; i++) {
    Value v = c->rest[i];
    if (!v.lit && v.type.dtype == DT_BOOL) d = DT_BOOL;
    if (value_is_float(v) && d != DT_F64) d = v.lit ? o->flt : v.type.dtype;
  }
  for (int i = 0; i < c->nrest; i++) {
    Value v = c->rest[i];
    if (v.lit || v.type.dtype == DT_I32) v = v_cast(o, v, d);
    if (v.type.dtype != d) {
      Diag *g = ops_error(o, o->at, "E0211", "%s needs one element type: %s and %s", o->what,
                          dtype_name(d), dtype_name(v.type.dtype));
      diag_help(o->diags, g, "convert with `f32(...)` or `f64(...)`");
      return false;
    }
    c->rest[i] = v;
  }
  return true;
}

/* concat(xs.., axis = 0) */
static Value fn_concat(Ops *o, Call *c) {
  int axis;
  if (!unify(o, c) || !call_axis(o, c, 1, c->rest[0], &axis)) return value_bad();
  for (int i = 1; i < c->nrest; i++)
    if (!same_but(o, c->rest[0], c->rest[i], axis)) return value_bad();
  return v_concat(o, c->rest, c->nrest, axis);
}

/* stack(xs.., axis = 0): the axis is one of the result. */
static Value fn_stack(Ops *o, Call *c) {
  if (!unify(o, c) || !call_room(o, c->rest[0], 1)) return value_bad();
  Value result = c->rest[0];
  result.type.rank++;
  int axis;
  if (!call_axis(o, c, 1, result, &axis)) return value_bad();
  for (int i = 0; i < c->nrest; i++) {
    if (i && !same_but(o, c->rest[0], c->rest[i], -1)) return value_bad();
  }
  for (int i = 0; i < c->nrest; i++) c->rest[i] = v_expand(o, c->rest[i], axis);
  return v_concat(o, c->rest, c->nrest, axis);
}

/* pad(x, before, after, axis = 0, value = 0) */
static Value fn_pad(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  SDim before, after;
  int axis;
  if (x.bad || !call_size(o, c, 1, &before) || !call_size(o, c, 2, &after) ||
      !call_axis(o, c, 3, x, &axis))
    return value_bad();
  if (c->arg[4].lit && c->arg[4].num == 0) {
    if (x.type.dtype != DT_BOOL) return v_pad(o, x, axis, before, after);
  }
  SType lo = x.type, hi = x.type;
  lo.dim[axis] = before;
  hi.dim[axis] = after;
  Value fill = v_cast(o, c->arg[4], x.type.dtype);
  if (fill.bad || fill.type.rank) {
    ops_error(o, o->at, "E0202", "%s pads with one number", o->what);
    return value_bad();
  }
  Value first = v_broadcast(o, fill, lo), last = v_broadcast(o, fill, hi);
  Value part[3] = {first, x, last};
  return v_concat(o, part, 3, axis);
}

/* roll(x, shift, axis = 0): towards higher indices; what leaves at the end enters at the front. */
static Value fn_roll(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  double shift;
  int axis;
  if (x.bad || !call_number(o, c, 1, &shift) || !call_axis(o, c, 2, x, &axis)) return value_bad();
  if (shift != floor(shift) || fabs(shift) > 1e12) {
    ops_error(o, c->source[1]->span, "E0231", "%s shifts by a whole number", o->what);
    return value_bad();
  }
  SDim n = x.type.dim[axis], zero = dim_int(o->arena, 0),
       s = dim_int(o->arena, (int64_t)fabs(shift));
  if (n.value >= 0 && n.value > 0)
    s = dim_int(o->arena, (int64_t)fmod(fabs(shift), (double)n.value));
  if (dim_is(s, 0)) return x;
  SDim cut = shift > 0 ? dim_sub(o->arena, n, s) : s;
  Value front = v_slice(o, x, axis, cut, dim_sub(o->arena, n, cut));
  Value back = v_slice(o, x, axis, zero, cut);
  Value part[2] = {front, back};
  Value r = v_concat(o, part, 2, axis);
  r.type = x.type;
  return r;
}

static Value fn_reverse(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  int axis;
  return call_axis(o, c, 1, x, &axis) ? v_reverse(o, x, axis) : value_bad();
}

/* expand_dims(x, axis): the axis is one of the result. */
static Value fn_expand_dims(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0), result = x;
  int axis;
  if (!call_room(o, x, 1)) return value_bad();
  result.type.rank++;
  result.type.dim[x.type.rank] = dim_int(o->arena, 1);
  return call_axis(o, c, 1, result, &axis) ? v_expand(o, x, axis) : value_bad();
}

static Value fn_squeeze(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  int axis;
  if (!call_axis(o, c, 1, x, &axis)) return value_bad();
  if (dim_is(x.type.dim[axis], 1)) return v_squeeze(o, x, axis);
  ops_error(o, o->at, "E0207", "%s drops an axis of size 1, and this one has size `%s`", o->what,
            x.type.dim[axis].text);
  return value_bad();
}

/* broadcast(x, sizes..), full(value, sizes..) */
static Value fn_broadcast(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  SType want = {.dtype = x.type.dtype, .rank = c->nrest}, shape;
  if (x.bad || !read_sizes(o, c, dim_int(o->arena, 1), false, want.dim)) return value_bad();
  if (!v_join_shapes(o, x, value_new(want, NULL), &shape)) return value_bad();
  if (stype_same_shape(shape, want)) return v_broadcast(o, x, want);
  ops_error(o, o->at, "E0201", "shapes of %s do not fit: %s does not become %s", o->what,
            stype_str(o, x.type), stype_str(o, want));
  return value_bad();
}

static Value fn_iota(Ops *o, Call *c) {
  SType t = {.dtype = DT_I32, .rank = 1};
  return call_size(o, c, 0, &t.dim[0]) ? v_iota(o, t, 0) : value_bad();
}

static Value fn_eye(Ops *o, Call *c) {
  SType t = {.dtype = DT_I32, .rank = 1};
  if (!call_size(o, c, 0, &t.dim[0])) return value_bad();
  return v_cast(o, v_one_hot_mask(o, v_iota(o, t, 0), t.dim[0]), o->flt);
}

/* patchify(x, p): [.., H, W, C] -> [.., (H / p) * (W / p), p * p * C], patches and their pixels
   by rows. */
static Value fn_patchify(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  SDim p, dim[MAX_RANK];
  if (!call_rank(o, c, 0, 3) || !call_size(o, c, 1, &p) || !call_room(o, x, 2)) return value_bad();
  int lead = x.type.rank - 3, perm[MAX_RANK];
  const SDim *in = &x.type.dim[lead];
  bool even = true, ok = true;
  SDim rows = dim_div(o->arena, in[0], p, &even), cols = dim_div(o->arena, in[1], p, &ok);
  if (!even || !ok) {
    ops_error(o, o->at, "E0220", "`%s` does not divide `%s`", p.text,
              even ? in[1].text : in[0].text);
    return value_bad();
  }
  SDim split[5] = {rows, p, cols, p, in[2]};
  for (int i = 0; i < lead; i++) dim[i] = x.type.dim[i];
  memcpy(&dim[lead], split, sizeof split);
  for (int i = 0; i < lead + 5; i++) perm[i] = i;
  perm[lead + 1] = lead + 2;
  perm[lead + 2] = lead + 1;
  x = v_transpose(o, v_reshape(o, x, lead + 5, dim), perm);
  dim[lead] = dim_mul(o->arena, rows, cols);
  dim[lead + 1] = dim_mul(o->arena, dim_mul(o->arena, p, p), split[4]);
  return v_reshape(o, x, lead + 2, dim);
}

/* size(x, axis): a size, as the name of a dimension is one. */
static Value fn_size(Ops *o, Call *c) {
  Value x = as_tensor(o, c, 0);
  int axis;
  return call_rank(o, c, 0, 1) && call_axis(o, c, 1, x, &axis) ? value_size(o, x.type.dim[axis])
                                                               : value_bad();
}

static const Builtin row[] = {
    {"reshape", "reshape(x, sizes..)",
     "the elements of x, by rows, in another shape; one size may be -1", fn_reshape},
    {"flatten", "flatten(x, axis = 0)", "all axes from `axis` on made one", fn_flatten},
    {"transpose", "transpose(x, axes..)",
     "axis k of the result is axis axes[k] of x; without axes the last two change places, as `x.T`",
     fn_transpose},
    {"concat", "concat(xs.., axis = 0)", "tensors joined along an axis", fn_concat},
    {"stack", "stack(xs.., axis = 0)", "equal tensors joined along a new axis", fn_stack},
    {"pad", "pad(x, before, after, axis = 0, value = 0)", "x with more elements before and after",
     fn_pad},
    {"roll", "roll(x, shift, axis = 0)", "x shifted around", fn_roll},
    {"reverse", "reverse(x, axis = 0)", "x backwards along an axis", fn_reverse},
    {"expand_dims", "expand_dims(x, axis)", "x with a new axis of size 1 there", fn_expand_dims},
    {"squeeze", "squeeze(x, axis)", "x without that axis of size 1", fn_squeeze},
    {"broadcast", "broadcast(x, sizes..)", "x repeated to that shape by NumPy's rule",
     fn_broadcast},
    {"full", "full(value, sizes..)", "a tensor of one value", fn_broadcast},
    {"size", "size(x, axis)", "the size of an axis, known when the program is compiled", fn_size},
    {"iota", "iota(n)", "0, 1, ..., n - 1 as i32[n]", fn_iota},
    {"eye", "eye(n)", "the identity matrix", fn_eye},
    {"patchify", "patchify(x, p)",
     "f32[.., H, W, C] to its p by p patches, f32[.., H/p*W/p, p*p*C]", fn_patchify},
};

const BuiltinList builtins_shape = {row, sizeof row / sizeof *row};
