/* Expressions of the language against committed numbers: programs of one level are made of them,
   differentiated, and evaluated by the reference evaluator and by generated code. */
#include "tests/support/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/text.h"
#include "ir/derive.h"
#include "ir/eval.h"
#include "ir/kernel.h"
#include "passes/passes.h"
#include "runtime/mlo.h"
#include "tests/support/build.h"
#include "tests/support/emulated.h"
#include "tests/support/native.h"

/* What generated code calls has to be in the executable. */
typedef void (*Symbol)(void);
static const volatile Symbol needed[] = {(Symbol)mlo_gemm_f32, (Symbol)mlo_gemm_f64,
                                         (Symbol)mlo_statements};

const char *values_text(Arena *a, const char *vars, const char *goal, const char *more) {
  const char *s = "level fit { optimizer = sgd(lr = 1);\n";
  while (*vars) {
    int name = (int)strcspn(vars, " "), n = (int)strcspn(vars, ";");
    if (vars[name + 1] == '=')
      s = arena_printf(a, "%svar %.*s;\n", s, n, vars);
    else
      s = arena_printf(a, "%svar %.*s : f32[%.*s] = 0;\n", s, name, vars, n - name - 3,
                       vars + name + 3);
    vars += n + strspn(vars + n, "; ");
  }
  return arena_printf(a, "%sminimize %s;\n%s}\nrun main of fit {}\n", s, goal, more);
}

static Program *case_program(Arena *a, const ValueCase *c) {
  const char *goal = arena_printf(a, "dot(reshape(%s, -1), cos(1 + iota(%d)))", c->text, c->count);
  return values_must_compile(a, values_text(a, c->vars, goal, ""));
}

Program *values_compile(Arena *a, const char *text, Diags **d) {
  SemaOptions o = {.any_precision = true, .precision = DT_F64};
  *d = diags_new(a, "case.mlo", text);
  Ast *ast = ast_parse(a, *d, text, strlen(text));
  return (*d)->nerror ? NULL : sema_program(a, *d, ast, &o);
}

Program *values_must_compile(Arena *a, const char *text) {
  Diags *d;
  Program *p = values_compile(a, text, &d);
  if (!p) diags_print(d, stderr, false);
  assert_non_null(p);
  return p;
}

/* ---- the reference evaluator */

static bool is_state(const Storage *s) { return s->kind == ST_VAR && !s->base && s->saved; }

const double *values_read(void *point, const Node *param) {
  ValuePoint *c = point;
  if (!strcmp(param->attr.sym, "seed")) return &c->seed;
  if (!strcmp(param->attr.sym, "fit.draws")) return &c->step;
  bool tangent = !strncmp(param->attr.sym, "t.", 2); /* "t.fit.A" */
  const Storage *s = program_find(c->p, param->attr.sym + (tangent ? 2 : 0));
  if (!is_state(s)) return tangent ? &c->dir[s->base_offset] : &c->x[s->base_offset];
  int64_t at = 0; /* its place behind all states before it */
  for (int k = 0; c->p->storage[k] != s; k++)
    if (is_state(c->p->storage[k])) at += type_count(c->p->storage[k]->type);
  return &c->state[at];
}

void values_start(const Program *p, ValuePoint *c) {
  const Level *l = p->level[0];
  int n = 0, m = 0, state = 0;
  *c = (ValuePoint){.p = p};
  for (int v = 0; v < l->nvar; v++)
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++, n++) {
      assert_true(n < VALUES_ELEMENTS && n == l->var[v]->base_offset + i);
      c->x[n] = 1.1 * sin(1.7 * (double)i + v + 1);
      c->dir[n] = cos(3.1 * n + 0.5);
    }
  for (int k = 0; k < p->nstorage; k++) {
    if (!is_state(p->storage[k])) continue;
    for (int64_t i = 0; i < type_count(p->storage[k]->type); i++) {
      assert_true(m < VALUES_ELEMENTS);
      c->state[m++] = 0.6 + 0.3 * sin(1.3 * (double)i + state);
    }
    state++;
  }
}

double values_of(ValuePoint *c, Graph *g, Node *f) {
  Arena *a = arena_new();
  const double *out;
  ir_eval(a, g, &f, 1, values_read, c, &out);
  double r = *out;
  arena_free(a);
  return r;
}

double values_weighed(ValuePoint *c, Graph *g, Node *const *node) {
  Arena *a = arena_new();
  const Level *l = c->p->level[0];
  double sum = 0;
  for (int v = 0; v < l->nvar; v++) {
    const double *out;
    if (!node[v]) continue;
    ir_eval(a, g, &node[v], 1, values_read, c, &out);
    for (int64_t i = 0; i < type_count(l->var[v]->type); i++)
      sum += cos(0.7 * (double)(l->var[v]->base_offset + i) + 0.2) * out[i];
  }
  arena_free(a);
  return sum;
}

