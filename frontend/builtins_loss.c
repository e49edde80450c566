/* Built-ins that compare predictions with what was wanted: cross entropies, divergence,
   contrastive loss, similarity. All are safe where their textbook forms overflow or take 0 log
   0. */
#include <math.h>

#include "frontend/builtins.h"

static Value as_float(Ops *o, Call *c, int i) { return v_float(o, v_tensor(o, c->arg[i], o->flt)); }

/* y log p, and 0 where y is 0 and p is a number. */
static Value y_log_p(Ops *o, Value y, Value p) {
  Value number = v_compare(o, OP_eq, p, p);
  Value none = v_logic(o, OP_and, v_compare(o, OP_eq, y, value_int(o, 0)), number);
  Value log_p = v_map1(o, OP_log, v_select(o, none, value_int(o, 1), p));
  return v_select(o, none, value_int(o, 0), v_mul(o, y, log_p));
}

static Value sum_last(Ops *o, Value x) {
  int last = x.type.rank - 1;
  return x.bad ? x : v_sum(o, x, &last, 1, false);
}

static bool label_shape(Ops *o, Value z, Value y, int drop) {
  bool fits = y.type.rank == z.type.rank - drop;
  for (int i = 0; fits && i < y.type.rank; i++) fits = dim_eq(y.type.dim[i], z.type.dim[i]);
  if (fits) return true;
  Diag *d = ops_error(o, o->at, "E0201", "shapes of %s do not fit: logits %s, labels %s", o->what,
                      stype_str(o, z.type), stype_str(o, y.type));
  if (z.span.hi) diag_label(o->diags, d, z.span, "%s", stype_str(o, z.type));
  if (y.span.hi) diag_label(o->diags, d, y.span, "%s", stype_str(o, y.type));
  diag_help(o->diags, d,
            "labels are indices, i32 without the last axis, or probabilities of the same shape");
  return false;
}

/* xent(logits, labels, ignore_index = none): logsumexp(z) - z[label], per example. The label's
   logit is picked by comparison, so that the derivative is softmax minus one-hot in one pass. */
static Value xent_index(Ops *o, Call *c, Value z, Value y) {
  int last = z.type.rank - 1;
  SDim n = z.type.dim[last];
  bool ignore = call_given(c, 2);
  double skip = 0;
  if (ignore && !call_number(o, c, 2, &skip)) return value_bad();
  if (!label_shape(o, z, y, 1) || (!ignore && !v_may_index(o, y, n))) return value_bad();
  Value picked = sum_last(o, v_select(o, v_one_hot_mask(o, y, n), z, value_int(o, 0)));
  Value loss = v_sub(o, v_logsumexp(o, z, &last, 1, false), picked);
  if (!ignore) return loss;
  return v_select(o, v_compare(o, OP_eq, y, v_cast(o, value_float(o, skip), DT_I32)),
                  value_int(o, 0), loss);
}

static Value fn_xent(Ops *o, Call *c) {
  Value z = as_float(o, c, 0), y = v_tensor(o, c->arg[1], DT_I32);
  if (z.bad || y.bad || !call_rank(o, c, 0, 1)) return value_bad();
  if (y.type.dtype == DT_I32) return xent_index(o, c, z, y);
  if (call_given(c, 2)) {
    ops_error(o, o->at, "E0230", "`ignore_index` goes with labels that are indices");
    return value_bad();
  }
  if (!label_shape(o, z, y, 0)) return value_bad();
  int last = z.type.rank - 1;
  return v_neg(o, sum_last(o, v_mul(o, y, v_log_softmax(o, z, last))));
}

/* -(y log p + (1 - y) log(1 - p)) */
static Value fn_bce(Ops *o, Call *c) {
  Value p = as_float(o, c, 0), y = as_float(o, c, 1), one = value_int(o, 1);
  Value a = y_log_p(o, y, p), miss = v_sub(o, one, p);
  Value b = y_log_p(o, v_sub(o, one, y), miss);
  return v_neg(o, v_add(o, a, b));
}

