/* Training with products of rounded operands: a network half of whose examples are wrong, and their
   weights by sama and cg, end where they end in f32, but for what rounding changes; a resumed
   run has the same bits, a device gives the same, and hypergradients are checked in f64. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/train.h"

enum { STEPS = 12 };

static const char text[] =
    "level fit {\n"
    "  var net = mlp[24, 32, 16];\n"
    "  let x = sin(1.7 * reshape(iota(1536), 64, 24));\n"
    "  let flip = where(iota(64) mod 2 == 0, 1, -1);\n"
    "  let y = tanh(x[.., 0..16]) * reshape(flip, 64, 1);\n"
    "  minimize mean(sigmoid(tune.a) * mean((net(x) - y)^2, 1)) + 1e-3 * norm2(net);\n"
    "  optimizer = %s;\n"
    "  steps = 10;\n"
    "}\n"
    "level tune {\n"
    "  var a : f32[64] = 0;\n"
    "  argmin fit via %s;\n"
    "  let x = sin(1.7 * reshape(iota(1536), 64, 24) + 0.2);\n"
    "  minimize mean((fit.net(x) - tanh(x[.., 0..16]))^2);\n"
    "  optimizer = adam(lr = 0.2);\n"
    "  steps = %d;\n"
    "  metric told = mean(sigmoid(a) * where(iota(64) mod 2 == 0, 1, -1));\n"
    "}\n"
    "run main of tune { seed = 1; precision = %s; report = every(1, csv); }\n";

typedef struct Method {
  const char *optimizer, *method;
} Method;

static const Method methods[] = {
    {"adam(lr = 0.01)", "sama(radius = 0.1)"},
    {"sgd(lr = 0.1)", "cg(iters = 8, damping = 0.1)"},
};

static void program(char *out, size_t size, const Method *m, const char *precision) {
  snprintf(out, size, text, m->optimizer, m->method, STEPS, precision);
}

/* By how much of it a column of the last row is another one's. */
static double far(const Table *a, const Table *b, const char *column) {
  double x = table_at(a, STEPS, column), y = table_at(b, STEPS, column);
  return fabs(x - y) / fabs(y);
}

static void ends_near_f32(void **state) {
  (void)state;
  static const char *const precision[] = {"f32", "mixed", "tf32"};
  static const double loss[] = {0, 0.01, 0.005}, told[] = {0, 0.05, 0.02};
  static Table t[3];
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    for (int k = 0; k < 3; k++) {
      char p[4096];
      program(p, sizeof p, &methods[i], precision[k]);
      train(p, "", &t[k]);
      if (!k) continue;
      double d[] = {far(&t[k], t, "fit.loss"), far(&t[k], t, "tune.loss"), far(&t[k], t, "told")};
      if (!(d[0] < loss[k] && d[1] < loss[k] && d[2] < told[k]))
        fail_msg("%s, %s: %g %g %g", methods[i].method, precision[k], d[0], d[1], d[2]);
      assert_true(fabs(table_at(&t[k], 0, "fit.loss") - table_at(t, 0, "fit.loss")) > 1e-7);
    }
  assert_true(fabs(table_at(&t[1], STEPS, "told")) > 0.1);
}

/* ---- the command line */

/* Linear, so that the levels below can be solved; the products are large enough for the library. */
static const char linear[] =
    "level fit {\n"
    "  var w : f32[24, 16] = 0;\n"
    "  let x = sin(1.7 * reshape(iota(1536), 64, 24));\n"
    "  let y = cos(0.3 * reshape(iota(1024), 64, 16));\n"
    "  minimize mean((x @ w - y)^2) + 0.01 * sum(exp(tune.r) * w^2);\n"
    "  optimizer = adam(lr = 0.1);\n"
    "  steps = 5;\n"
    "}\n"
    "level tune {\n"
    "  var r : f32[16] = 0.1 * sin(iota(16));\n"
    "  argmin fit via cg(iters = 20);\n"
    "  let x = sin(1.7 * reshape(iota(1536), 64, 24) + 0.2);\n"
    "  let y = cos(0.3 * reshape(iota(1024), 64, 16) + 0.1);\n"
    "  minimize mean((x @ fit.w - y)^2);\n"
    "  optimizer = sgd(lr = 0.1);\n"
    "  steps = 12;\n"
    "}\n"
    "run main of tune { seed = 1; precision = %s; report = every(1, csv); %s }\n";

static void write_program(const char *folder, const char *name, const char *text_of_it) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text_of_it, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

/* A shell command in the folder, with $M for mloc. */
static void shell(const char *folder, const char *command) {
  char line[2048];
  snprintf(line, sizeof line, "cd '%s' && M=\"$MLOC\" && { %s; } >said 2>&1", folder, command);
  if (system(line) == 0) return;
  snprintf(line, sizeof line, "cat '%s/said' >&2", folder);
  fail_msg("%s: failed%.*s", command, system(line), "");
}

/* What must not know of rounding does not: hypergradients are checked in f64, whatever the run's
   products are. What must is told: the run directory has the precision, and a run that goes on from
   a checkpoint ends with the same bits. */
static void tools_know_it(void **state) {
  (void)state;
  char folder[] = "/tmp/mloc-mixed-XXXXXX", p[4096];
  assert_non_null(mkdtemp(folder));
  snprintf(p, sizeof p, linear, "f32", "");
  write_program(folder, "f32.mlo", p);
  snprintf(p, sizeof p, linear, "mixed", "checkpoint = every(5);");
  write_program(folder, "p.mlo", p);
  shell(folder, "\"$M\" check-grad f32.mlo >want && \"$M\" check-grad p.mlo >got && cmp want got");
  shell(folder, "\"$M\" build p.mlo -o p && ./p -q --out whole && ./p -q --out part --steps 7");
  shell(folder, "grep -q '\"precision\": \"mixed\"' whole/run.json");
  shell(folder, "./p -q --out part --resume auto");
  shell(folder, "cmp whole/final.npz part/final.npz && cmp whole/metrics.csv part/metrics.csv");
  shell(folder, "./p --help | grep -q mixed");
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  assert_int_equal(system(command), 0);
}

/* The same operands on both devices: they are nearer to each other than rounding leads away. */
static void devices_agree(void **state) {
  (void)state;
  static const char *const precision[] = {"mixed", "tf32"};
  static Table host, device, f32;
  char p[4096];
  if (!getenv("MLO_CUDA_PATH")) skip();
  snprintf(p, sizeof p, linear, "f32", "");
  train(p, "", &f32);
  for (int k = 0; k < 2; k++) {
    snprintf(p, sizeof p, linear, precision[k], "");
    train(p, "", &host);
    train(p, "--device=cuda", &device);
    double x = table_at(&host, 0, "fit.loss"), y = table_at(&device, 0, "fit.loss"),
           z = table_at(&f32, 0, "fit.loss");
    if (!(fabs(x - y) < 0.2 * fabs(x - z)))
      fail_msg("%s: %.9g, on the device %.9g, in f32 %.9g", precision[k], x, y, z);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ends_near_f32),
                                     cmocka_unit_test(tools_know_it),
                                     cmocka_unit_test(devices_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
