/* The report of compiled kernels: sums against those of the schedule by hand, on a cubin of which
   everything is known. */
#include "test_files.h"

#include "codegen/codegen.h"
#include "codegen/inspect.h"
#include "frontend/ast.h"
#include "frontend/sema.h"
#include "passes/pass.h"
#include "tests/support/made_cubin.h"

#include <math.h>
#include <stdlib.h>

static const char two[] = "level fit {\n"
                          "  var w : f32[4096] = 1;\n"
                          "  minimize 0.5 * norm2(w - tune.x) + 0.1 * norm2(w);\n"
                          "  optimizer = sgd(lr = 0.1);\n"
                          "  steps = 7;\n"
                          "}\n"
                          "level tune {\n"
                          "  var x : f32[4096] = 2;\n"
                          "  argmin fit via cg(iters = 5);\n"
                          "  minimize norm2(fit.w) + norm2(x);\n"
                          "  optimizer = sgd(lr = 0.1);\n"
                          "  steps = 3;\n"
                          "}\n"
                          "run main of tune {}\n";

typedef struct Inspected {
  Arena *arena;
  Program *program;
  CgLaunch *launch;
  CgCompiled code;
  MadeCubin cubin;
} Inspected;

/* The program; poison: every kernel has launches of its own. The first of them is called like a
   kernel of the cubin. */
static Inspected *begin(const char *text, bool poison) {
  Arena *a = arena_new();
  Inspected *x = arena_new_of(a, Inspected);
  const CgLaunch *launch;
  CgOptions o = {.source = "two.mlo", .cuda = true, .poison = poison};
  PassOptions all = {.poison = poison};
  x->arena = a;
  Diags *d = diags_new(a, "two.mlo", text);
  SemaOptions s = {.program = "two"};
  x->program = sema_program(a, d, ast_parse(a, d, text, strlen(text)), &s);
  assert_true(d->nerror == 0 && pass_run(x->program, &all));
  assert_non_null(cg_cuda(x->program, &o, &launch, &x->code.nlaunch));
  x->launch = arena_dup(a, launch, (size_t)x->code.nlaunch * sizeof *launch);
  for (int i = 0; i < x->code.nlaunch; i++)
    if (x->launch[i].kernel) {
      x->launch[i].name = "loose";
      break;
    }
  x->cubin = made_cubin();
  x->code.launch = x->launch;
  x->code.cubin = (CgCubin){"sm_90", x->cubin.byte, sizeof x->cubin.byte};
  x->code.log = made_cubin_log;
  x->code.bandwidth = 1e9;
  x->code.flops = 1e12;
  return x;
}

static json_t *report(const Inspected *x, int *loose) {
  char *json = NULL;
  size_t n;
  FILE *f = open_memstream(&json, &n);
  assert_null(cg_inspect(x->program, two, &x->code, f, true, loose));
  fclose(f);
  json_t *o = json_loads(json, 0, NULL);
  assert_non_null(o);
  free(json);
  return o;
}

static double number(const json_t *o, const char *key) {
  const json_t *x = json_object_get(o, key);
  if (!json_is_number(x)) fail_msg("no number %s", key);
  return json_number_value(x);
}

/* How often a step of `tune` calls a function. */
static double calls(const char *function) {
  static const struct {
    const char *name;
    double n;
  } known[] = {{"fit.gradient", 7},        {"fit.update", 7},          {"tune.adjoint0.rhs", 1},
               {"tune.adjoint0.start", 1}, {"tune.adjoint0.apply", 5}, {"tune.adjoint0.round", 5},
               {"tune.gradient", 1},       {"tune.update", 1}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].name, function)) return known[i].n;
  return 0;
}

static void check_sums(const json_t *o) {
  static const char *const keys[] = {"flops", "bytes", "seconds"};
  const json_t *functions = json_object_get(o, "functions"), *step = json_object_get(o, "step");
  for (int k = 0; k < 3; k++) {
    double sum = 0, all = 0, kernels = 0;
    size_t i;
    json_t *x;
    json_array_foreach(functions, i, x) {
      sum += calls(json_string_value(json_object_get(x, "name"))) * number(x, keys[k]);
      all += number(x, keys[k]);
    }
    json_array_foreach(json_object_get(o, "kernels"), i, x) kernels +=
        number(k < 2 ? x : json_object_get(x, "device"), keys[k]);
    assert_true(sum > 0 && fabs(number(step, keys[k]) - sum) < 1e-9 * sum);
    assert_true(fabs(all - kernels) < 1e-9 * kernels);
  }
  assert_string_equal(json_string_value(json_object_get(step, "level")), "tune");
  assert_true(json_is_true(json_object_get(step, "at_most")));
}

