/* Built-ins that reduce axes: sums, means, maxima, norms, each over all axes or over those
   named. Roots have derivative 0 where they are 0, so that a norm may start at the origin. */
#include <math.h>

#include "frontend/builtins.h"

/* Signatures here read (x, axis = all, more.., keepdims = false). */
enum { X, AXIS, MORE, KEEP };

typedef struct Axes {
  Value x;
  int axis[MAX_RANK], n;
  bool keep;
} Axes;

static bool read_axes(Ops *o, Call *c, bool floats, Axes *a) {
  a->x = v_tensor(o, c->arg[X], o->flt);
  if (floats && !a->x.bad && a->x.type.dtype == DT_BOOL) a->x = v_cast(o, a->x, o->flt);
  if (floats) a->x = v_float(o, a->x);
  return call_axes(o, c, AXIS, a->x, a->axis, &a->n) && call_flag(o, c, KEEP, &a->keep);
}

Value v_mean(Ops *o, Value x, const int *axes, int n, bool keep) {
  if (x.bad) return x;
  if (x.type.dtype == DT_BOOL) x = v_cast(o, x, o->flt);
  x = v_float(o, x);
  SDim count = dim_int(o->arena, 1);
  Value sum = v_sum(o, x, axes, n, keep);
  for (int i = 0; i < n; i++) {
    SDim d = x.type.dim[axes[i]];
    if (d.ragged)
      sum = v_div(o, sum, value_size(o, d));
    else
      count = dim_mul(o->arena, count, d);
  }
  return v_div(o, sum, value_size(o, count));
}

Value v_mean_all(Ops *o, Value x) {
  int axes[MAX_RANK];
  for (int i = 0; i < MAX_RANK; i++) axes[i] = i;
  return v_mean(o, x, axes, x.type.rank, false);
}

/* sqrt(x), and 0 with derivative 0 where x is 0: the root is taken of 1 there. NaN is not <= 0. */
Value v_safe_sqrt(Ops *o, Value x) {
  Value zero = value_int(o, 0), none = v_compare(o, OP_le, x, zero);
  Value root = v_map1(o, OP_sqrt, v_select(o, none, value_int(o, 1), x));
  return v_select(o, none, zero, root);
}

/* x - max x with a maximum without derivatives: softmax and its kin do not depend on the shift, so
   theirs are exact. */
Value v_shift(Ops *o, Value x, const int *axes, int n, Value *top) {
  *top = v_map1(o, OP_shift, v_reduce_max(o, x, axes, n, true));
  return v_sub(o, x, *top);
}

static Value drop_axes(Ops *o, Value x, const int *axes, int n) {
  for (int i = n - 1; i >= 0; i--) x = v_squeeze(o, x, axes[i]);
  return x;
}

Value v_logsumexp(Ops *o, Value x, const int *axes, int n, bool keep) {
  Value top, e = v_map1(o, OP_exp, v_shift(o, x, axes, n, &top));
  Value r = v_add(o, v_map1(o, OP_log, v_sum(o, e, axes, n, true)), top);
  return keep || r.bad ? r : drop_axes(o, r, axes, n);
}

static Value fn_sum(Ops *o, Call *c) {
  Axes a;
  return read_axes(o, c, false, &a) ? v_sum(o, a.x, a.axis, a.n, a.keep) : value_bad();
}

static Value fn_mean(Ops *o, Call *c) {
  Axes a;
  return read_axes(o, c, true, &a) ? v_mean(o, a.x, a.axis, a.n, a.keep) : value_bad();
}

static Value variance(Ops *o, const Axes *a) {
  Value d = v_sub(o, a->x, v_mean(o, a->x, a->axis, a->n, true));
  return v_mean(o, v_mul(o, d, d), a->axis, a->n, a->keep);
}

static Value fn_variance(Ops *o, Call *c) {
  Axes a;
  return read_axes(o, c, true, &a) ? variance(o, &a) : value_bad();
}

static Value fn_std(Ops *o, Call *c) {
  Axes a;
  return read_axes(o, c, true, &a) ? v_safe_sqrt(o, variance(o, &a)) : value_bad();
}

static Value fn_logsumexp(Ops *o, Call *c) {
  Axes a;
  if (!read_axes(o, c, true, &a)) return value_bad();
  return v_logsumexp(o, a.x, a.axis, a.n, a.keep);
}

