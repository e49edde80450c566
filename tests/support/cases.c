/* Cases for every row of the op table. */
#include "tests/support/cases.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"

int case_param_index(const Node *param) { return param->attr.sym[1] - '0'; }

/* Deterministic, irregular, away from ties and kinks: fractional parts of multiples of the golden
 * ratio. */
static double sample(double lo, double hi, int64_t i) {
  double u = (double)(i + 1) * 0.6180339887498949 + 0.137;
  return lo + (hi - lo) * (u - floor(u));
}

static Node *param(Arena *a, Case *c, Type t, double lo, double hi) {
  int64_t n = type_count(t);
  int k = c->nparam++;
  c->param[k] = ir_param(c->graph, arena_printf(a, "p%d", k), t);
  c->value[k] = arena_array(a, double, (int)n);
  for (int64_t i = 0; i < n; i++) {
    double v = sample(lo, hi, i + 100 * k);
    c->value[k][i] = t.dtype == DT_BOOL ? v > (lo + hi) / 2 : t.dtype == DT_I32 ? floor(v) : v;
    if (t.dtype == DT_F32) c->value[k][i] = (float)c->value[k][i];
  }
  return c->param[k];
}

static Type shape(DType d, int rank, int64_t n0, int64_t n1, int64_t n2) {
  return type_make(d, rank, (int64_t[]){n0, n1, n2});
}

/* Elementwise rows: floats of two shapes, then integers and bools where the flags allow them. */
static Node *make_map(Arena *a, Case *c, Op op, int variant, DType real) {
  const OpInfo *o = op_info(op);
  bool only_bool = (o->flags & OPF_BOOL) && !(o->flags & OPF_INT);
  DType kinds[4];
  Type shapes[4];
  int n = 0;
  if (!only_bool) {
    kinds[n] = real, shapes[n++] = shape(real, 1, 7, 0, 0);
    kinds[n] = real, shapes[n++] = shape(real, 2, 3, 17, 0);
  }
  if (o->flags & OPF_INT) kinds[n] = DT_I32, shapes[n++] = shape(DT_I32, 1, 9, 0, 0);
  if (o->flags & OPF_BOOL) kinds[n] = DT_BOOL, shapes[n++] = shape(DT_BOOL, 1, 5, 0, 0);
  if (variant >= n) return NULL;
  Node *in[3];
  for (int k = 0; k < o->arity; k++) {
    Type t = op == OP_select && k == 0 ? type_with(shapes[variant], DT_BOOL) : shapes[variant];
    double lo =
        kinds[variant] == DT_I32 && o->lo < 1 && (op == OP_idiv || op == OP_mod) ? 1 : o->lo;
    in[k] = param(a, c, t, lo, o->hi);
  }
  return ir_node(c->graph, op, shapes[variant], in, o->arity, (Attr){0});
}

typedef Node *(*Make)(Arena *a, Case *c, int variant, DType real);

#define NUMERIC(c, rank, ...) param(a, c, shape(real, rank, __VA_ARGS__), -2, 2)

