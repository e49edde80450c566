/* Whole runs against the same algorithm written down in C: examples are weighted by `weigh.x`, a
   logistic regression `fit` takes Adam's steps, and sama or fd gives the hypergradient. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/train.h"

enum { N = 4, D = 3, STEPS = 5, LOWER = 2 };
#define RADIUS 0.01
#define DECAY 0.1
#define SCALE 0.4 /* of fd */

static const char text[] =
    "level fit {\n  var w : f32[3] = 0.1;\n"
    "  let a = sin(1.3 * reshape(iota(12), 4, 3) + 0.2);\n"
    "  let y = f32(iota(4) mod 2);\n"
    "  minimize sum(sigmoid(weigh.x) * (softplus(a @ w) - y * (a @ w))) + 0.05 * sum(w^2);\n"
    "  optimizer = adam(lr = %s, decay = 0.1);\n  steps = 2;\n  restart = %s;\n}\n"
    "level weigh {\n  var x : f32[4] = 0.3;\n  argmin fit via %s;\n"
    "  minimize sum((fit.w - 0.5)^2);\n  optimizer = sgd(lr = %g);\n  steps = 5;\n"
    "  metric x0 = x[0];\n  metric x1 = x[1];\n  metric x2 = x[2];\n  metric x3 = x[3];\n"
    "}\nrun main of weigh { precision = f64; report = every(1); }\n";

typedef struct State {
  double x[N], w[D], m[D], v[D], grad[D];
  int t;
  bool scheduled;
} State;

/* lr of Adam's step t = 1, 2, ... */
static double lr_of(const State *s, int t) {
  double cosine = .5 * (1 + cos(3.14159265358979323846 * fmin(1, (t - 1) / 7.)));
  return s->scheduled ? .06 * fmin(1, t / 4.) * (.2 + .8 * cosine) : .05;
}

static double feature(int i, int k) { return sin(1.3 * (i * D + k) + .2); }

static double margin(const double *w, int i) {
  double z = 0;
  for (int k = 0; k < D; k++) z += feature(i, k) * w[k];
  return z;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void lower_gradient(State *s) {
  for (int k = 0; k < D; k++) {
    s->grad[k] = .1 * s->w[k];
    for (int i = 0; i < N; i++)
      s->grad[k] += sigmoid(s->x[i]) * (sigmoid(margin(s->w, i)) - i % 2) * feature(i, k);
  }
}

/* Adam's step for one variable; *slope: of the new variable by the gradient. */
static double adam(double z, double grad, double *m, double *v, int t, double lr, double *slope) {
  double g = grad + DECAY * z, c1 = 1 - pow(.9, t), c2 = 1 - pow(.999, t);
  *m = .9 * *m + .1 * g;
  *v = .999 * *v + .001 * g * g;
  double root = sqrt(*v / c2), s = root + 1e-8;
  *slope = -lr / c1 * (.1 / s - *m / (s * s) * .001 * g / (c2 * root));
  return z - lr * *m / c1 / s;
}

static void lower_step(State *s) {
  double slope;
  lower_gradient(s);
  s->t++;
  for (int k = 0; k < D; k++)
    s->w[k] = adam(s->w[k], s->grad[k], &s->m[k], &s->v[k], s->t, lr_of(s, s->t), &slope);
}

/* dg/dx_i at w + h mu. */
static double upper_part(const State *s, const double *mu, double h, int i) {
  double w[D], p = sigmoid(s->x[i]);
  for (int k = 0; k < D; k++) w[k] = s->w[k] + h * mu[k];
  double z = margin(w, i);
  return p * (1 - p) * (log1p(exp(z)) - i % 2 * z);
}

static void upper_step(State *s, bool sama, double rate) {
  double mu[D], size = 0;
  for (int k = 0; k < D; k++) {
    double m = s->m[k], v = s->v[k], slope, df = 2 * (s->w[k] - .5);
    adam(s->w[k], s->grad[k], &m, &v, s->t + 1, lr_of(s, s->t + 1), &slope);
    mu[k] = sama ? slope * df : -SCALE * df;
    size += mu[k] * mu[k];
  }
  double h = RADIUS / sqrt(size), next[N];
  for (int i = 0; i < N; i++)
    next[i] = s->x[i] - rate * (upper_part(s, mu, h, i) - upper_part(s, mu, -h, i)) / (2 * h);
  memcpy(s->x, next, sizeof next);
}

static void check_run(bool sama, bool fresh, bool scheduled) {
  char program[2048];
  double rate = sama ? 60 : 2;
  static Table t;
  snprintf(program, sizeof program, text,
           scheduled ? "0.06 * warmup(4) * cosine(7, end = 0.2)" : "0.05", fresh ? "fresh" : "warm",
           sama ? "sama()" : "fd(radius = 0.01, scale = 0.4)", rate);
  train(program, "", &t);
  assert_int_equal(t.nrow, STEPS + 1);
  const State start = {.x = {.3, .3, .3, .3}, .w = {.1, .1, .1}};
  State s = start;
  s.scheduled = scheduled;
  double moved = 0;
  for (int step = 0; step <= STEPS; step++) {
    const char *const name[N] = {"x0", "x1", "x2", "x3"};
    for (int i = 0; i < LOWER; i++) lower_step(&s);
    for (int i = 0; i < N; i++) {
      assert_float_equal(table_at(&t, step, name[i]), s.x[i], 1e-10);
      moved = fmax(moved, fabs(s.x[i] - .3));
    }
    upper_step(&s, sama, rate);
    if (fresh) {
      memcpy(s.w, start.w, sizeof s.w);
      memset(s.m, 0, sizeof s.m), memset(s.v, 0, sizeof s.v);
      s.t = 0;
    }
  }
  assert_true(moved > .1);
}

static void runs_agree(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) check_run(true, i % 2, i / 2);
  check_run(false, false, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(runs_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
