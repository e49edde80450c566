/* Tests over the op table: a new row is covered at once. Values against committed ones from an
   independent source (mpmath and NumPy), VJP and JVP against central differences, the dot-product
   identity, and second derivatives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ir/derive.h"
#include "ir/eval.h"
#include "ir/op.h"
#include "tests/support/cases.h"

/* ---- values of elementwise rows: mpmath at 40 digits */

static const struct {
  Op op;
  double x, z, y;
} scalars[] = {
    /* clang-format off */
    {OP_neg, -1.375, 0, 1.375},
    {OP_neg, 0.8125, 0, -0.8125},
    {OP_abs, -1.375, 0, 1.375},
    {OP_abs, 0.8125, 0, 0.8125},
    {OP_sign, -1.375, 0, -1.0},
    {OP_sign, 0.8125, 0, 1.0},
    {OP_exp, -1.375, 0, 0.252839595804746478},
    {OP_exp, 0.8125, 0, 2.25353478721320854},
    {OP_expm1, -1.375, 0, -0.747160404195253522},
    {OP_expm1, 0.8125, 0, 1.25353478721320854},
    {OP_log, 0.375, 0, -0.980829253011726237},
    {OP_log, 2.5, 0, 0.916290731874155065},
    {OP_log1p, -0.5, 0, -0.693147180559945309},
    {OP_log1p, 1.25, 0, 0.810930216216328764},
    {OP_sqrt, 0.375, 0, 0.612372435695794525},
    {OP_sqrt, 2.5, 0, 1.58113883008418967},
    {OP_recip, 0.625, 0, 1.6},
    {OP_recip, 1.75, 0, 0.571428571428571429},
    {OP_tanh, -1.375, 0, -0.879826699651984756},
    {OP_tanh, 0.8125, 0, 0.670967074206873674},
    {OP_sigmoid, -1.375, 0, 0.20181322226037883},
    {OP_sigmoid, 0.8125, 0, 0.692641983134736145},
    {OP_softplus, -1.375, 0, 0.225412651601647927},
    {OP_softplus, 0.8125, 0, 1.17974203213892697},
    {OP_sin, -1.375, 0, -0.980893057023155696},
    {OP_sin, 0.8125, 0, 0.72600865526071255},
    {OP_cos, -1.375, 0, 0.194547707988987184},
    {OP_cos, 0.8125, 0, 0.687685562220504845},
    {OP_erf, -1.375, 0, -0.948170072782090323},
    {OP_erf, 0.8125, 0, 0.749464025586362068},
    {OP_floor, -1.375, 0, -2.0},
    {OP_floor, 0.8125, 0, 0.0},
    {OP_round, -1.375, 0, -1.0},
    {OP_round, 0.8125, 0, 1.0},
    {OP_stop, -1.375, 0, -1.375},
    {OP_stop, 0.8125, 0, 0.8125},
    {OP_shift, -1.375, 0, -1.375},
    {OP_shift, 0.8125, 0, 0.8125},
    {OP_add, 1.625, 0.75, 2.375},
    {OP_add, 0.5625, 1.9375, 2.5},
    {OP_sub, 1.625, 0.75, 0.875},
    {OP_sub, 0.5625, 1.9375, -1.375},
    {OP_mul, 1.625, 0.75, 1.21875},
    {OP_mul, 0.5625, 1.9375, 1.08984375},
    {OP_div, 1.625, 0.75, 2.16666666666666667},
    {OP_div, 0.5625, 1.9375, 0.29032258064516129},
    {OP_pow, 1.625, 0.75, 1.43926254637472896},
    {OP_pow, 0.5625, 1.9375, 0.327991353983883903},
    {OP_max, 1.625, 0.75, 1.625},
    {OP_max, 0.5625, 1.9375, 1.9375},
    {OP_min, 1.625, 0.75, 0.75},
    {OP_min, 0.5625, 1.9375, 0.5625},
    {OP_idiv, 7.5, 2.25, 3.0},
    {OP_idiv, 2.0, 5.0, 0.0},
    {OP_mod, 7.5, 2.25, 0.75},
    {OP_mod, 2.0, 5.0, 2.0},
    {OP_lt, 1.625, 0.75, 0.0},
    {OP_lt, 0.5625, 1.9375, 1.0},
    {OP_le, 1.625, 0.75, 0.0},
    {OP_le, 0.5625, 1.9375, 1.0},
    {OP_eq, 1.625, 0.75, 0.0},
    {OP_eq, 0.5625, 1.9375, 0.0},
    {OP_ne, 1.625, 0.75, 1.0},
    {OP_ne, 0.5625, 1.9375, 1.0},
    /* clang-format on */
};

