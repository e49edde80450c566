/* Every built-in function: its value against one computed by NumPy and SciPy (builtin_values.py),
   its gradient against central differences, its Hessian-vector product (jvp of the gradient)
   against central differences of the gradient. All through the language, the reference evaluator,
   in f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema.h"
#include "ir/derive.h"
#include "ir/eval.h"

static const struct {
  const char *text;
  int count;
  double value;
} cases[] = {
#include "builtin_values.h"
};
enum { NCASE = sizeof cases / sizeof *cases };

enum { NVAR = 11, MAX_ELEMENTS = 400 };
static const struct {
  const char *name, *type;
} vars[NVAR] = {{"A", "3, 4"},    {"B", "3, 4"},    {"V", "4"},       {"U", "3"},
                {"P", "3, 4"},    {"Q", "3, 4"},    {"T", "2, 3, 4"}, {"M", "4, 5"},
                {"H", "4, 4, 2"}, {"R", "2, 4, 3"}, {"W", "6, 4"}};

typedef struct Field {
  const char *name;
  int rank, dim[2], limit;
  double value[6];
} Field;
static const Field fields[] = {
    {"y", 1, {3, 0}, 4, {2, 0, 3}},          {"e", 1, {3, 0}, 2, {1, 0, 1}},
    {"k", 2, {3, 2}, 4, {1, 3, 0, 0, 2, 1}}, {"k2", 2, {1, 5}, 4, {3, 1, 0, 2, 3}},
    {"k3", 2, {2, 2}, 3, {1, 2, 0, 2}},      {"s", 1, {6, 0}, 3, {2, 0, 0, 2, 1, 0}},
};
enum { NFIELD = sizeof fields / sizeof *fields };

static SemaProbe probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                       SemaArray **array, int *n, const char **error) {
  (void)path, (void)want, (void)nwant, (void)error;
  *array = arena_array(ctx, SemaArray, NFIELD);
  *n = NFIELD;
  for (int i = 0; i < NFIELD; i++) {
    SemaArray a = {.name = fields[i].name, .integral = true, .rank = fields[i].rank};
    for (int k = 0; k < a.rank; k++) a.dim[k] = fields[i].dim[k];
    (*array)[i] = a;
  }
  return SEMA_PROBE_OK;
}

static const char *program_text(Arena *a, const char *expr, int count) {
  const char *s = "data d { file = \"d.npz\"; ";
  for (int i = 0; i < NFIELD; i++) {
    const Field *f = &fields[i];
    const char *dims = f->rank == 1 ? arena_printf(a, "%d", f->dim[0])
                                    : arena_printf(a, "%d, %d", f->dim[0], f->dim[1]);
    s = arena_printf(a, "%s%s : i32[%s] in range(0, %d); ", s, f->name, dims, f->limit);
  }
  s = arena_printf(a, "%s}\nlevel fit { optimizer = sgd(lr = 1);\n", s);
  for (int i = 0; i < NVAR; i++)
    s = arena_printf(a, "%svar %s : f32[%s] = 0;\n", s, vars[i].name, vars[i].type);
  return arena_printf(
      a, "%sminimize dot(reshape(%s, -1), cos(1 + iota(%d)));\n}\nrun main of fit {}\n", s, expr,
      count);
}

static Program *compile(Arena *a, const char *text) {
  SemaOptions o = {.any_precision = true, .precision = DT_F64, .probe = probe, .probe_ctx = a};
  Diags *d = diags_new(a, "case.mlo", text);
  Ast *ast = ast_parse(a, d, text, strlen(text));
  Program *p = d->nerror ? NULL : sema_program(a, d, ast, &o);
  if (!p) diags_print(d, stderr, false);
  return p;
}

/* All variables end to end, in a program's order. */
typedef struct Point {
  double x[MAX_ELEMENTS], seed, step;
  int n;
} Point;

static Point start(const Program *p) {
  Point at = {.n = 0};
  const Level *l = p->level[0];
  for (int v = 0; v < l->nvar; v++)
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++) {
      double x = 1.1 * sin(1.7 * (double)i + v + 1);
      if (strchr("PQ", vars[v].name[0])) x = 0.25 + 0.3 * (1 + x);
      at.x[at.n++] = x;
    }
  return at;
}