void values_derive(Arena *a, const Level *l, Node **grad, Node **product) {
  Graph *g = l->objective->graph;
  Node *wrt[VALUES_VARS], *tangent[VALUES_VARS];
  assert_true(l->nvar <= VALUES_VARS);
  for (int v = 0; v < l->nvar; v++) {
    wrt[v] = storage_read(g, l->var[v]);
    tangent[v] = ir_param(g, arena_printf(a, "t.%s", l->var[v]->name), l->var[v]->type);
    product[v] = NULL;
  }
  ir_grad(g, l->objective->result[0], wrt, l->nvar, grad);
  for (int v = 0; v < l->nvar; v++)
    if (grad[v]) ir_jvp(g, &grad[v], 1, wrt, tangent, l->nvar, &product[v]);
}

static bool near(const ValueCase *c, const char *what, double got, double want) {
  if (fabs(got - want) <= 1e-11 * (1 + fabs(want))) return true;
  fprintf(stderr, "%s; %s: %s is %.15g, not %.15g\n", c->vars, c->text, what, got, want);
  return false;
}

/* States in the order of their declaration, as they are after the step. */
static double next_states(const Program *p, ValuePoint *c) {
  Arena *a = arena_new();
  double sum = 0;
  int at = 0;
  const Func *f = p->level[0]->advance;
  for (int k = 0; f && k < f->nresult; k++) {
    const double *out;
    ir_eval(a, f->graph, &f->result[k], 1, values_read, c, &out);
    for (int64_t i = 0; i < type_count(f->result[k]->type); i++, at++)
      sum += cos(0.7 * at + 0.2) * out[i];
  }
  arena_free(a);
  return sum;
}

void values_check(const ValueCase *cases, int n) {
  int failed = 0;
  for (int i = 0; i < n; i++) {
    Arena *a = arena_new();
    const ValueCase *c = &cases[i];
    Program *p = case_program(a, c);
    const Level *l = p->level[0];
    Graph *g = l->objective->graph;
    Node *grad[VALUES_VARS], *product[VALUES_VARS];
    ValuePoint at;
    values_start(p, &at);
    values_derive(a, l, grad, product);
    bool ok = near(c, "value", values_of(&at, g, l->objective->result[0]), c->value);
    ok = near(c, "gradient", values_weighed(&at, g, grad), c->gradient) && ok;
    ok = near(c, "Hessian product", values_weighed(&at, g, product), c->product) && ok;
    ok = near(c, "states", next_states(p, &at), c->states) && ok;
    failed += !ok;
    arena_free(a);
  }
  assert_int_equal(failed, 0);
}

/* ---- the same by generated code */

enum { UNFUSED, FUSED, MODES }; /* the fused ones with threads everywhere */
enum { MAX_RESULT = 1 + 2 * VALUES_VARS + 8 };

/* Value, gradients, products and next states of a case as results of one function. */
typedef struct Compiled {
  Build b;
  Program *source;
  Node *node[MAX_RESULT];
  Graph *graph[MAX_RESULT]; /* of which node[k] is one */
  int n;
} Compiled;

static void add_result(Compiled *c, Graph *g, Node *node) {
  if (!node) return;
  assert_true(c->n < MAX_RESULT);
  c->graph[c->n] = g;
  c->node[c->n++] = node;
}

static void add_results(Arena *a, const ValueCase *of, Compiled *c) {
  c->source = case_program(a, of);
  const Level *l = c->source->level[0];
  Graph *g = l->objective->graph;
  Node *grad[VALUES_VARS], *product[VALUES_VARS];
  values_derive(a, l, grad, product);
  add_result(c, g, l->objective->result[0]);
  for (int v = 0; v < l->nvar; v++) {
    add_result(c, g, grad[v]);
    add_result(c, g, product[v]);
  }
  for (int k = 0; l->advance && k < l->advance->nresult; k++)
    add_result(c, l->advance->graph, l->advance->result[k]);
}

/* Storages for all that the results read. */
static void add_params(Program *p, const Graph *g) {
  for (int k = 0; k < g->nnode; k++) {
    const Node *n = g->node[k];
    if (n->op == OP_param && !program_find(p, n->attr.sym))
      program_storage(p, ST_DATA, n->type, "%s", n->attr.sym);
  }
}

/* Passes and code for the one function of p. */
static void plan(Program *p, Func *f, int mode, const char *name) {
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
  if (wrong) fail_msg("%s: %s", name, wrong);
}