static const double *value_of(void *ctx, const Node *n) {
  const Case *c = ctx;
  return c->value[case_param_index(n)];
}

static const double *evaluate(Arena *a, Case *c, Node *n) {
  const double *out;
  ir_eval(a, c->graph, &n, 1, value_of, c, &out);
  return out;
}

static void scalar_values(void **state) {
  (void)state;
  bool seen[NOP] = {false};
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
    const OpInfo *o = op_info(scalars[i].op);
    double y = o->map(scalars[i].x, scalars[i].z, 0);
    if (fabs(y - scalars[i].y) > 4e-16 * (1 + fabs(y)))
      fail_msg("%s(%g, %g) = %.17g, not %.17g", o->name, scalars[i].x, scalars[i].z, y,
               scalars[i].y);
    seen[scalars[i].op] = true;
  }
  const Op logic[] = {OP_not, OP_and, OP_or, OP_select};
  const double truth[][4] = {{1, 0, 1, 0}, {0, 0, 0, 1}, {0, 1, 1, 1}, {0, 0, 1, 1}};
  for (int k = 0; k < 4; k++) {
    seen[logic[k]] = true;
    for (int i = 0; i < 4; i++) {
      double x = logic[k] == OP_not ? i % 2 : i / 2, z = i % 2;
      double y = logic[k] == OP_select ? op_info(OP_select)->map(x, 1, 0)
                                       : op_info(logic[k])->map(x, z, 0);
      assert_true(y == truth[k][i]);
    }
  }
  for (int op = 0; op < NOP; op++)
    if (op_info((Op)op)->emit == EMIT_MAP && !seen[op])
      fail_msg("no committed value of `%s`", op_info((Op)op)->name);
}

/* ---- values of bulk rows: NumPy */

static const double X[] = {1.22, 1.232, 0.061, -0.857, -1.784, -0.467};
static const double Y[] = {-0.366, -1.819, -1.805, 1.997, 0.609, -1.062};
static const double M[] = {-0.26, 1.897, 1.591, 1.377};

typedef struct Expect {
  Node *node;
  int n;
  double want[12];
} Expect;

