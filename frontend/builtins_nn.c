/* Built-ins of models: softmax and its kin, normalization, matrix products, kernel matrices,
   noise. Those that exponentiate subtract the maximum first, as a constant, which changes no
   derivative. */
#include <math.h>

#include "frontend/builtins.h"

static Value as_float(Ops *o, Call *c, int i) { return v_float(o, v_tensor(o, c->arg[i], o->flt)); }

Value v_softmax(Ops *o, Value x, int axis) {
  Value top, e = v_map1(o, OP_exp, v_shift(o, x, &axis, 1, &top));
  return v_div(o, e, v_sum(o, e, &axis, 1, true));
}

Value v_log_softmax(Ops *o, Value x, int axis) {
  Value top, shifted = v_shift(o, x, &axis, 1, &top);
  Value total = v_sum(o, v_map1(o, OP_exp, shifted), &axis, 1, true);
  return v_sub(o, shifted, v_map1(o, OP_log, total));
}

static Value fn_softmax(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  int axis;
  return call_rank(o, c, 0, 1) && call_axis(o, c, 1, x, &axis) ? v_softmax(o, x, axis)
                                                               : value_bad();
}

static Value fn_log_softmax(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  int axis;
  return call_rank(o, c, 0, 1) && call_axis(o, c, 1, x, &axis) ? v_log_softmax(o, x, axis)
                                                               : value_bad();
}

/* gumbel_softmax(x, tau = 1, axis = -1): Jang et al. 2017. softmax((x + g) / tau), g = -log(-log
   u). */
static Value fn_gumbel_softmax(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  int axis;
  if (!call_rank(o, c, 0, 1) || !call_axis(o, c, 2, x, &axis)) return value_bad();
  Value u = v_random(o, x.type, RANDOM_UNIFORM);
  Value least = value_float(o, x.type.dtype == DT_F64 ? 1e-300 : 1e-37);
  Value e = v_neg(o, v_map1(o, OP_log, v_map2(o, OP_max, u, least)));
  Value g = v_neg(o, v_map1(o, OP_log, v_map2(o, OP_max, e, least)));
  return v_softmax(o, v_div(o, v_add(o, x, g), c->arg[1]), axis);
}

/* layernorm(x, scale = 1, shift = 0, eps = 1e-5): Ba et al. 2016, over the last axis. */
static Value fn_layernorm(Ops *o, Call *c) {
  if (!call_rank(o, c, 0, 1)) return value_bad();
  Value x = as_float(o, c, 0);
  int last = x.type.rank - 1;
  Value d = v_sub(o, x, v_mean(o, x, &last, 1, true));
  Value var = v_mean(o, v_mul(o, d, d), &last, 1, true);
  Value r = v_mul(o, d, v_map1(o, OP_recip, v_map1(o, OP_sqrt, v_add(o, var, c->arg[3]))));
  if (call_given(c, 1)) r = v_mul(o, r, c->arg[1]);
  return call_given(c, 2) ? v_add(o, r, c->arg[2]) : r;
}

/* rmsnorm(x, scale = 1, eps = 1e-6): Zhang and Sennrich 2019, over the last axis. */
static Value fn_rmsnorm(Ops *o, Call *c) {
  if (!call_rank(o, c, 0, 1)) return value_bad();
  Value x = as_float(o, c, 0);
  int last = x.type.rank - 1;
  Value ms = v_mean(o, v_mul(o, x, x), &last, 1, true);
  Value r = v_mul(o, x, v_map1(o, OP_recip, v_map1(o, OP_sqrt, v_add(o, ms, c->arg[2]))));
  return call_given(c, 1) ? v_mul(o, r, c->arg[1]) : r;
}

static Value fn_matmul(Ops *o, Call *c) { return v_matmul(o, c->arg[0], c->arg[1]); }

static Value fn_dot(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), y = as_float(o, c, 1);
  int all[MAX_RANK];
  for (int i = 0; i < MAX_RANK; i++) all[i] = i;
  if (!v_join(o, &x, &y)) return value_bad();
  return v_sum(o, v_mul(o, x, y), all, x.type.rank, false);
}

static Value fn_outer(Ops *o, Call *c) {
  Value x = v_tensor(o, c->arg[0], o->flt), y = v_tensor(o, c->arg[1], o->flt);
  if (!call_rank(o, c, 0, 1) || !call_rank(o, c, 1, 1) || !call_room(o, x, y.type.rank))
    return value_bad();
  for (int i = y.type.rank; i > 0; i--) x = v_expand(o, x, x.type.rank);
  return v_mul(o, x, y);
}

/* Squared distances of the rows of two matrices, from differences: exact where rows are close, and
   no more than a reduction once fused. */
static Value pdist2(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), y = as_float(o, c, 1);
  if (x.bad || y.bad) return value_bad();
  if (x.type.rank != 2 || y.type.rank != 2 || !dim_eq(x.type.dim[1], y.type.dim[1])) {
    Diag *d = ops_error(o, o->at, "E0201",
                        "%s compares the rows of two matrices of equal width: %s and %s", o->what,
                        stype_str(o, x.type), stype_str(o, y.type));
    if (x.span.hi) diag_label(o->diags, d, x.span, "%s", stype_str(o, x.type));
    if (y.span.hi) diag_label(o->diags, d, y.span, "%s", stype_str(o, y.type));
    return value_bad();
  }
  y = v_expand(o, y, 0);
  Value d = v_sub(o, v_expand(o, x, 1), y);
  return v_sum(o, v_mul(o, d, d), (int[]){2}, 1, false);
}

static Value fn_pdist2(Ops *o, Call *c) { return pdist2(o, c); }

static Value fn_rbf(Ops *o, Call *c) {
  return v_map1(o, OP_exp, v_neg(o, v_mul(o, c->arg[2], pdist2(o, c))));
}

static const Builtin row[] = {
    {"softmax", "softmax(x, axis = -1)", "exponentials divided by their sum", fn_softmax},
    {"log_softmax", "log_softmax(x, axis = -1)", "logarithm of softmax, without underflow",
     fn_log_softmax},
    {"gumbel_softmax", "gumbel_softmax(x, tau = 1, axis = -1)",
     "softmax of (x + Gumbel noise) / tau, new noise each step of the level", fn_gumbel_softmax},
    {"layernorm", "layernorm(x, scale = 1, shift = 0, eps = 1e-5)",
     "x centred and scaled to variance 1 over the last axis, times scale, plus shift",
     fn_layernorm},
    {"rmsnorm", "rmsnorm(x, scale = 1, eps = 1e-6)",
     "x scaled to mean square 1 over the last axis, times scale", fn_rmsnorm},
    {"matmul", "matmul(x, y)", "`x @ y`: products of vectors, matrices, and batches of them",
     fn_matmul},
    {"dot", "dot(x, y)", "sum of products over all axes", fn_dot},
    {"outer", "outer(x, y)", "all products: [I.., J..]", fn_outer},
    {"pdist2", "pdist2(x, y)", "squared distances of the rows of x[N, D] and y[M, D]: [N, M]",
     fn_pdist2},
    {"rbf", "rbf(x, y, gamma)", "exp(-gamma pdist2(x, y))", fn_rbf},
};

const BuiltinList builtins_nn = {row, sizeof row / sizeof *row};
