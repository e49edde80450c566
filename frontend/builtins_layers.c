/* Built-ins of networks' layers beyond windows: dropout, rotary positions, attention, and gradients
   that pass what has none. */
#include <math.h>

#include "frontend/builtins.h"

static Value as_float(Ops *o, Call *c, int i) { return v_float(o, v_tensor(o, c->arg[i], o->flt)); }

/* dropout(x, rate): Srivastava et al. 2014, scaled where it trains: x / (1 - rate) where u >= rate,
   u uniform in [0, 1), new each step; x itself where the level evaluates. */
static Value fn_dropout(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  double rate;
  if (x.bad || !call_number(o, c, 1, &rate)) return value_bad();
  if (!(rate >= 0 && rate < 1)) {
    if (isnan(c->arg[1].num)) return x; /* a size that is not known yet */
    ops_error(o, c->source[1]->span, "E0227", "a dropout rate is at least 0 and less than 1");
    return value_bad();
  }
  if (rate == 0 || !o->train) return x;
  Value u = v_random(o, x.type, RANDOM_UNIFORM);
  Value dropped = v_compare(o, OP_lt, u, value_float(o, rate));
  return v_select(o, dropped, value_int(o, 0), v_scale(o, x, 1 / (1 - rate)));
}

/* straight_through(hard, soft): Bengio et al. 2013. soft - stop(soft) is 0 exactly, with the
   derivative of soft. */
static Value fn_straight_through(Ops *o, Call *c) {
  Value hard = as_float(o, c, 0), soft = as_float(o, c, 1);
  if (hard.bad || soft.bad || !v_join(o, &hard, &soft)) return value_bad();
  Value none = v_sub(o, soft, v_stop(o, soft));
  return v_add(o, v_stop(o, hard), none);
}

static bool read_even(Ops *o, Value x, SDim *half) {
  SDim two = dim_int(o->arena, 2), last = x.type.dim[x.type.rank - 1];
  bool exact;
  *half = dim_div(o->arena, last, two, &exact);
  if (exact) return true;
  ops_error(o, o->at, "E0220", "`2` does not divide `%s`: %s turns pairs of features", last.text,
            o->what);
  return false;
}

/* Angle of pair i at position t: t base^(-2 i / D), as [T, D / 2, 1]. */
static Value angles(Ops *o, DType d, SDim length, SDim half, double base) {
  SType t = {.dtype = DT_I32, .rank = 2, .dim = {length, half}};
  double pairs = half.value > 0 ? (double)half.value : 1;
  Value i = v_cast(o, v_iota(o, t, 1), d), at = v_cast(o, v_iota(o, t, 0), d);
  Value turn = v_map1(o, OP_exp, v_scale(o, i, -log(base) / pairs));
  return v_expand(o, v_mul(o, at, turn), 2);
}

/* rope(x, base = 10000): Su et al. 2021 (RoFormer), equation 34. Features 2i and 2i + 1 are a pair,
   turned at position t (along the axis before the last) by the angle a = t base^(-2i/D):
   (u, v) becomes (u cos a - v sin a, v cos a + u sin a). */
static Value fn_rope(Ops *o, Call *c) {
  Value x = as_float(o, c, 0);
  double base;
  SDim half;
  if (!call_rank(o, c, 0, 2) || !call_number(o, c, 1, &base) || !read_even(o, x, &half))
    return value_bad();
  if (!(base > 0) || isinf(base)) {
    ops_error(o, c->source[1]->span, "E0227", "the base of %s is a positive number", o->what);
    return value_bad();
  }
  SType t = x.type;
  SDim length = t.dim[t.rank - 2];
  SDim dim[4] = {stype_count(o, t, 0, t.rank - 2), length, half, dim_int(o->arena, 2)};
  Value pair = v_reshape(o, x, 4, dim), a = angles(o, t.dtype, length, half, base);
  SType two = {.dtype = DT_I32, .rank = 1, .dim = {dim[3]}};
  Value sign = v_offset(o, v_scale(o, v_cast(o, v_iota(o, two, 0), t.dtype), 2), -1); /* -1 1 */
  Value kept = v_mul(o, pair, v_map1(o, OP_cos, a));
  Value turn = v_mul(o, v_map1(o, OP_sin, a), sign);
  Value y = v_add(o, kept, v_mul(o, v_reverse(o, pair, 3), turn));
  return v_reshape(o, y, t.rank, t.dim);
}