static void bulk_values(void **state) {
  (void)state;
  Arena *a = arena_new();
  Case c = {.graph = graph_new(a)};
  Graph *g = c.graph;
  c.value[0] = arena_dup(a, X, sizeof X);
  c.value[1] = arena_dup(a, Y, sizeof Y);
  c.value[2] = arena_dup(a, M, sizeof M);
  Type t23 = type_make(DT_F64, 2, (int64_t[]){2, 3}), t34 = type_make(DT_F64, 2, (int64_t[]){3, 4});
  Node *x = ir_param(g, "p0", t23), *y = ir_param(g, "p1", type_make(DT_F64, 2, (int64_t[]){3, 2}));
  Node *m = ir_param(g, "p2", type_make(DT_F64, 2, (int64_t[]){2, 2}));
  Node *i3 = ir_iota(g, type_make(DT_I32, 1, (int64_t[]){3}), 0), *one = ir_num(g, i3, 1);
  Node *odd = ir_mod(g, ir_add(g, i3, one), ir_num(g, i3, 2)); /* 1 0 1 */
  Node *two = ir_mul(g, odd, ir_num(g, i3, 2));                /* 2 0 2 */
  int64_t a0 = 0, a1 = 1;
  const Expect table[] = {
      {ir_matmul(g, x, y, false, false), 4, {-2.633131, 0.176342, 3.249379, -1.507811}},
      {ir_matmul(g, x, y, true, true),
       9,
       {1.112363, -3.913529, 1.653114, 2.794184, -5.786408, 2.644896, 0.827147, -1.042704,
        0.533103}},
      {ir_sum(g, x, &a0, 1), 3, {0.363, -0.552, -0.406}},
      {ir_sum(g, x, &a1, 1), 2, {2.513, -3.108}},
      {ir_reduce_max(g, x, &a1, 1), 2, {1.232, -0.467}},
      {ir_cast(g, ir_argmax(g, x, 1), DT_F64), 2, {1, 2}},
      {ir_transpose(g, x, (int64_t[]){1, 0}), 6, {1.22, -0.857, 1.232, -1.784, 0.061, -0.467}},
      {ir_slice(g, x, (int64_t[]){0, 1}, type_make(DT_F64, 2, (int64_t[]){2, 2})),
       4,
       {1.232, 0.061, -1.784, -0.467}},
      {ir_pad(g, x, (int64_t[]){1, 0}, t34),
       12,
       {0, 0, 0, 0, 1.22, 1.232, 0.061, 0, -0.857, -1.784, -0.467, 0}},
      {ir_skew(g, x, 3, (int64_t[]){0, 1, 1, -1, 1, 1}),
       9,
       {-0.857, 1.232, 0, 0, -1.784, 0.061, 0, 0, -0.467}},
      {ir_skew(g, x, 5, (int64_t[]){1, 0, 1, 1, -1, 2}),
       10,
       {0, 1.22, 0, 1.232, 0, -0.857, 0, -1.784, 0, -0.467}},
      {ir_reverse(g, x, &a1, 1), 6, {0.061, 1.232, 1.22, -0.467, -1.784, -0.857}},
      {ir_concat(g, (Node *[]){x, ir_transpose(g, y, (int64_t[]){1, 0})}, 2, 0),
       12,
       {1.22, 1.232, 0.061, -0.857, -1.784, -0.467, -0.366, -1.805, 0.609, -1.819, 1.997, -1.062}},
      {ir_gather(g, x, odd),
       9,
       {-0.857, -1.784, -0.467, 1.22, 1.232, 0.061, -0.857, -1.784, -0.467}},
      {ir_scatter_add(g, two, y, 3), 6, {-1.805, 1.997, 0, 0, 0.243, -2.881}},
      {ir_scatter_max(g, two, y, 3), 6, {-1.805, 1.997, -INFINITY, -INFINITY, 0.609, -1.062}},
      {ir_solve(g, m, x),
       6,
       {-0.97912472413079177, -1.504884710292532, -0.28727896030593458, 0.50892333775750875,
        0.44318923317023812, -0.007217991396701629}},
      {ir_broadcast(g, x, type_make(DT_F64, 3, (int64_t[]){2, 2, 3}), (int64_t[]){0, 2}),
       12,
       {1.22, 1.232, 0.061, 1.22, 1.232, 0.061, -0.857, -1.784, -0.467, -0.857, -1.784, -0.467}},
      {ir_reshape(g, x, 2, (int64_t[]){3, 2}), 6, {1.22, 1.232, 0.061, -0.857, -1.784, -0.467}},
  };
  for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
    const double *v = evaluate(a, &c, table[k].node);
    assert_int_equal(type_count(table[k].node->type), table[k].n);
    for (int i = 0; i < table[k].n; i++)
      if (!(v[i] == table[k].want[i] || fabs(v[i] - table[k].want[i]) < 1e-14))
        fail_msg("%s[%d] = %.17g, not %.17g", op_info(table[k].node->op)->name, i, v[i],
                 table[k].want[i]);
  }
  arena_free(a);
}

