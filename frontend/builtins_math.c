/* Built-ins that work element by element. Kinks take the derivative from one side, and branches
   that are not taken are computed at a harmless point, so that they cannot turn 0 times infinity
   into NaN. A NaN that comes in goes out: conditions are put so that NaN takes the branch of x. */
#include <math.h>

#include "frontend/builtins.h"
#include "ir/op.h"

/* op(x); numbers of the program text stay numbers. */
static Value map(Ops *o, Op op, Value x) {
  if (x.bad) return x;
  if (x.lit) return value_float(o, op_info(op)->map(x.num, 0, 0));
  return v_map1(o, op, v_float(o, x));
}

#define ELEMENTWISE(op)                                                                            \
  static Value fn_##op(Ops *o, Call *c) { return map(o, OP_##op, c->arg[0]); }

ELEMENTWISE(exp)
ELEMENTWISE(expm1)
ELEMENTWISE(log)
ELEMENTWISE(log1p)
ELEMENTWISE(sqrt)
ELEMENTWISE(recip)
ELEMENTWISE(sign)
ELEMENTWISE(abs)
ELEMENTWISE(sin)
ELEMENTWISE(cos)
ELEMENTWISE(tanh)
ELEMENTWISE(sigmoid)
ELEMENTWISE(softplus)
ELEMENTWISE(erf)
ELEMENTWISE(floor)
ELEMENTWISE(round)

static Value fn_rsqrt(Ops *o, Call *c) { return map(o, OP_recip, map(o, OP_sqrt, c->arg[0])); }
static Value fn_square(Ops *o, Call *c) { return v_mul(o, c->arg[0], c->arg[0]); }
static Value fn_pow(Ops *o, Call *c) { return v_pow(o, c->arg[0], c->arg[1]); }
static Value fn_where(Ops *o, Call *c) { return v_select(o, c->arg[0], c->arg[1], c->arg[2]); }
static Value fn_stop(Ops *o, Call *c) { return v_stop(o, c->arg[0]); }

/* x <= 0; NaN is not. */
static Value below_0(Ops *o, Value x) { return v_compare(o, OP_le, x, value_int(o, 0)); }

static Value as_float(Ops *o, Call *c, int i) { return v_float(o, v_tensor(o, c->arg[i], o->flt)); }

Value v_relu(Ops *o, Value x) { return v_select(o, below_0(o, x), value_int(o, 0), x); }

static Value fn_relu(Ops *o, Call *c) { return v_relu(o, as_float(o, c, 0)); }

static Value fn_leaky_relu(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), low = v_mul(o, x, c->arg[1]);
  return v_select(o, below_0(o, x), low, x);
}

static Value fn_elu(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), below = below_0(o, x);
  Value e = v_map1(o, OP_expm1, v_select(o, below, x, value_int(o, 0)));
  return v_select(o, below, v_mul(o, e, c->arg[1]), x);
}

/* x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016). */
static Value fn_gelu(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  Value t = v_offset(o, v_map1(o, OP_erf, v_scale(o, x, 0.70710678118654752440)), 1);
  return v_mul(o, v_scale(o, x, 0.5), t);
}

static Value fn_gelu_tanh(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), cube = v_mul(o, x, v_mul(o, x, x));
  Value in = v_scale(o, v_add(o, x, v_scale(o, cube, 0.044715)), 0.79788456080286535588);
  Value t = v_offset(o, v_map1(o, OP_tanh, in), 1);
  return v_mul(o, v_scale(o, x, 0.5), t);
}

static Value fn_silu(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  return v_mul(o, x, v_map1(o, OP_sigmoid, x));
}

/* Where a < b, one of which is the bound; and where the bound is NaN. */
static Value beyond(Ops *o, Value a, Value b, Value bound) {
  Value r = v_compare(o, OP_lt, a, b);
  if (bound.lit || bound.type.dtype == DT_I32) return r;
  return v_logic(o, OP_or, r, v_compare(o, OP_ne, bound, bound));
}

static Value fn_clamp(Ops *o, Call *c) {
  Value x = v_tensor(o, c->arg[0], o->flt), lo = c->arg[1], hi = c->arg[2];
  Value r = v_select(o, beyond(o, hi, x, hi), hi, x);
  return v_select(o, beyond(o, x, lo, lo), lo, r);
}

static Value fn_f32(Ops *o, Call *c) { return v_cast(o, c->arg[0], o->flt); }
static Value fn_f64(Ops *o, Call *c) { return v_cast(o, c->arg[0], DT_F64); }
static Value fn_i32(Ops *o, Call *c) { return v_cast(o, c->arg[0], DT_I32); }

static const Builtin row[] = {
    {"exp", "exp(x)", "e to the x", fn_exp},
    {"expm1", "expm1(x)", "exp(x) - 1, accurate near 0", fn_expm1},
    {"log", "log(x)", "natural logarithm", fn_log},
    {"log1p", "log1p(x)", "log(1 + x), accurate near 0", fn_log1p},
    {"sqrt", "sqrt(x)", "square root", fn_sqrt},
    {"rsqrt", "rsqrt(x)", "1 / sqrt(x)", fn_rsqrt},
    {"recip", "recip(x)", "1 / x", fn_recip},
    {"square", "square(x)", "x^2", fn_square},
    {"pow", "pow(x, y)", "x^y; small integer powers multiply", fn_pow},
    {"abs", "abs(x)", "absolute value; derivative 0 at 0", fn_abs},
    {"sign", "sign(x)", "-1, 0 or 1; derivative 0", fn_sign},
    {"floor", "floor(x)", "largest integer not above x; derivative 0", fn_floor},
    {"round", "round(x)", "nearest integer, ties to even; derivative 0", fn_round},
    {"sin", "sin(x)", "sine; NaN from abs(x) = 2^30 on in f32", fn_sin},
    {"cos", "cos(x)", "cosine; NaN from abs(x) = 2^30 on in f32", fn_cos},
    {"tanh", "tanh(x)", "hyperbolic tangent", fn_tanh},
    {"erf", "erf(x)", "error function", fn_erf},
    {"sigmoid", "sigmoid(x)", "1 / (1 + exp(-x))", fn_sigmoid},
    {"softplus", "softplus(x)", "log(1 + exp(x)), without overflow", fn_softplus},
    {"relu", "relu(x)", "x above 0, else 0; derivative 0 at 0", fn_relu},
    {"leaky_relu", "leaky_relu(x, slope = 0.01)", "x above 0, else slope x", fn_leaky_relu},
    {"elu", "elu(x, alpha = 1)", "x above 0, else alpha (exp(x) - 1)", fn_elu},
    {"gelu", "gelu(x)", "x Phi(x) with the normal distribution function, exactly", fn_gelu},
    {"gelu_tanh", "gelu_tanh(x)", "gelu by its tanh approximation", fn_gelu_tanh},
    {"silu", "silu(x)", "x sigmoid(x)", fn_silu},
    {"clamp", "clamp(x, lo, hi)", "x, but at least lo and at most hi; derivative 0 outside",
     fn_clamp},
    {"where", "where(c, a, b)", "a where c is true, b elsewhere, as `if c then a else b`",
     fn_where},
    {"stop", "stop(x)", "x, but a constant for all derivatives", fn_stop},
    {"f32", "f32(x)", "x as f32 (f64 in a run of precision f64); true is 1, false 0", fn_f32},
    {"f64", "f64(x)", "x as f64", fn_f64},
    {"i32", "i32(x)", "x as i32, towards 0", fn_i32},
};

const BuiltinList builtins_math = {row, sizeof row / sizeof *row};