static double direction(int i) { return cos(3.1 * i + 0.5); }

typedef struct Context {
  const Program *p;
  const Point *at;
  double dir[MAX_ELEMENTS];
} Context;

static const double *read_param(void *ctx, const Node *param) {
  const Context *c = ctx;
  if (!strcmp(param->attr.sym, "seed")) return &c->at->seed;
  if (!strcmp(param->attr.sym, "fit.draws")) return &c->at->step;
  const char *name = strchr(param->attr.sym, '.') + 1;
  if (param->attr.sym[0] == 'd') {
    for (int i = 0; i < NFIELD; i++)
      if (!strcmp(fields[i].name, name)) return fields[i].value;
  }
  bool tangent = !strncmp(param->attr.sym, "t.", 2); /* "t.fit.A" */
  const Storage *s = program_find(c->p, tangent ? name : param->attr.sym);
  return tangent ? &c->dir[s->base_offset] : &c->at->x[s->base_offset];
}

static void evaluate(Arena *a, const Program *p, Node *const *root, int n, const Point *at,
                     const double **out) {
  Context c = {.p = p, .at = at};
  for (int i = 0; i < at->n; i++) c.dir[i] = direction(i);
  ir_eval(a, p->level[0]->objective->graph, root, n, read_param, &c, out);
}

static double value_at(const Program *p, Node *f, Point at, int i, double step) {
  Arena *a = arena_new();
  const double *out;
  at.x[i] += step;
  evaluate(a, p, &f, 1, &at, &out);
  double r = *out;
  arena_free(a);
  return r;
}

static void flatten(const Program *p, const double *const *part, Node *const *node, double *out) {
  const Level *l = p->level[0];
  for (int v = 0; v < l->nvar; v++)
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++)
      out[l->var[v]->base_offset + i] = node[v] ? part[v][i] : 0;
}

/* Values of one node a variable; structural zeros where there is none. */
static void gradient_at(const Program *p, Node *const *grad, Point at, const double *dir,
                        double step, double *out) {
  Arena *a = arena_new();
  Node *root[NVAR];
  const double *value[NVAR], *part[NVAR];
  int n = 0;
  for (int i = 0; i < at.n; i++) at.x[i] += step * dir[i];
  for (int v = 0; v < NVAR; v++)
    if (grad[v]) root[n++] = grad[v];
  evaluate(a, p, root, n, &at, value);
  n = 0;
  for (int v = 0; v < NVAR; v++) part[v] = grad[v] ? value[n++] : NULL;
  flatten(p, part, grad, out);
  arena_free(a);
}

static bool near(const char *text, const char *what, int i, double got, double want, double tol) {
  if (fabs(got - want) <= tol * (1 + fabs(want))) return true;
  fprintf(stderr, "%s: %s[%d] is %.12g, not %.12g\n", text, what, i, got, want);
  return false;
}

static bool check_derivatives(const Program *p, const char *text, Node *f, const Point *at) {
  Graph *g = p->level[0]->objective->graph;
  Node *wrt[NVAR], *grad[NVAR], *tangent[NVAR], *hvp[NVAR];
  Arena *a = arena_new();
  double dir[MAX_ELEMENTS], got[MAX_ELEMENTS], plus[MAX_ELEMENTS], minus[MAX_ELEMENTS];
  bool ok = true;
  for (int v = 0; v < NVAR; v++) wrt[v] = storage_read(g, p->level[0]->var[v]);
  ir_grad(g, f, wrt, NVAR, grad);
  for (int i = 0; i < at->n; i++) dir[i] = direction(i);
  gradient_at(p, grad, *at, dir, 0, got);
  for (int i = 0; i < at->n && !strstr(text, "stop"); i++) {
    double h = 1e-5, d = (value_at(p, f, *at, i, h) - value_at(p, f, *at, i, -h)) / (2 * h);
    ok = near(text, "gradient", i, got[i], d, 2e-7) && ok;
  }
  for (int v = 0; v < NVAR; v++) {
    const Storage *var = p->level[0]->var[v];
    tangent[v] = ir_param(g, arena_printf(a, "t.%s", var->name), var->type);
    hvp[v] = NULL;
  }
  for (int v = 0; v < NVAR; v++)
    if (grad[v]) ir_jvp(g, &grad[v], 1, wrt, tangent, NVAR, &hvp[v]);
  gradient_at(p, hvp, *at, dir, 0, got);
  gradient_at(p, grad, *at, dir, 1e-5, plus);
  gradient_at(p, grad, *at, dir, -1e-5, minus);
  for (int i = 0; i < at->n && !strstr(text, "stop"); i++)
    ok = near(text, "hvp", i, got[i], (plus[i] - minus[i]) / 2e-5, 2e-6) && ok;
  arena_free(a);
  return ok;
}