/* An index outside reads NaN and writes nothing; a singular matrix solves to NaN. */
static void edges_of_bulk_rows(void **state) {
  (void)state;
  Arena *a = arena_new();
  Case c = {.graph = graph_new(a)};
  Graph *g = c.graph;
  double v[] = {5, 6}, idx[] = {1, 2, -1};
  c.value[0] = v, c.value[1] = idx;
  Node *x = ir_param(g, "p0", type_make(DT_F64, 1, (int64_t[]){2})),
       *i = ir_param(g, "p1", type_make(DT_I32, 1, (int64_t[]){3}));
  const double *r = evaluate(a, &c, ir_gather(g, x, i));
  assert_true(r[0] == 6 && isnan(r[1]) && isnan(r[2]));
  r = evaluate(a, &c,
               ir_scatter_add(g, i, ir_const(g, type_make(DT_F64, 1, (int64_t[]){3}), 3), 2));
  assert_true(r[0] == 0 && r[1] == 3);
  r = evaluate(a, &c, ir_solve(g, ir_const(g, type_make(DT_F64, 2, (int64_t[]){2, 2}), 1), x));
  assert_true(isnan(r[0]) && isnan(r[1]));
  arena_free(a);
}

/* ---- derivatives */

static double weight(int64_t i) { return .3 + .7 * cos(1.7 * (double)i); }

/* sum of weights times the node: a scalar whose gradient is a VJP with irregular cotangent. */
static Node *weighed(Arena *a, Graph *g, Node *n) {
  int64_t count = type_count(n->type);
  Node **w = arena_array(a, Node *, (int)count);
  Type one = type_make(n->type.dtype, 1, (int64_t[]){1});
  for (int64_t i = 0; i < count; i++) w[i] = ir_const(g, one, weight(i));
  return ir_dot(g, ir_concat(g, w, (int)count, 0), ir_flatten(g, n));
}

/* Central difference of every element of n along the direction t of param k. */
static void difference(Arena *a, Case *c, Node *n, int k, const double *t, double *out) {
  const double h = 1e-5;
  int64_t np = type_count(c->param[k]->type), nn = type_count(n->type);
  double *x = c->value[k], *x0 = arena_dup(a, x, sizeof *x * (size_t)np);
  for (int64_t i = 0; i < np; i++) x[i] = x0[i] + h * t[i];
  const double *hi = evaluate(a, c, n);
  for (int64_t i = 0; i < np; i++) x[i] = x0[i] - h * t[i];
  const double *lo = evaluate(a, c, n);
  for (int64_t i = 0; i < nn; i++) out[i] = (hi[i] - lo[i]) / (2 * h);
  memcpy(x, x0, sizeof *x * (size_t)np);
}

static void close_to(const char *op, const char *what, double got, double want) {
  if (!(fabs(got - want) <= 2e-8 * (1 + fabs(want))))
    fail_msg("%s: %s is %.12g, differences give %.12g", op, what, got, want);
}

/* JVP of n by param k along t against differences; returns it (NULL: structurally zero). */
static const double *check_jvp(Arena *a, Case *c, Node *n, int k, double *t, const char *what) {
  Node *tangent = ir_param(c->graph, "p9", c->param[k]->type), *j;
  c->value[9] = t;
  ir_jvp(c->graph, &n, 1, &c->param[k], &tangent, 1, &j);
  double *fd = arena_array(a, double, (int)type_count(n->type));
  difference(a, c, n, k, t, fd);
  const double *got = j ? evaluate(a, c, j) : NULL;
  for (int64_t i = 0; i < type_count(n->type); i++)
    close_to(op_info(c->node->op)->name, what, got ? got[i] : 0, fd[i]);
  return got;
}