/* Which keys [.., T, S] a query sees: a bad value where nothing hides any. False after an error. */
static bool read_mask(Ops *o, Call *c, SType scores, Value *mask) {
  bool causal;
  *mask = value_bad();
  if (!call_flag(o, c, 3, &causal)) return false;
  if (call_given(c, 4)) {
    *mask = c->arg[4];
    if (mask->lit || mask->type.dtype != DT_BOOL) {
      ops_error(o, c->source[4]->span, "E0214", "the mask of %s holds truth values, and this is %s",
                o->what, value_str(o, *mask));
      return false;
    }
    SType joined, want = scores;
    if (!v_join_shapes(o, *mask, value_new(want, NULL), &joined)) return false;
    if (joined.rank != want.rank || !stype_same_shape(joined, want)) {
      ops_error(o, c->source[4]->span, "E0201", "the mask of %s does not fit its scores: %s and %s",
                o->what, stype_str(o, mask->type), stype_str(o, want));
      return false;
    }
  }
  if (!causal) return true;
  SType t = {.dtype = DT_I32, .rank = 2};
  t.dim[0] = scores.dim[scores.rank - 2];
  t.dim[1] = scores.dim[scores.rank - 1];
  if (!dim_eq(t.dim[0], t.dim[1])) {
    ops_error(o, c->source[3]->span, "E0201",
              "causal %s needs as many queries as keys: `%s` and `%s`", o->what, t.dim[0].text,
              t.dim[1].text);
    return false;
  }
  Value query = v_iota(o, t, 0), before = v_compare(o, OP_le, v_iota(o, t, 1), query);
  *mask = call_given(c, 4) ? v_logic(o, OP_and, *mask, before) : before;
  return true;
}

/* Softmax over the last axis of what the mask leaves; 0 where it leaves nothing. What is masked
   stands at a large negative number, finite so that no derivative meets inf - inf, and its weight
   is 0 exactly. */
static Value masked_softmax(Ops *o, Value s, Value mask) {
  int last = s.type.rank - 1;
  Value top, low = value_float(o, -1e30), zero = value_int(o, 0);
  Value e = v_map1(o, OP_exp, v_shift(o, v_select(o, mask, s, low), &last, 1, &top));
  e = v_select(o, mask, e, zero);
  Value total = v_sum(o, e, &last, 1, true);
  Value none = v_compare(o, OP_eq, total, zero);
  return v_div(o, e, v_select(o, none, value_int(o, 1), total));
}

/* attention(q, k, v, causal = false, mask = none): Vaswani et al. 2017. q [.., T, D], k [.., S, D],
   v [.., S, E]: softmax(q k' / sqrt D) v, [.., T, E]. */
static Value fn_attention(Ops *o, Call *c) {
  Value q = as_float(o, c, 0), k = as_float(o, c, 1), v = as_float(o, c, 2), mask;
  for (int i = 0; i < 3; i++)
    if (!call_rank(o, c, i, 2)) return value_bad();
  if (q.bad || k.bad || v.bad) return value_bad();
  int perm[MAX_RANK], r = k.type.rank;
  for (int i = 0; i < r; i++) perm[i] = i == r - 2 ? r - 1 : i == r - 1 ? r - 2 : i;
  int64_t width = q.type.dim[q.type.rank - 1].value;
  Value s = v_matmul(o, q, v_transpose(o, k, perm));
  s = v_scale(o, s, width > 0 ? 1 / sqrt((double)width) : 1);
  if (s.bad || !read_mask(o, c, s.type, &mask)) return value_bad();
  Value p = mask.bad ? v_softmax(o, s, s.type.rank - 1) : masked_softmax(o, s, mask);
  return v_matmul(o, p, v);
}

static const Builtin row[] = {
    {"dropout", "dropout(x, rate)",
     "in objectives, x with each element 0 at probability rate and divided by 1 - rate else, anew "
     "each step; in metrics, x",
     fn_dropout},
    {"straight_through", "straight_through(hard, soft)",
     "the value of hard with the derivative of soft", fn_straight_through},
    {"rope", "rope(x, base = 10000)",
     "rotary positions: features 2i and 2i + 1 of x[.., T, D] turned by t / base^(2i / D) at "
     "position t",
     fn_rope},
    {"attention", "attention(q, k, v, causal = false, mask = none)",
     "softmax(q @ k.T / sqrt(D)) @ v of q[.., T, D], k[.., S, D], v[.., S, E]; where mask[.., T, "
     "S] is false, or `causal` and the key is later, its weight is 0",
     fn_attention},
};

const BuiltinList builtins_layers = {row, sizeof row / sizeof *row};
