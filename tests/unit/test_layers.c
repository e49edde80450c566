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

#include <stdlib.h>

#include "codegen/codegen.h"
#include "codegen/text.h"
#include "frontend/sema.h"
#include "ir/derive.h"
#include "ir/eval.h"
#include "ir/kernel.h"
#include "passes/passes.h"
#include "runtime/mlo.h"
#include "tests/support/build.h"
#include "tests/support/native.h"

/* What generated code calls has to be in this executable. */
typedef void (*Symbol)(void);
static const volatile Symbol needed[] = {(Symbol)mlo_gemm_f32, (Symbol)mlo_gemm_f64};

static const struct {
  const char *vars, *text;
  int count;
  double value, gradient, product;
} cases[] = {
#include "layer_values.h"
};
enum { NCASE = sizeof cases / sizeof *cases, MAX_VARS = 4, MAX_ELEMENTS = 512 };

/* "A : 7, 2; B : 3" to declarations of variables; `goal` is the objective. */
static const char *program_text(Arena *a, const char *vars, const char *goal, const char *metric) {
  const char *s = "level fit { optimizer = sgd(lr = 1);\n";
  while (*vars) {
    int name = (int)strcspn(vars, " "), n = (int)strcspn(vars, ";");
    s = arena_printf(a, "%svar %.*s : f32[%.*s] = 0;\n", s, name, vars, n - name - 3,
                     vars + name + 3);
    vars += n + strspn(vars + n, "; ");
  }
  return arena_printf(a, "%sminimize %s;\n%s}\nrun main of fit {}\n", s, goal, metric);
}

static const char *weighed(Arena *a, const char *expr, int count) {
  return arena_printf(a, "dot(reshape(%s, -1), cos(1 + iota(%d)))", expr, count);
}

static Program *compile(Arena *a, const char *text, Diags **d) {
  SemaOptions o = {.any_precision = true, .precision = DT_F64};
  *d = diags_new(a, "case.mlo", text);
  Ast *ast = ast_parse(a, *d, text, strlen(text));
  return (*d)->nerror ? NULL : sema_program(a, *d, ast, &o);
}

static Program *must_compile(Arena *a, const char *text) {
  Diags *d;
  Program *p = compile(a, text, &d);
  if (!p) diags_print(d, stderr, false);
  assert_non_null(p);
  return p;
}

typedef struct Context {
  const Program *p;
  double x[MAX_ELEMENTS], dir[MAX_ELEMENTS], seed, step;
} Context;

static const double *read_param(void *ctx, const Node *param) {
  const Context *c = ctx;
  if (!strcmp(param->attr.sym, "seed")) return &c->seed;
  if (!strcmp(param->attr.sym, "fit.draws")) return &c->step;
  bool tangent = !strncmp(param->attr.sym, "t.", 2); /* "t.fit.A" */
  const Storage *s = program_find(c->p, param->attr.sym + (tangent ? 2 : 0));
  return tangent ? &c->dir[s->base_offset] : &c->x[s->base_offset];
}

static void start(const Program *p, Context *c) {
  const Level *l = p->level[0];
  int n = 0;
  *c = (Context){.p = p};
  for (int v = 0; v < l->nvar; v++)
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++, n++) {
      assert_true(n < MAX_ELEMENTS && n == l->var[v]->base_offset + i);
      c->x[n] = 1.1 * sin(1.7 * (double)i + v + 1);
      c->dir[n] = cos(3.1 * n + 0.5);
    }
}

static double value_of(Context *c, Graph *g, Node *f) {
  Arena *a = arena_new();
  const double *out;
  ir_eval(a, g, &f, 1, read_param, c, &out);
  double r = *out;
  arena_free(a);
  return r;
}

/* One node a variable, weighed by cos(0.7 i + 0.2) over all their elements. */
static double weighed_sum(Context *c, Graph *g, Node *const *node) {
  Arena *a = arena_new();
  const Level *l = c->p->level[0];
  double sum = 0;
  for (int v = 0; v < l->nvar; v++) {
    const double *out;
    if (!node[v]) continue;
    ir_eval(a, g, &node[v], 1, read_param, c, &out);
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++)
      sum += cos(0.7 * (double)(l->var[v]->base_offset + i) + 0.2) * out[i];
  }
  arena_free(a);
  return sum;
}

static void derive(Arena *a, const Level *l, Node **grad, Node **product) {
  Graph *g = l->objective->graph;
  Node *wrt[MAX_VARS], *tangent[MAX_VARS];
  for (int v = 0; v < l->nvar; v++) {
    wrt[v] = storage_read(g, l->var[v]);
    tangent[v] = ir_param(g, arena_printf(a, "t.%s", l->var[v]->name), l->var[v]->type);
    product[v] = NULL;
  }
  ir_grad(g, l->objective->result[0], wrt, l->nvar, grad);
  for (int v = 0; v < l->nvar; v++)
    if (grad[v]) ir_jvp(g, &grad[v], 1, wrt, tangent, l->nvar, &product[v]);
}