static Node *make_const(Arena *a, Case *c, int variant, DType real) {
  (void)a;
  return variant ? NULL : ir_const(c->graph, shape(real, 2, 3, 4, 0), -1.25);
}
static Node *make_param(Arena *a, Case *c, int variant, DType real) {
  return variant ? NULL : NUMERIC(c, 2, 3, 5, 0);
}
static Node *make_iota(Arena *a, Case *c, int variant, DType real) {
  (void)a, (void)real;
  return variant > 1 ? NULL : ir_iota(c->graph, shape(DT_I32, 2, 3, 5, 0), variant);
}
static Node *make_random(Arena *a, Case *c, int variant, DType real) {
  if (variant > 1) return NULL;
  Node *seed = param(a, c, type_scalar(DT_I32), 0, 99),
       *step = param(a, c, type_scalar(DT_I32), 0, 9);
  return ir_random(c->graph, shape(real, 2, 5, 33, 0), variant, 12, seed, step);
}
static Node *make_shuffle(Arena *a, Case *c, int variant, DType real) {
  (void)real;
  static const int64_t rows[] = {1, 2, 3, 63, 64, 65, 1000, 2147483647};
  if (variant >= 8) return NULL;
  Node *seed = param(a, c, type_scalar(DT_I32), 0, 99),
       *epoch = param(a, c, type_scalar(DT_I32), 0, 9);
  Type t = variant & 1 ? shape(DT_I32, 1, 67, 0, 0) : shape(DT_I32, 2, 3, 33, 0);
  double most = rows[variant] < 1000 ? (double)rows[variant] + 2 : 1000;
  return ir_shuffle(c->graph, rows[variant], 5, seed, epoch, param(a, c, t, 0, most));
}
static Node *make_cast(Arena *a, Case *c, int variant, DType real) {
  DType to[] = {DT_F64, DT_F32, DT_I32, DT_BOOL};
  if (variant >= 6) return NULL;
  DType from = variant < 4 ? real : variant == 4 ? DT_I32 : DT_BOOL;
  Node *x = param(a, c, shape(from, 1, 9, 0, 0), -3, 3);
  DType target = variant < 4 ? to[variant] : real;
  return ir_node(c->graph, OP_cast, type_with(x->type, target), &x, 1, (Attr){0});
}
static Node *make_broadcast(Arena *a, Case *c, int variant, DType real) {
  Type to = shape(real, 3, 2, 5, 3);
  switch (variant) {
  case 0: return ir_fill(c->graph, param(a, c, type_scalar(real), -2, 2), to);
  case 1: return ir_broadcast(c->graph, NUMERIC(c, 1, 5, 0, 0), to, (int64_t[]){1});
  case 2: return ir_broadcast(c->graph, NUMERIC(c, 2, 2, 3, 0), to, (int64_t[]){0, 2});
  case 3: return ir_broadcast(c->graph, NUMERIC(c, 1, 3, 0, 0), to, (int64_t[]){2});
  default: return NULL;
  }
}
static Node *make_reshape(Arena *a, Case *c, int variant, DType real) {
  switch (variant) {
  case 0: return ir_reshape(c->graph, NUMERIC(c, 2, 4, 6, 0), 3, (int64_t[]){2, 3, 4});
  case 1: return ir_reshape(c->graph, NUMERIC(c, 1, 1, 0, 0), 0, NULL);
  default: return NULL;
  }
}
static Node *make_transpose(Arena *a, Case *c, int variant, DType real) {
  switch (variant) {
  case 0: return ir_transpose(c->graph, NUMERIC(c, 2, 3, 17, 0), (int64_t[]){1, 0});
  case 1: return ir_transpose(c->graph, NUMERIC(c, 3, 2, 3, 4), (int64_t[]){2, 0, 1});
  default: return NULL;
  }
}
static Node *make_slice(Arena *a, Case *c, int variant, DType real) {
  if (variant) return NULL;
  return ir_slice(c->graph, NUMERIC(c, 2, 5, 7, 0), (int64_t[]){1, 3}, shape(real, 2, 3, 4, 0));
}
static Node *make_pad(Arena *a, Case *c, int variant, DType real) {
  if (variant) return NULL;
  return ir_pad(c->graph, NUMERIC(c, 2, 3, 4, 0), (int64_t[]){1, 0}, shape(real, 2, 5, 6, 0));
}
/* Windows and their transposes: steps with a remainder, dilation, padding, backwards, far outside,
   an axis of size 1, and numerators that are negative, odd, or divisible as they stand. */