static void sums(void **state) {
  (void)state;
  for (int poison = 0; poison < 2; poison++) {
    Inspected *x = begin(two, poison);
    json_t *o = report(x, NULL);
    check_sums(o);
    double launches = number(json_object_get(o, "step"), "launches");
    size_t nblock = json_array_size(json_object_get(o, "blocks"));
    /* By hand: 7 (1 + 2) + 1 + 1 + 5 (1 + 1 and the condition) + 1 + 2 = 41, fewer where one kernel
       stands for several, more where dead memory is filled as well. */
    assert_true(poison ? launches > 41 && !nblock : launches < 41 && launches >= 1 && nblock);
    json_decref(o);
    arena_free(x->arena);
  }
}

static void kernels(void **state) {
  (void)state;
  Inspected *x = begin(two, false);
  int loose = 0, own = 0;
  size_t i;
  json_t *o = report(x, &loose), *k;
  assert_int_equal(loose, 1);
  json_array_foreach(json_object_get(o, "kernels"), i, k) {
    const json_t *d = json_object_get(k, "device");
    double flops = number(k, "flops") / 1e12, bytes = number(k, "bytes") / 1e9;
    assert_true(fabs(number(d, "seconds") - fmax(flops, bytes)) < 1e-15);
    const char *name = json_string_value(json_object_get(d, "kernel"));
    if (!name || strcmp(name, "loose") != 0) continue;
    own++;
    assert_int_equal(number(d, "threads"), 256);
    assert_int_equal(number(d, "registers"), 34);
    assert_int_equal(number(d, "shared"), 256);
    assert_int_equal(number(d, "stack_frame"), 40);
    assert_int_equal(number(d, "spill_stores"), 9);
    assert_int_equal(number(d, "spill_loads"), 14);
    assert_int_equal(number(d, "code"), 384);
    assert_int_equal(number(d, "blocks_a_multiprocessor"), 6); /* 40 registers a thread */
    assert_true(number(d, "occupancy") == 0.75);
    assert_string_equal(json_string_value(json_object_get(d, "limited_by")), "registers");
    assert_true(fabs(number(d, "waves") - number(d, "blocks") / (6 * 132)) < 1e-12);
  }
  assert_int_equal(own, 1);
  const json_t *device = json_object_get(o, "device");
  assert_string_equal(json_string_value(json_object_get(device, "assumed")), "H100 SXM");
  assert_int_equal(number(device, "kernels"), 2);
  assert_int_equal(json_array_size(json_object_get(device, "loose")), 1);
  json_decref(o);
  arena_free(x->arena);
}

/* Seconds of the product in a program of one, by the rates of an H100. */
static double product(const char *precision) {
  static const char form[] = "level fit { var A : f32[512, 512] = normal(1);\n"
                             "  minimize norm2(A @ A); optimizer = sgd(lr = 0.1); steps = 2; }\n"
                             "run main of fit { precision = %s; }\n";
  char text[400];
  double seconds = 0;
  size_t i;
  json_t *k;
  snprintf(text, sizeof text, form, precision);
  Inspected *x = begin(text, false);
  x->code.bandwidth = 1e18;
  x->code.flops = 0;
  json_t *o = report(x, NULL);
  json_array_foreach(json_object_get(o, "kernels"), i, k) {
    const json_t *d = json_object_get(k, "device");
    if (!strcmp(json_string_value(json_object_get(k, "name")), "fit.objective.k0"))
      seconds = number(d, "seconds") / number(k, "flops");
  }
  json_decref(o);
  arena_free(x->arena);
  return seconds;
}

static void products(void **state) {
  (void)state;
  static const struct {
    const char *precision;
    double rate;
  } cases[] = {{"f32", 67e12}, {"mixed", 989e12}, {"tf32", 495e12}, {"f64", 34e12}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_true(fabs(product(cases[i].precision) * cases[i].rate - 1) < 1e-9);
}

static void wrong_images(void **state) {
  (void)state;
  Inspected *x = begin(two, false);
  const char *error;
  x->code.cubin.arch = "sm_20";
  error = cg_inspect(x->program, two, &x->code, stdout, true, NULL);
  assert_string_equal(error, "no device of architecture sm_20 is known");
  x->code.cubin.arch = "sm_90";
  x->code.cubin.n = 7;
  error = cg_inspect(x->program, two, &x->code, stdout, true, NULL);
  assert_string_equal(error, "the image for sm_90 cannot be read: it is no cubin");
  arena_free(x->arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums), cmocka_unit_test(kernels),
                                     cmocka_unit_test(products), cmocka_unit_test(wrong_images)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