static void test_values_and_derivatives(void **state) {
  (void)state;
  int failed = 0;
  for (int i = 0; i < NCASE; i++) {
    Arena *a = arena_new();
    Program *p = compile(a, program_text(a, cases[i].text, cases[i].count));
    if (p) {
      Point at = start(p);
      Node *f = p->level[0]->objective->result[0];
      bool ok = near(cases[i].text, "value", 0, value_at(p, f, at, 0, 0), cases[i].value, 1e-11);
      failed += !(check_derivatives(p, cases[i].text, f, &at) && ok);
    } else {
      fprintf(stderr, "%s does not compile\n", cases[i].text);
      failed++;
    }
    arena_free(a);
  }
  assert_int_equal(failed, 0);
}

/* A built-in that no case calls is not tested. */
static void test_all_covered(void **state) {
  (void)state;
  static const char *const elsewhere[] = {"gumbel_softmax", "f64", "i32", "size", "index", "batch",
                                          /* test_layers.c */
                                          "window", "conv2d", "conv1d", "max_pool", "avg_pool",
                                          "dropout", "straight_through", "rope", "attention", NULL};
  for (int b = 0; b < builtin_count(); b++) {
    const char *name = builtin_at(b)->name;
    bool found = false;
    char call[64];
    snprintf(call, sizeof call, "%s(", name);
    for (int i = 0; i < NCASE; i++) found = found || strstr(cases[i].text, call);
    for (int i = 0; elsewhere[i]; i++) found = found || !strcmp(elsewhere[i], name);
    if (!found) fail_msg("no case for `%s`", name);
    assert_ptr_equal(builtin_find(name), builtin_at(b));
  }
}

/* The reference holds the table as it is: `mloc explain builtins` prints it anew. */
static void test_reference(void **state) {
  (void)state;
  const char *root = getenv("MLOC_SOURCE_DIR");
  Arena *a = arena_new();
  FILE *f = fopen(arena_printf(a, "%s/frontend/README.md", root ? root : "."), "r");
  assert_non_null(f);
  char *text = arena_alloc(a, 1 << 20), *table = NULL;
  assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
  fclose(f);
  size_t n;
  f = open_memstream(&table, &n);
  assert_non_null(f);
  builtins_print(f);
  fclose(f);
  assert_non_null(strstr(text, table));
  free(table);
  arena_free(a);
}

static double objective_of(const char *expr, int count, const Point *given) {
  Arena *a = arena_new();
  Program *p = compile(a, program_text(a, expr, count));
  assert_non_null(p);
  Point at = given ? *given : start(p);
  double r = value_at(p, p->level[0]->objective->result[0], at, 0, 0);
  arena_free(a);
  return r;
}

/* Noise of its own each step, the same one within a step: rows still sum to 1. */
static void test_noise(void **state) {
  (void)state;
  Arena *a = arena_new();
  Program *p = compile(a, program_text(a, "gumbel_softmax(A, tau = 0.5)", 12));
  Program *q = compile(a, program_text(a, "sum(gumbel_softmax(A, axis = 0), axis = 0)", 4));
  assert_non_null(p);
  assert_non_null(q);
  Point first = start(p), later = first;
  later.step = 1;
  double x = value_at(p, p->level[0]->objective->result[0], first, 0, 0);
  assert_true(isfinite(x));
  assert_true(x == value_at(p, p->level[0]->objective->result[0], first, 0, 0));
  assert_true(x != value_at(p, p->level[0]->objective->result[0], later, 0, 0));
  double ones = cos(1) + cos(2) + cos(3) + cos(4);
  assert_true(fabs(value_at(q, q->level[0]->objective->result[0], first, 0, 0) - ones) < 1e-12);
  assert_true(check_derivatives(p, "gumbel_softmax(A)", p->level[0]->objective->result[0], &first));
  arena_free(a);
}