static Value fn_norm2(Ops *o, Call *c) {
  Axes a;
  if (!read_axes(o, c, true, &a)) return value_bad();
  return v_sum(o, v_mul(o, a.x, a.x), a.axis, a.n, a.keep);
}

static Value fn_norm(Ops *o, Call *c) { return v_safe_sqrt(o, fn_norm2(o, c)); }

/* max and min: (x, y = none, axis = all, keepdims = false); of two tensors element by element. */
static Value extremum(Ops *o, Call *c, Op op) {
  if (call_given(c, 1)) {
    if (call_given(c, 2) || call_given(c, 3)) {
      ops_error(o, o->at, "E0230", "%s takes two tensors or an axis, not both", o->what);
      return value_bad();
    }
    Value a = c->arg[0], b = c->arg[1];
    if (a.lit && b.lit) {
      if (a.lit == LIT_FLOAT && isnan(a.num)) return a;
      return op == OP_max ? (a.num > b.num ? a : b) : a.num < b.num ? a : b;
    }
    return v_map2(o, op, a, b);
  }
  Axes a = {.x = v_tensor(o, c->arg[0], o->flt)};
  if (!call_axes(o, c, 2, a.x, a.axis, &a.n) || !call_flag(o, c, 3, &a.keep)) return value_bad();
  if (a.x.type.dtype == DT_BOOL) return v_float(o, a.x);
  if (op == OP_max) return v_reduce_max(o, a.x, a.axis, a.n, a.keep);
  return v_neg(o, v_reduce_max(o, v_neg(o, a.x), a.axis, a.n, a.keep));
}

static Value fn_max(Ops *o, Call *c) { return extremum(o, c, OP_max); }
static Value fn_min(Ops *o, Call *c) { return extremum(o, c, OP_min); }

static Value fn_argmax(Ops *o, Call *c) {
  Axes a = {.n = 1};
  if (!call_rank(o, c, 0, 1) || !call_axis(o, c, 1, c->arg[0], &a.axis[0])) return value_bad();
  a.x = v_float(o, c->arg[0]);
  return v_argmax(o, a.x, a.axis[0]);
}

static Value dist2(Ops *o, Value x, Value y) {
  Value d = v_sub(o, x, y), sq = v_mul(o, d, d);
  int all[MAX_RANK];
  for (int i = 0; i < MAX_RANK; i++) all[i] = i;
  return sq.bad || sq.lit ? sq : v_sum(o, sq, all, sq.type.rank, false);
}

static Value fn_dist2(Ops *o, Call *c) { return dist2(o, c->arg[0], c->arg[1]); }

static Value fn_mse(Ops *o, Call *c) {
  Value d = v_tensor(o, v_sub(o, c->arg[0], c->arg[1]), o->flt);
  return v_mean_all(o, v_mul(o, d, d));
}

static const Builtin row[] = {
    {"sum", "sum(x, axis = all, more.., keepdims = false)", "sum; true counts 1", fn_sum},
    {"mean", "mean(x, axis = all, more.., keepdims = false)", "mean; true counts 1", fn_mean},
    {"variance", "variance(x, axis = all, more.., keepdims = false)",
     "mean squared distance from the mean", fn_variance},
    {"std", "std(x, axis = all, more.., keepdims = false)",
     "root of the variance; derivative 0 where it is 0", fn_std},
    {"logsumexp", "logsumexp(x, axis = all, more.., keepdims = false)",
     "log of the sum of exponentials, without overflow", fn_logsumexp},
    {"norm", "norm(x, axis = all, more.., keepdims = false)", "root of norm2; derivative 0 at 0",
     fn_norm},
    {"norm2", "norm2(x, axis = all, more.., keepdims = false)", "sum of squares", fn_norm2},
    {"max", "max(x, y = none, axis = all, keepdims = false)",
     "the larger of x and y, element by element; of x alone, its maximum. Equal ones share the "
     "derivative",
     fn_max},
    {"min", "min(x, y = none, axis = all, keepdims = false)", "the same with the smaller", fn_min},
    {"argmax", "argmax(x, axis = -1)", "index of the first maximum, i32", fn_argmax},
    {"dist2", "dist2(x, y)", "sum of squared differences", fn_dist2},
    {"mse", "mse(x, y)", "mean of squared differences", fn_mse},
};

const BuiltinList builtins_reduce = {row, sizeof row / sizeof *row};