/* softplus(z) - y z */
static Value fn_bce_logits(Ops *o, Call *c) {
  Value z = as_float(o, c, 0), y = as_float(o, c, 1);
  Value yz = v_mul(o, y, z);
  return v_sub(o, v_map1(o, OP_softplus, z), yz);
}

/* sum over the last axis of p (log p - log q) */
static Value fn_kl(Ops *o, Call *c) {
  if (!call_rank(o, c, 0, 1) || !call_rank(o, c, 1, 1)) return value_bad();
  Value p = as_float(o, c, 0), q = as_float(o, c, 1);
  Value cross = y_log_p(o, p, q);
  return sum_last(o, v_sub(o, y_log_p(o, p, p), cross));
}

/* x / |x| along an axis; |x| is taken to be eps at least. */
static Value normalize(Ops *o, Value x, int axis, double eps) {
  Value n2 = v_sum(o, v_mul(o, x, x), &axis, 1, true), least = value_float(o, eps * eps);
  Value safe = v_select(o, v_compare(o, OP_le, n2, least), least, n2);
  return v_div(o, x, v_map1(o, OP_sqrt, safe));
}

/* cosine_similarity(x, y, axis = -1) */
static Value fn_cosine(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), y = as_float(o, c, 1);
  if (!call_rank(o, c, 0, 1) || !call_rank(o, c, 1, 1) || !v_join(o, &x, &y)) return value_bad();
  int axis;
  if (!call_axis(o, c, 2, x, &axis)) return value_bad();
  y = normalize(o, y, axis, 1e-6);
  x = normalize(o, x, axis, 1e-6);
  return v_sum(o, v_mul(o, x, y), &axis, 1, false);
}

/* infonce(x, y, temperature = 0.1): van den Oord et al. 2018. s_ij = cos(x_i, y_j) / temperature;
   the mean over i of logsumexp_j(s_ij) - s_ii. */
static Value fn_infonce(Ops *o, Call *c) {
  Value x = as_float(o, c, 0), y = as_float(o, c, 1);
  if (x.bad || y.bad) return value_bad();
  if (x.type.rank != 2 || !stype_same_shape(x.type, y.type)) {
    ops_error(o, o->at, "E0201", "%s compares rows of two matrices of one shape: %s and %s",
              o->what, stype_str(o, x.type), stype_str(o, y.type));
    return value_bad();
  }
  x = v_div(o, normalize(o, x, 1, 1e-6), c->arg[2]);
  y = normalize(o, y, 1, 1e-6);
  int last = 1;
  Value s = v_matmul(o, x, v_transpose(o, y, (int[]){1, 0}));
  Value same = sum_last(o, v_mul(o, x, y));
  return v_mean_all(o, v_sub(o, v_logsumexp(o, s, &last, 1, false), same));
}

static const Builtin row[] = {
    {"xent", "xent(logits, labels, ignore_index = none)",
     "cross entropy per example, over the last axis; labels are indices or probabilities. Examples "
     "labelled "
     "`ignore_index` count 0",
     fn_xent},
    {"bce", "bce(p, y)", "binary cross entropy of probabilities, per element", fn_bce},
    {"bce_logits", "bce_logits(z, y)", "the same of logits: softplus(z) - y z", fn_bce_logits},
    {"kl", "kl(p, q)", "sum of p log(p / q) over the last axis", fn_kl},
    {"cosine_similarity", "cosine_similarity(x, y, axis = -1)", "cosine of the angle along an axis",
     fn_cosine},
    {"infonce", "infonce(x, y, temperature = 0.1)",
     "contrastive loss: row i of x and row i of y belong together, all other pairs do not",
     fn_infonce},
};

const BuiltinList builtins_loss = {row, sizeof row / sizeof *row};