static void test_hostile_points(void **state) {
  (void)state;
  Point huge = {.n = MAX_ELEMENTS}, zero = {.n = MAX_ELEMENTS};
  for (int i = 0; i < MAX_ELEMENTS; i++) huge.x[i] = i % 2 ? 1e4 : -1e4;
  static const char *const safe[] = {"softmax(A)",      "log_softmax(A)", "xent(A, d.y)",
                                     "elu(A)",          "softplus(A)",    "bce_logits(A, Q)",
                                     "logsumexp(A, 1)", "gelu(A)"};
  static const int count[] = {12, 12, 3, 12, 12, 12, 3, 12};
  for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
    assert_true(isfinite(objective_of(safe[i], count[i], &huge)));
  static const char *const flat[] = {"norm(A)", "std(A)", "cosine_similarity(A, B)", "rmsnorm(A)"};
  static const int flat_count[] = {1, 1, 3, 12};
  for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
    Arena *a = arena_new();
    Program *p = compile(a, program_text(a, flat[i], flat_count[i]));
    assert_non_null(p);
    Node *wrt[NVAR], *grad[NVAR], *f = p->level[0]->objective->result[0];
    double got[MAX_ELEMENTS];
    Graph *g = p->level[0]->objective->graph;
    for (int v = 0; v < NVAR; v++) wrt[v] = storage_read(g, p->level[0]->var[v]);
    ir_grad(g, f, wrt, NVAR, grad);
    Point at = start(p);
    for (int k = 0; k < at.n; k++) zero.x[k] = 0;
    zero.n = at.n;
    gradient_at(p, grad, zero, zero.x, 0, got);
    for (int k = 0; k < at.n; k++) assert_true(isfinite(got[k]));
    arena_free(a);
  }
}

/* Whether the value at `at` changes when element i moves, near or far. */
static bool depends(const Program *p, Node *f, const Point *at, int i) {
  static const double step[] = {1e-3, -1e-3, 1e3, -1e3};
  double here = value_at(p, f, *at, i, 0);
  for (int k = 0; k < 4; k++) {
    double there = value_at(p, f, *at, i, step[k]);
    if (there != here) return true;
  }
  return false;
}

/* A NaN in any element that the value depends on is seen: no built-in swallows it. Comparisons do,
   and what chooses by them. */
static void test_nan_comes_through(void **state) {
  (void)state;
  static const char *const choose[] = {"where(", "if ", "argmax(", ">", "==", NULL};
  int failed = 0;
  for (int i = 0; i < NCASE; i++) {
    Arena *a = arena_new();
    bool chooses = false;
    for (int k = 0; choose[k]; k++) chooses = chooses || strstr(cases[i].text, choose[k]);
    Program *p = chooses ? NULL : compile(a, program_text(a, cases[i].text, cases[i].count));
    Node *f = p ? p->level[0]->objective->result[0] : NULL;
    Point at = p ? start(p) : (Point){.n = 0};
    for (int k = 0; k < at.n; k++) {
      if (!depends(p, f, &at, k) || isnan(value_at(p, f, at, k, NAN))) continue;
      fprintf(stderr, "%s: element %d is NaN, the value is not\n", cases[i].text, k);
      failed++;
    }
    arena_free(a);
  }
  static const char *const bound[] = {"clamp(A, V, 2)", "clamp(A, -2, V)", "max(A, V)",
                                      "min(A, V)",      "bce(Q, 0)",       "kl(0 * P, Q)",
                                      "max(A)",         "min(A, axis = 1)"};
  static const int count[] = {12, 12, 12, 12, 12, 3, 1, 3};
  Point nan = {.n = MAX_ELEMENTS};
  for (int i = 0; i < MAX_ELEMENTS; i++) nan.x[i] = NAN;
  for (size_t i = 0; i < sizeof bound / sizeof *bound; i++)
    if (!isnan(objective_of(bound[i], count[i], &nan))) fail_msg("%s hides NaN", bound[i]);
  assert_int_equal(failed, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values_and_derivatives),
      cmocka_unit_test(test_all_covered),
      cmocka_unit_test(test_reference),
      cmocka_unit_test(test_noise),
      cmocka_unit_test(test_hostile_points),
      cmocka_unit_test(test_nan_comes_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
