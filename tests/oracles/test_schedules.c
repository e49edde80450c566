/* Schedules of optimizer settings through compiled programs. A level that minimizes its variable z
   by sgd moves it by -lr a step, so the differences of z in the reports are the step sizes. */
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

enum { STEPS = 24 };

static double cosine(double step, double steps, double end) {
  return end + (1 - end) * (1 + cos(3.14159265358979323846 * fmin(1, step / steps))) / 2;
}

static double constants(double step) { return .25 + 0 * step; }
static double decayed(double step) { return 3 * pow(.5, floor(step / 5)); }
static double annealed(double step) { return cosine(step, 10, 0); }
static double floored(double step) { return cosine(step, 16, .125); }
static double warmed(double step) { return fmin(1, (step + 1) / 4) * 2 * cosine(step, 20, 0); }
static double rational(double step) { return .5 / (1 + .1 * step); }
static double chosen(double step) { return step < 6 ? 1 : .5; }
static double peak(double step) { return .7 * fmin(1, (step + 1) / 8); }

static const struct {
  const char *lr, *options;
  double (*want)(double step);
} cases[] = {
    {"constant(0.25)", "", constants},
    {"3 * stepwise(0.5, 5)", "", decayed},
    {"stepwise(factor = 0.5, every = 2 + 3) * 3", "", decayed},
    {"cosine(10)", "", annealed},
    {"cosine(steps = 16, end = 0.125)", "", floored},
    {"2 * warmup(4) * cosine(20)", "", warmed},
    {"0.5 / (1 + 0.1 * step)", "", rational},
    {"inverse(0.5, step)", "", rational},
    {"if step < 6 then 1 else 0.5", "", chosen},
    {"top_lr * warmup(ramp)", "--set top_lr=0.7 --set ramp=8", peak},
    {"warmup(3)", "--set fit.optimizer.lr=0.25", constants}, /* --set makes it a number */
};

static const char text[] =
    "const top_lr = 0.1;\nconst ramp = 2;\n"
    "fn inverse(a : f32, s : f32) -> f32 = a / (1 + 0.1 * s);\n"
    "level fit { var z : f32 = 0; minimize z; optimizer = sgd(lr = %s); steps = 24; }\n"
    "run main of fit { precision = f64; report = every(1); }\n";

static void closed_forms(void **state) {
  (void)state;
  static Table t;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char program[1024];
    snprintf(program, sizeof program, text, cases[i].lr);
    train(program, cases[i].options, &t);
    assert_int_equal(t.nrow, STEPS + 1);
    for (int step = 0; step < STEPS; step++) {
      double lr = table_at(&t, step, "fit.loss") - table_at(&t, step + 1, "fit.loss");
      if (!(fabs(lr - cases[i].want(step)) < 1e-12))
        fail_msg("%s, step %d: %g, not %g", cases[i].lr, step, lr, cases[i].want(step));
    }
  }
}

/* Several settings; a lower level counts on from step to step of the upper one, or anew. */
static void lower_levels(void **state) {
  (void)state;
  static Table t;
  for (int fresh = 0; fresh < 2; fresh++) {
    char program[1024];
    snprintf(program, sizeof program,
             "level low { var z : f32 = 0; minimize z; steps = 3; restart = %s;\n"
             "  optimizer = sgd(lr = 0.5 * warmup(5), momentum = 0.9 * cosine(8)); }\n"
             "level top { var x : f32 = 1; argmin low via dense();\n"
             "  minimize (low.z - x)^2; optimizer = sgd(lr = 0.1); steps = 6; }\n"
             "run main of top { precision = f64; report = every(1); }\n",
             fresh ? "fresh" : "warm");
    train(program, "", &t);
    double z = 0, v = 0;
    for (int step = 0, n = 0; step <= 6; step++) {
      if (fresh) z = v = n = 0;
      for (int i = 0; i < 3; i++, n++) {
        v = .9 * cosine(n, 8, 0) * v + 1;
        z -= .5 * fmin(1, (n + 1) / 5.) * v;
      }
      assert_float_equal(table_at(&t, step, "low.loss"), z, 1e-12);
    }
  }
}

/* What schedules are made of are ordinary names elsewhere, and a program's own `step` is its own.
 */
static void names_are_free(void **state) {
  (void)state;
  static Table t;
  train("const step = 0.25;\nconst warmup = 4;\n"
        "level fit { var cosine : f32 = 0; let constant = cosine; minimize constant;\n"
        "  optimizer = sgd(lr = step * warmup(warmup)); steps = 8; }\n"
        "run main of fit { precision = f64; report = every(1); }\n",
        "", &t);
  for (int step = 0; step < 8; step++)
    assert_float_equal(table_at(&t, step, "fit.loss") - table_at(&t, step + 1, "fit.loss"),
                       .25 * fmin(1, (step + 1) / 4.), 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(closed_forms), cmocka_unit_test(lower_levels),
                                     cmocka_unit_test(names_are_free)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
