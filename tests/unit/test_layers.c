/* Built-ins of networks' layers, and expressions that layers are made of, against numbers that JAX
   computed (layer_values.py): value, gradient, Hessian-vector product; what dropout draws; where
   it is at work; finite derivatives where a mask hides everything; errors. All through the
   language, in f64, by the reference evaluator; the numbers of JAX by generated code, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "tests/support/values.h"

static const ValueCase cases[] = {
#include "layer_values.h"
};
enum { NCASE = sizeof cases / sizeof *cases };

static void values_and_derivatives(void **state) {
  (void)state;
  values_check(cases, NCASE);
}

static void generated_code(void **state) {
  (void)state;
  values_check_generated(cases, NCASE);
}

/* ---- what no table shows */

/* A third of the elements is dropped and the others grow; each step anew; the derivative uses the
   same draw; metrics see what is dropped in objectives only. */
static void dropout_draws(void **state) {
  (void)state;
  Arena *a = arena_new();
  const char *metrics = "metric all = sum(dropout(A, 0.25)); metric whole = sum(A);\n";
  Program *p =
      values_must_compile(a, values_text(a, "A : 20, 20", "sum(dropout(A, 0.25)^2)", metrics));
  const Level *l = p->level[0];
  Graph *g = l->objective->graph;
  Node *grad[VALUES_VARS], *product[VALUES_VARS];
  ValuePoint c;
  values_start(p, &c);
  for (int i = 0; i < 400; i++) c.x[i] = 3, c.dir[i] = 1;
  values_derive(a, l, grad, product);
  double kept = values_of(&c, g, l->objective->result[0]) / 16; /* (3 / 0.75)^2 an element */
  assert_true(kept == floor(kept) && kept > 260 && kept < 340);
  c.step = 1;
  assert_true(values_of(&c, g, l->objective->result[0]) != kept * 16);
  c.step = 0;
  const double *d, *h, *f;
  ir_eval(a, g, &grad[0], 1, values_read, &c, &d);
  ir_eval(a, g, &product[0], 1, values_read, &c, &h);
  int left = 0, seen = 0;
  for (int i = 0; i < 400; i++) {
    assert_true(d[i] == 0 || fabs(d[i] - 2 * 3 / 0.5625) < 1e-12);
    assert_true(fabs(h[i] - d[i] / 3) < 1e-12);
    left += d[i] != 0;
  }
  assert_int_equal(left, (int)kept);
  for (int m = 0; m < p->nmetric; m++) {
    const Func *metric = p->metric[m].func;
    if (!metric || metric->role != ROLE_METRIC) continue; /* the loss */
    ir_eval(a, metric->graph, &metric->result[0], 1, values_read, &c, &f);
    assert_true(fabs(*f - 1200) < 1e-9);
    seen++;
  }
  assert_int_equal(seen, 2);
  p = values_must_compile(a, values_text(a, "A : 20", "sum(dropout(A, 0))", ""));
  values_start(p, &c);
  double sum = 0;
  for (int i = 0; i < 20; i++) sum += c.x[i];
  assert_true(fabs(values_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0]) -
                   sum) < 1e-12);
  arena_free(a);
}

/* The value of straight_through is hard's, to the last bit. */
static void straight_through_is_exact(void **state) {
  (void)state;
  Arena *a = arena_new();
  Program *p = values_must_compile(
      a, values_text(a, "A : 40; B : 40", "sum(abs(straight_through(B, exp(9 * A)) - B))", ""));
  ValuePoint c;
  values_start(p, &c);
  assert_true(values_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0]) == 0);
  arena_free(a);
}