static CgOptions options_of(const char *prefix, int mode) {
  bool cuda = getenv("MLO_CUDA_PATH") != NULL;
  return (CgOptions){.library = prefix,
                     .cuda = cuda,
                     .only_cuda = cuda,
                     .no_source = true,
                     .poison = cuda && mode == FUSED};
}

/* source: where the text of CUDA kernels goes. */
static Compiled compile_case(Arena *a, const ValueCase *of, int i, int mode, Text *text,
                             Text *source) {
  Compiled c = {.b = build_new("case"), .n = 0};
  add_results(a, of, &c);
  Program *p = c.b.p;
  Func *f = program_func(p, ROLE_CHECK, "f");
  for (int k = 0; k < c.n; k++) {
    Node *out;
    if (!k || c.graph[k] != c.graph[k - 1]) add_params(p, c.graph[k]);
    ir_subst(f->graph, &c.node[k], 1, NULL, NULL, 0, &out);
    func_result(p, f, out, program_storage(p, ST_OUTPUT, out->type, "out%d", k), NULL);
  }
  p->schedule = stmt_new(p, STMT_CALL);
  p->schedule->func = f;
  plan(p, f, mode, of->text);
  CgOptions o = options_of(arena_printf(a, "c%d_%d_", i, mode), mode);
  text_add(text, cg_c(p, &o));
  if (o.cuda) text_add(source, cg_cuda(p, &o, NULL, NULL));
  return c;
}

static void compare(Arena *a, const Compiled *c, int k, const double *got, ValuePoint *at,
                    const char *name) {
  const double *want;
  double scale = 1;
  int64_t n = type_count(c->node[k]->type);
  ir_eval(a, c->graph[k], &c->node[k], 1, values_read, at, &want);
  for (int64_t j = 0; j < n; j++) scale = fmax(scale, fabs(want[j]));
  for (int64_t j = 0; j < n; j++)
    if (!(fabs(got[j] - want[j]) <= 1e-12 * scale))
      fail_msg("%s, result %d, element %d: %.17g, not %.17g", name, k, (int)j, got[j], want[j]);
}

/* source: of CUDA kernels, or NULL. */
static void run_schedule(Arena *a, const Native *native, const char *prefix, const char *source,
                         unsigned char *arena) {
  int (*schedule)(MloRun *, unsigned char *);
  if (source) {
    const MloProgram *p = native_find(native, arena_printf(a, "%sprogram", prefix));
    assert_true(emulated_run(p, source, arena));
    return;
  }
  *(void **)&schedule = native_find(native, arena_printf(a, "%sschedule", prefix));
  assert_non_null(*(void **)&schedule);
  schedule(NULL, arena);
}

static void run_case(Arena *a, const Compiled *c, const Native *native, const char *prefix,
                     const char *source, const char *name) {
  Program *p = c->b.p;
  ValuePoint at;
  values_start(c->source, &at);
  unsigned char *arena = native_arena(p);
  for (int k = 0; k < p->nstorage; k++) {
    Node named = {.attr.sym = p->storage[k]->name};
    if (p->storage[k]->kind == ST_DATA)
      native_write(arena, p->storage[k], values_read(&at, &named));
  }
  run_schedule(a, native, prefix, source, arena);
  for (int k = 0; k < c->n; k++) {
    double *got = arena_array(a, double, (int)type_count(c->node[k]->type));
    native_read(arena, program_find(p, arena_printf(a, "out%d", k)), got);
    compare(a, c, k, got, &at, name);
  }
  free(arena);
}

/* All cases of one mode are one shared object. It is hardly optimized: that takes the compiler most
   of the time, and test_codegen and fuzz_codegen compile as executables are. */
static void check_mode(const ValueCase *cases, int n, int mode) {
  Arena *a = arena_new();
  Text text = {.arena = a}, source = {.arena = a};
  Compiled *c = arena_array(a, Compiled, n);
  for (int i = 0; i < n; i++) c[i] = compile_case(a, &cases[i], i, mode, &text, &source);
  Native *native = native_load(text.s, mode == UNFUSED || source.s ? "-O0" : "-O1");
  for (int i = 0; i < n; i++) {
    const char *name = arena_printf(a, "%s; %s, mode %d", cases[i].vars, cases[i].text, mode);
    run_case(a, &c[i], native, arena_printf(a, "c%d_%d_", i, mode), source.s, name);
    build_free(&c[i].b);
  }
  native_free(native);
  arena_free(a);
}

void values_check_generated(const ValueCase *cases, int n) {
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    assert_non_null(*(void *const volatile *)&needed[i]);
  for (int mode = 0; mode < MODES; mode++) check_mode(cases, n, mode);
}