static bool near(int i, const char *what, double got, double want) {
  if (fabs(got - want) <= 1e-11 * (1 + fabs(want))) return true;
  fprintf(stderr, "%s: %s is %.15g, not %.15g\n", cases[i].text, what, got, want);
  return false;
}

static void values_and_derivatives(void **state) {
  (void)state;
  int failed = 0;
  for (int i = 0; i < NCASE; i++) {
    Arena *a = arena_new();
    const char *goal = weighed(a, cases[i].text, cases[i].count);
    Program *p = must_compile(a, program_text(a, cases[i].vars, goal, ""));
    const Level *l = p->level[0];
    Graph *g = l->objective->graph;
    Node *grad[MAX_VARS], *product[MAX_VARS];
    Context c;
    start(p, &c);
    derive(a, l, grad, product);
    bool ok = near(i, "value", value_of(&c, g, l->objective->result[0]), cases[i].value);
    ok = near(i, "gradient", weighed_sum(&c, g, grad), cases[i].gradient) && ok;
    ok = near(i, "Hessian product", weighed_sum(&c, g, product), cases[i].product) && ok;
    failed += !ok;
    arena_free(a);
  }
  assert_int_equal(failed, 0);
}

/* ---- the same by generated code */

enum { UNFUSED, FUSED, MODES }; /* the fused ones with threads everywhere */

typedef struct Compiled { /* value, gradients and products of a case as results of one function */
  Build b;
  Program *source;
  Node *node[1 + 2 * MAX_VARS];
  int n;
} Compiled;

static Program *source_of(Arena *a, int i, Compiled *c) {
  const char *goal = weighed(a, cases[i].text, cases[i].count);
  Program *p = must_compile(a, program_text(a, cases[i].vars, goal, ""));
  const Level *l = p->level[0];
  Node *grad[MAX_VARS], *product[MAX_VARS];
  derive(a, l, grad, product);
  c->node[c->n++] = l->objective->result[0];
  for (int v = 0; v < l->nvar; v++) {
    if (grad[v]) c->node[c->n++] = grad[v];
    if (product[v]) c->node[c->n++] = product[v];
  }
  return p;
}

static Compiled compile_case(Arena *a, int i, int mode, Text *text) {
  Compiled c = {.b = build_new("case"), .n = 0};
  c.source = source_of(a, i, &c);
  Program *p = c.b.p;
  Func *f = program_func(p, ROLE_CHECK, "f");
  const Graph *g = c.source->level[0]->objective->graph;
  Node *out[1 + 2 * MAX_VARS];
  for (int k = 0; k < g->nnode; k++) {
    const Node *n = g->node[k];
    if (n->op == OP_param) program_storage(p, ST_DATA, n->type, "%s", n->attr.sym);
  }
  ir_subst(f->graph, c.node, c.n, NULL, NULL, 0, out);
  for (int k = 0; k < c.n; k++)
    func_result(p, f, out[k], program_storage(p, ST_OUTPUT, out[k]->type, "out%d", k), NULL);
  p->schedule = stmt_new(p, STMT_CALL);
  p->schedule->func = f;
  assert_true(pass_kernels(p));
  if (mode != UNFUSED) assert_true(pass_fuse(p));
  for (int k = 0; mode == FUSED && k < f->nkernel; k++) {
    Kernel *x = f->kernel[k];
    bool free = x->order == ORDER_ROWS || kernel_keeps_first(x);
    x->parallel = x->parallel || (x->kind == KERNEL_LOOP && free) || x->kind == KERNEL_GEMM;
    if (!x->chunk) x->chunk = 3;
  }
  assert_true(pass_plan_memory(p));
  if (mode != UNFUSED) assert_true(pass_reuse(p));
  p->facts |= F_FUSED | F_PLANNED;
  const char *wrong = kernel_verify(p);
  if (wrong) fail_msg("%s: %s", cases[i].text, wrong);
  CgOptions o = {.library = arena_printf(a, "c%d_%d_", i, mode)};
  text_add(text, cg_c(p, &o));
  return c;
}