static void check_case(Arena *a, Case *c) {
  const char *op = op_info(c->node->op)->name;
  if (c->node->type.dtype != DT_F64 || c->node->op == OP_solve || c->node->op == OP_stop ||
      c->node->op == OP_shift)
    return;
  for (int k = 0; k < c->nparam; k++) {
    if (!dtype_is_float(c->param[k]->type.dtype)) continue;
    int64_t n = type_count(c->param[k]->type);
    double *t = arena_array(a, double, (int)n), forward = 0, reverse = 0;
    for (int64_t i = 0; i < n; i++) t[i] = sin(2.3 * (double)i + .5);
    const double *jt = check_jvp(a, c, c->node, k, t, "JVP");
    Node *s = weighed(a, c->graph, c->node), *grad;
    ir_grad(c->graph, s, &c->param[k], 1, &grad);
    assert_true(!grad == !jt);
    if (!grad) continue;
    const double *jw = evaluate(a, c, grad);
    for (int64_t i = 0; i < type_count(c->node->type); i++) forward += weight(i) * jt[i];
    for (int64_t i = 0; i < n; i++) reverse += t[i] * jw[i];
    if (fabs(forward - reverse) > 1e-12 * (1 + fabs(forward)))
      fail_msg("%s: <w, J t> = %.17g, <J' w, t> = %.17g", op, forward, reverse);
    for (int l = 0; l < c->nparam; l++) {
      if (!dtype_is_float(c->param[l]->type.dtype)) continue;
      double *u = arena_array(a, double, (int)type_count(c->param[l]->type));
      for (int64_t i = 0; i < type_count(c->param[l]->type); i++) u[i] = cos(1.1 * (double)i);
      check_jvp(a, c, grad, l, u, "second derivative");
    }
  }
}

static void derivatives_of_every_row(void **state) {
  (void)state;
  for (int op = 0; op < NOP; op++) {
    int variants = 0;
    for (;; variants++) {
      Arena *a = arena_new();
      Case c;
      bool more = case_make(a, (Op)op, variants, DT_F64, &c);
      if (more && op != OP_random) check_case(a, &c);
      arena_free(a);
      if (!more) break;
    }
    if (!variants) fail_msg("no case of `%s`", op_info((Op)op)->name);
  }
}

/* stop has the value of its operand and no derivative, in both modes. */
static void stop_cuts(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = graph_new(a);
  Node *x = ir_param(g, "p0", type_scalar(DT_F64)), *y = ir_mul(g, x, ir_stop(g, x)), *d,
       *t = ir_num(g, x, 1);
  ir_grad(g, y, &x, 1, &d);
  assert_int_equal(d->op, OP_stop);
  ir_grad(g, ir_stop(g, y), &x, 1, &d);
  assert_null(d);
  ir_jvp(g, (Node *[]){ir_stop(g, y)}, 1, &x, &t, 1, &d);
  assert_null(d);
  arena_free(a);
}

/* Equal expressions are one node; commutative operands need no order; 0 and -0 differ. */
static void hash_consing(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = graph_new(a);
  Node *x = ir_param(g, "p0", type_scalar(DT_F64)), *z = ir_param(g, "p1", type_scalar(DT_F64));
  assert_ptr_equal(ir_add(g, x, z), ir_add(g, z, x));
  assert_ptr_not_equal(ir_sub(g, x, z), ir_sub(g, z, x));
  assert_ptr_not_equal(ir_num(g, x, 0.0), ir_num(g, x, -0.0));
  int n = g->nnode;
  for (int i = 0; i < 1000; i++) ir_mul(g, ir_num(g, x, i % 10), x);
  assert_int_equal(g->nnode, n + 19); /* 0.0 was there */
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scalar_values),      cmocka_unit_test(bulk_values),
      cmocka_unit_test(edges_of_bulk_rows), cmocka_unit_test(derivatives_of_every_row),
      cmocka_unit_test(stop_cuts),          cmocka_unit_test(hash_consing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