/* Scores of 1e4, queries that see nothing, pools whose elements are all equal: no NaN. */
static void hostile_points(void **state) {
  (void)state;
  static const char *const goals[] = {
      "sum(attention(A, B, B, causal = true)^2)",
      "sum(attention(A, B, B, mask = iota(4) < 0)^2)",
      "sum(attention(A, B, B, true, expand_dims(iota(4) > 1, 1))^2)",
      "sum(max_pool(reshape(A, 1, 4, 4, 1), 3, 2, 1)^2)",
      "sum(rope(A)^2)",
  };
  for (size_t i = 0; i < sizeof goals / sizeof *goals; i++)
    for (int point = 0; point < 2; point++) {
      Arena *a = arena_new();
      Program *p = values_must_compile(a, values_text(a, "A : 4, 4; B : 4, 4", goals[i], ""));
      Graph *g = p->level[0]->objective->graph;
      Node *grad[VALUES_VARS], *product[VALUES_VARS];
      ValuePoint c;
      values_start(p, &c);
      for (int k = 0; k < 32; k++) c.x[k] = point ? (k % 3 ? 100 : -100) : 0;
      values_derive(a, p->level[0], grad, product);
      assert_true(isfinite(values_of(&c, g, p->level[0]->objective->result[0])));
      assert_true(isfinite(values_weighed(&c, g, grad)));
      assert_true(isfinite(values_weighed(&c, g, product)));
      arena_free(a);
    }
}

static void nan_comes_through(void **state) {
  (void)state;
  static const char *const goals[] = {
      "sum(max_pool(X, 2, 1, 1))",  "sum(avg_pool(X, 2))",  "sum(conv2d(X, X, padding = 2))",
      "sum(conv1d(X[0], X[0]))",    "sum(rope(X))",         "sum(attention(X, X, X, true))",
      "sum(window(X, 1, 2))",       "sum(dropout(X, 0.1))", "sum(straight_through(X, X))",
      "sum(straight_through(1, X))"};
  for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
    Arena *a = arena_new();
    Program *p = values_must_compile(a, values_text(a, "X : 2, 2, 2, 2", goals[i], ""));
    ValuePoint c;
    values_start(p, &c);
    for (int k = 0; k < 16; k++) c.x[k] = NAN;
    if (!isnan(values_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0])))
      fail_msg("%s hides NaN", goals[i]);
    arena_free(a);
  }
}

/* Sizes that only data will bind: types are known all the same. */
static void symbolic_sizes(void **state) {
  (void)state;
  static const char *const fns[] = {
      "fn f(x : f32[N, H, W, I], w : f32[3, 3, I, O]) -> f32[N, H, W, O] = conv2d(x, w, padding = "
      "1);",
      "fn f(x : f32[.., H, W, I], w : f32[K, K, I, O]) -> f32[.., H - (K - 1), W - (K - 1), O] = "
      "conv2d(x, w);",
      "fn f(x : f32[N, H, W, I], w : f32[3, 3, I, O]) -> "
      "f32[N, (H - 1) div 2 + 1, (W - 1) div 2 + 1, O] = conv2d(x, w, stride = 2, padding = 1);",
      "fn f(x : f32[N, H, W, C], w : f32[3, 3, 1, C]) -> f32[N, H - 2, W - 2, C] = "
      "conv2d(x, w, groups = C);",
      "fn f(x : f32[N, H, W, C]) -> f32[N, (H - 2) div 2 + 1, (W - 2) div 2 + 1, C] = max_pool(x, "
      "2);",
      "fn f(x : f32[T, I], w : f32[2, I, O]) -> f32[T - 1, O] = conv1d(x, w);",
      "fn f(x : f32[T, D]) -> f32[T - 2, 3, D] = window(x, 0, 3);",
      "fn f(x : f32[B, H, T, D]) -> f32[B, H, T, D] = attention(rope(x), rope(x), x, true);",
  };
  for (size_t i = 0; i < sizeof fns / sizeof *fns; i++) {
    Arena *a = arena_new();
    Diags *d;
    const char *rest = values_text(a, "A : 2", "sum(A)", "");
    values_compile(a, arena_printf(a, "%s\n%s", fns[i], rest), &d);
    if (d->nerror) {
      diags_print(d, stderr, false);
      fail_msg("%s", fns[i]);
    }
    arena_free(a);
  }
}