static void run_case(Arena *a, const Compiled *c, const Native *native, int i, int mode) {
  Program *p = c->b.p;
  Context ctx;
  start(c->source, &ctx);
  int (*schedule)(MloRun *, unsigned char *);
  *(void **)&schedule = native_find(native, arena_printf(a, "c%d_%d_schedule", i, mode));
  assert_non_null(*(void **)&schedule);
  unsigned char *arena = native_arena(p);
  for (int k = 0; k < p->nstorage; k++) {
    Node named = {.attr.sym = p->storage[k]->name};
    if (p->storage[k]->kind == ST_DATA)
      native_write(arena, p->storage[k], read_param(&ctx, &named));
  }
  schedule(NULL, arena);
  for (int k = 0; k < c->n; k++) {
    const double *want;
    int64_t n = type_count(c->node[k]->type);
    double *got = arena_array(a, double, (int)n), scale = 1;
    native_read(arena, program_find(p, arena_printf(a, "out%d", k)), got);
    ir_eval(a, c->source->level[0]->objective->graph, &c->node[k], 1, read_param, &ctx, &want);
    for (int64_t j = 0; j < n; j++) scale = fmax(scale, fabs(want[j]));
    for (int64_t j = 0; j < n; j++)
      if (!(fabs(got[j] - want[j]) <= 1e-12 * scale))
        fail_msg("%s, mode %d, result %d, element %d: %.17g, not %.17g", cases[i].text, mode, k,
                 (int)j, got[j], want[j]);
  }
  free(arena);
}

static void generated_code(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    assert_non_null(*(void *const volatile *)&needed[i]);
  for (int mode = 0; mode < MODES; mode++) {
    Arena *a = arena_new();
    Text text = {.arena = a};
    Compiled *c = arena_array(a, Compiled, NCASE);
    for (int i = 0; i < NCASE; i++) c[i] = compile_case(a, i, mode, &text);
    Native *native = native_load(text.s);
    for (int i = 0; i < NCASE; i++) {
      run_case(a, &c[i], native, i, mode);
      build_free(&c[i].b);
    }
    native_free(native);
    arena_free(a);
  }
}

/* ---- what no table shows */

/* A third of the elements is dropped and the others grow; each step anew; the derivative uses the
   same draw; metrics see what is dropped in objectives only. */
static void dropout_draws(void **state) {
  (void)state;
  Arena *a = arena_new();
  const char *metrics = "metric all = sum(dropout(A, 0.25)); metric whole = sum(A);\n";
  Program *p = must_compile(a, program_text(a, "A : 20, 20", "sum(dropout(A, 0.25)^2)", metrics));
  const Level *l = p->level[0];
  Graph *g = l->objective->graph;
  Node *grad[MAX_VARS], *product[MAX_VARS];
  Context c;
  start(p, &c);
  for (int i = 0; i < 400; i++) c.x[i] = 3, c.dir[i] = 1;
  derive(a, l, grad, product);
  double kept = value_of(&c, g, l->objective->result[0]) / 16; /* (3 / 0.75)^2 an element */
  assert_true(kept == floor(kept) && kept > 260 && kept < 340);
  c.step = 1;
  assert_true(value_of(&c, g, l->objective->result[0]) != kept * 16);
  c.step = 0;
  const double *d, *h, *f;
  ir_eval(a, g, &grad[0], 1, read_param, &c, &d);
  ir_eval(a, g, &product[0], 1, read_param, &c, &h);
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
    ir_eval(a, metric->graph, &metric->result[0], 1, read_param, &c, &f);
    assert_true(fabs(*f - 1200) < 1e-9);
    seen++;
  }
  assert_int_equal(seen, 2);
  p = must_compile(a, program_text(a, "A : 20", "sum(dropout(A, 0))", ""));
  start(p, &c);
  double sum = 0;
  for (int i = 0; i < 20; i++) sum += c.x[i];
  assert_true(fabs(value_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0]) -
                   sum) < 1e-12);
  arena_free(a);
}

/* The value of straight_through is hard's, to the last bit. */
static void straight_through_is_exact(void **state) {
  (void)state;
  Arena *a = arena_new();
  Program *p = must_compile(
      a, program_text(a, "A : 40; B : 40", "sum(abs(straight_through(B, exp(9 * A)) - B))", ""));
  Context c;
  start(p, &c);
  assert_true(value_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0]) == 0);
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
      Program *p = must_compile(a, program_text(a, "A : 4, 4; B : 4, 4", goals[i], ""));
      Graph *g = p->level[0]->objective->graph;
      Node *grad[MAX_VARS], *product[MAX_VARS];
      Context c;
      start(p, &c);
      for (int k = 0; k < 32; k++) c.x[k] = point ? (k % 3 ? 100 : -100) : 0;
      derive(a, p->level[0], grad, product);
      assert_true(isfinite(value_of(&c, g, p->level[0]->objective->result[0])));
      assert_true(isfinite(weighed_sum(&c, g, grad)));
      assert_true(isfinite(weighed_sum(&c, g, product)));
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
    Program *p = must_compile(a, program_text(a, "X : 2, 2, 2, 2", goals[i], ""));
    Context c;
    start(p, &c);
    for (int k = 0; k < 16; k++) c.x[k] = NAN;
    if (!isnan(value_of(&c, p->level[0]->objective->graph, p->level[0]->objective->result[0])))
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
    const char *rest = program_text(a, "A : 2", "sum(A)", "");
    compile(a, arena_printf(a, "%s\n%s", fns[i], rest), &d);
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
    Program *p = compile(a, program_text(a, wrong[i].vars, wrong[i].goal, ""), &d);
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