static Node *make_skew(Arena *a, Case *c, int variant, DType real) {
  static const struct {
    int64_t dim[3], size, by[NSKEW];
  } v[] = {
      {{7, 3, 2}, 5, {0, 1, 1, 1, 0, 1}},       {{7, 3, 2}, 3, {0, 1, 2, 1, 0, 1}},
      {{9, 3, 2}, 3, {0, 1, 2, 2, -1, 1}},      {{2, 3, 7}, 8, {2, 1, 1, -1, 0, 1}},
      {{3, 3, 2}, 7, {0, 1, 1, -1, 0, 2}},      {{3, 3, 2}, 9, {0, 1, 1, -2, 1, 2}},
      {{4, 3, 2}, 6, {0, 1, 2, -1, -3, 3}},     {{1, 3, 2}, 6, {0, 1, 1, -2, -1, 3}},
      {{4, 3, 2}, 5, {0, 1, 2, 4, -6, 2}},      {{4, 3, 2}, 5, {0, 1, 2, 2, 1, 2}},
      {{3, 2, 5}, 1, {0, 2, 1, 1, -1, 1}},      {{5, 1, 2}, 4, {0, 1, 4, 9, 3, 3}},
      {{4, 3, 2}, 5, {0, 1, 1 << 30, 1, 1, 1}},
  };
  if (variant >= (int)(sizeof v / sizeof *v)) return NULL;
  Node *x = NUMERIC(c, 3, v[variant].dim[0], v[variant].dim[1], v[variant].dim[2]);
  return ir_skew(c->graph, x, v[variant].size, v[variant].by);
}
static Node *make_reverse(Arena *a, Case *c, int variant, DType real) {
  if (variant > 1) return NULL;
  return ir_reverse(c->graph, NUMERIC(c, 2, 3, 5, 0), (int64_t[]){1 - variant, 1}, 1 + variant);
}
static Node *make_concat(Arena *a, Case *c, int variant, DType real) {
  if (variant == 0)
    return ir_concat(c->graph, (Node *[]){NUMERIC(c, 2, 2, 3, 0), NUMERIC(c, 2, 4, 3, 0)}, 2, 0);
  if (variant > 1) return NULL;
  Node *in[] = {NUMERIC(c, 2, 3, 2, 0), NUMERIC(c, 2, 3, 1, 0), NUMERIC(c, 2, 3, 4, 0)};
  return ir_concat(c->graph, in, 3, 1);
}
static Node *make_gather(Arena *a, Case *c, int variant, DType real) {
  if (variant > 2) return NULL;
  Node *x = variant == 2 ? NUMERIC(c, 1, 6, 0, 0) : NUMERIC(c, 2, 6, 3, 0);
  Type index = variant == 1 ? shape(DT_I32, 2, 2, 4, 0) : shape(DT_I32, 1, 8, 0, 0);
  return ir_gather(c->graph, x, param(a, c, index, 0, 6));
}
static Node *make_sum(Arena *a, Case *c, int variant, DType real) {
  if (variant > 6) return NULL;
  int64_t axes[3]; /* every nonempty subset of three axes */
  int n = 0;
  for (int i = 0; i < 3; i++)
    if ((variant + 1) >> i & 1) axes[n++] = i;
  return ir_sum(c->graph, NUMERIC(c, 3, 3, 4, 5), axes, n);
}
static Node *make_reduce_max(Arena *a, Case *c, int variant, DType real) {
  if (variant > 6) return NULL;
  Node *sum = make_sum(a, c, variant, real);
  return ir_reduce_max(c->graph, sum->in[0], sum->attr.i, sum->attr.n);
}
static Node *make_argmax(Arena *a, Case *c, int variant, DType real) {
  return variant > 1 ? NULL : ir_argmax(c->graph, NUMERIC(c, 2, 4, 5, 0), variant);
}
static Node *scatter(Arena *a, Case *c, int variant, DType real, bool max) {
  if (variant > 1) return NULL;
  Node *i = param(a, c, shape(DT_I32, 1, 9, 0, 0), 0, 5);
  Node *u = variant ? NUMERIC(c, 1, 9, 0, 0) : NUMERIC(c, 2, 9, 3, 0);
  return max ? ir_scatter_max(c->graph, i, u, 5) : ir_scatter_add(c->graph, i, u, 5);
}
static Node *make_scatter_add(Arena *a, Case *c, int variant, DType real) {
  return scatter(a, c, variant, real, false);
}
static Node *make_scatter_max(Arena *a, Case *c, int variant, DType real) {
  return scatter(a, c, variant, real, true);
}
static Node *make_matmul(Arena *a, Case *c, int variant, DType real) {
  if (variant > 9) return NULL;
  bool ta = variant & 1, tb = variant & 2;
  if (variant > 7) { /* matrix-vector, both ways */
    Node *m = NUMERIC(c, 2, 7, 5, 0);
    return ir_matmul(c->graph, m, variant == 8 ? NUMERIC(c, 2, 5, 1, 0) : NUMERIC(c, 2, 7, 1, 0),
                     variant == 9, false);
  }
  if (variant > 3) { /* batched */
    Node *x = ta ? NUMERIC(c, 3, 2, 4, 3) : NUMERIC(c, 3, 2, 3, 4);
    return ir_matmul(c->graph, x, tb ? NUMERIC(c, 3, 2, 5, 4) : NUMERIC(c, 3, 2, 4, 5), ta, tb);
  }
  Node *x = ta ? NUMERIC(c, 2, 4, 3, 0) : NUMERIC(c, 2, 3, 4, 0);
  return ir_matmul(c->graph, x, tb ? NUMERIC(c, 2, 5, 4, 0) : NUMERIC(c, 2, 4, 5, 0), ta, tb);
}
static Node *make_solve(Arena *a, Case *c, int variant, DType real) {
  if (variant > 1) return NULL;
  Node *m = NUMERIC(c, 2, 4, 4, 0);
  for (int i = 0; i < 4; i++) c->value[0][5 * i] += 4;
  return ir_solve(c->graph, m, variant ? NUMERIC(c, 2, 4, 3, 0) : NUMERIC(c, 1, 4, 0, 0));
}

static const Make bulk[NOP] = {
#define BULK(name, ...) [OP_##name] = make_##name,
#include "ir/op.def"
};

bool case_make(Arena *a, Op op, int variant, DType real, Case *out) {
  *out = (Case){.graph = graph_new(a)};
  out->node = bulk[op] ? bulk[op](a, out, variant, real) : make_map(a, out, op, variant, real);
  return out->node != NULL;
}