static void errors(void **state) {
  (void)state;
  static const struct {
    const char *vars, *goal, *code;
  } wrong[] = {
      {"X : 1, 4, 4, 2; K : 5, 1, 2, 1", "sum(conv2d(X, K))", "E0226"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K, dilation = 2))", "E0226"},
      {"X : 1, 4, 4, 3; K : 3, 3, 2, 1", "sum(conv2d(X, K))", "E0201"},
      {"X : 1, 4, 4, 3; K : 3, 3, 1, 4", "sum(conv2d(X, K, groups = 2))", "E0220"},
      {"X : 1, 4, 4, 4; K : 3, 3, 2, 3", "sum(conv2d(X, K, groups = 2))", "E0220"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K, stride = 0))", "E0221"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K, groups = 0))", "E0221"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K, padding = -1))", "E0222"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K, stride = 1.5))", "E0222"},
      {"X : 4, 2; K : 3, 3, 2, 1", "sum(conv2d(X, K))", "E0202"},
      {"X : 1, 4, 4, 2; K : 3, 2, 1", "sum(conv2d(X, K))", "E0202"},
      {"X : 1, 4, 4, 2; K : 3, 3, 2, 1, 1", "sum(conv2d(X, K))", "E0202"},
      {"X : 4, 2; K : 5, 2, 1", "sum(conv1d(X, K))", "E0226"},
      {"X : 1, 4, 4, 2", "sum(max_pool(X, 5))", "E0226"},
      {"X : 1, 4, 4, 2", "sum(max_pool(X, 3, padding = 2))", "E0226"},
      {"X : 1, 4, 4, 2", "sum(max_pool(X, 0))", "E0221"},
      {"X : 4, 2", "sum(avg_pool(X, 2))", "E0202"},
      {"X : 4, 2", "sum(window(X, 2, 2))", "E0205"},
      {"X : 4, 2", "sum(window(X, 0, 5))", "E0226"},
      {"X : 1, 2, 1, 2, 1, 2", "sum(window(X, 1, 2))", "E0204"},
      {"X : 4, 2", "sum(dropout(X, 1))", "E0227"},
      {"X : 4, 2", "sum(dropout(X, -0.5))", "E0227"},
      {"X : 4, 2", "sum(dropout(X, sum(X)))", "E0107"},
      {"X : 4, 3", "sum(rope(X))", "E0220"},
      {"X : 4", "sum(rope(X))", "E0202"},
      {"X : 4, 2", "sum(rope(X, base = 0))", "E0227"},
      {"X : 4, 2; Y : 3, 2", "sum(attention(X, Y, Y, causal = true))", "E0201"},
      {"X : 4, 2; Y : 4, 3", "sum(attention(X, Y, Y))", "E0203"},
      {"X : 4, 2", "sum(attention(X, X, X, mask = X))", "E0214"},
      {"X : 4, 2", "sum(attention(X, X, X, mask = iota(3) > 1))", "E0201"},
      {"X : 4, 2", "sum(attention(X, X, X, causal = 1))", "E0231"},
      {"X : 4, 2; Y : 3", "sum(straight_through(X, Y))", "E0201"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    Arena *a = arena_new();
    Diags *d;
    Program *p = values_compile(a, values_text(a, wrong[i].vars, wrong[i].goal, ""), &d);
    if (p || d->nerror != 1 || strcmp(d->diag[0]->code, wrong[i].code)) {
      diags_print(d, stderr, false);
      fail_msg("%s is not one error %s", wrong[i].goal, wrong[i].code);
    }
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_and_derivatives), cmocka_unit_test(generated_code),
      cmocka_unit_test(dropout_draws),          cmocka_unit_test(straight_through_is_exact),
      cmocka_unit_test(hostile_points),         cmocka_unit_test(nan_comes_through),
      cmocka_unit_test(symbolic_sizes),         cmocka_unit_test(errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
