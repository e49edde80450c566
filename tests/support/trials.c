/* Expressions as generated C and CUDA against the reference evaluator. */
#include "tests/support/trials.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/kernel.h"
#include "passes/passes.h"
#include "runtime/mlo.h"
#include "tests/support/cases.h"
#include "tests/support/emulated.h"
#include "tests/support/native.h"

typedef void (*Symbol)(void);
static const volatile Symbol needed[] = {(Symbol)mlo_gemm_f32, (Symbol)mlo_gemm_f64,
                                         (Symbol)mlo_solve_f32, (Symbol)mlo_solve_f64,
                                         (Symbol)mlo_statements};

enum { UNFUSED, FUSED, THREADS, MODES };

bool trials_on_device(void) { return getenv("MLO_CUDA_PATH") != NULL; }

/* ---- building */

Trials trials_new(void) { return (Trials){.arena = arena_new()}; }

void trials_add(Trials *s, const char *name, Graph *g, Node *node, double **value, double ulps) {
  Trial t = {.name = name,
             .graph = g,
             .node = {node},
             .nresult = 1,
             .value = value,
             .ulps = ulps,
             .replaced = -1};
  VEC_PUSH(s->arena, s->trial, s->n, s->cap, t);
}

Maker maker_new(Trials *s, uint64_t seed) {
  return (Maker){.s = s,
                 .g = graph_new(s->arena),
                 .value = arena_array(s->arena, double *, 10),
                 .draw = {seed}};
}

Node *maker_input(Maker *m, DType d, int rank, int64_t n0, int64_t n1, int64_t n2) {
  Type t = type_make(d, rank, (int64_t[]){n0, n1, n2});
  int k = m->nparam++;
  m->value[k] = arena_array(m->s->arena, double, (int)type_count(t));
  for (int64_t i = 0; i < type_count(t); i++) {
    double x = draw_uniform(&m->draw);
    m->value[k][i] = d == DT_I32 ? floor(9 * x) : d == DT_BOOL ? x > 0 : (double)(float)x;
  }
  return ir_param(m->g, arena_printf(m->s->arena, "p%d", k), t);
}

void maker_finish(Maker *m, const char *name, Node *n, double ulps) {
  trials_add(m->s, name, m->g, n, m->value, ulps);
}

static Trial *newest(const Maker *m) { return &m->s->trial[m->s->n - 1]; }

void maker_also(Maker *m, Node *n) {
  Trial *t = newest(m);
  assert_true(t->nresult < (int)(sizeof t->node / sizeof *t->node));
  t->node[t->nresult++] = n;
}

void maker_replace(Maker *m, int k) { newest(m)->replaced = k; }

void maker_row(Maker *m) { newest(m)->row = true; }

void maker_finish_as(Maker *m, const char *name, Node *n, double ulps, Launch l) {
  maker_finish(m, name, n, ulps);
  Trial *t = newest(m);
  t->launches = true;
  t->launch = l;
}

/* ---- programs */

static void threads(Program *p) {
  for (int i = 0; i < p->nfunc; i++)
    for (int k = 0; k < p->func[i]->nkernel; k++) {
      Kernel *x = p->func[i]->kernel[k];
      bool some = kernel_rows(x) * kernel_row_size(x) > 0;
      x->parallel = x->parallel || (x->kind == KERNEL_LOOP && x->order == ORDER_ROWS && some) ||
                    x->kind == KERNEL_GEMM;
      if (!x->chunk) x->chunk = 3;
    }
}

enum { STACK = 3, STACK_ROW = 1 };

/* Where result k goes. */
static void add_result(Build *b, const Trial *t, int number, int k, Func *f, Node *out) {
  Program *p = b->p;
  Type type = out->type;
  Storage *row = NULL, *dest;
  if (k == 0 && t->replaced >= 0) {
    dest = program_find(p, arena_printf(b->arena, "%d.p%d", number, t->replaced));
  } else {
    if (t->row) {
      const char *name = arena_printf(b->arena, "%d.row", number);
      row = program_find(p, name);
      if (!row) row = program_storage(p, ST_DATA, type_make(DT_I32, 0, NULL), "%s", name);
      int64_t dim[MAX_RANK] = {STACK};
      memcpy(dim + 1, type.dim, sizeof *dim * (size_t)type.rank);
      type = type_make(type.dtype, type.rank + 1, dim);
    }
    dest = program_storage(p, ST_OUTPUT, type, "%d.out%d", number, k);
  }
  func_result(p, f, out, dest, row);
}

/* A function of the trial's nodes, called behind what `last` is; its storages are named "0.p1",
   "0.out0" by its number. */
static Stmt **add_trial(Build *b, const Trial *t, int number, Stmt **last) {
  Func *f = program_func(b->p, ROLE_CHECK, "f%d", number);
  Node *out[3];
  Node **from = arena_array(b->arena, Node *, t->graph->nnode),
       **into = arena_array(b->arena, Node *, t->graph->nnode);
  int n = 0;
  for (int i = 0; i < t->graph->nnode; i++) {
    Node *x = t->graph->node[i];
    if (x->op != OP_param) continue;
    const char *name = arena_printf(b->arena, "%d.%s", number, x->attr.sym);
    bool replaced = case_param_index(x) == t->replaced;
    program_storage(b->p, replaced ? ST_STATE : ST_DATA, x->type, "%s", name);
    from[n] = x;
    into[n++] = ir_param(f->graph, name, x->type);
  }
  ir_subst(f->graph, t->node, t->nresult, from, into, n, out);
  for (int k = 0; k < t->nresult; k++) add_result(b, t, number, k, f, out[k]);
  *last = stmt_new(b->p, STMT_CALL);
  (*last)->func = f;
  return &(*last)->next;
}

/* A program of n trials. */
static Build program_of(const Trial *t, int n, int mode) {
  Build b = build_new("trials");
  Stmt **last = &b.p->schedule;
  for (int i = 0; i < n; i++) last = add_trial(&b, &t[i], i, last);
  assert_true(pass_kernels(b.p));
  if (mode != UNFUSED) assert_true(pass_fuse(b.p));
  if (mode == THREADS) threads(b.p);
  assert_true(pass_plan_memory(b.p));
  b.p->facts |= F_FUSED | F_PLANNED;
  return b;
}

const char *trials_text(const Trials *s, int i) {
  Build b = program_of(&s->trial[i], 1, FUSED);
  CgOptions o = {.library = "x"};
  const char *text = arena_strdup(s->arena, cg_c(b.p, &o));
  build_free(&b);
  return text;
}

/* ---- comparing */

static const double *param_value(void *trial, const Node *n) {
  return ((const Trial *)trial)->value[case_param_index(n)];
}

static double epsilon(DType d) { return d == DT_F32 ? 0x1p-23 : d == DT_F64 ? 0x1p-52 : 0; }

static void compare(const Trial *c, int mode, int result, const double *got, const double *want) {
  double scale = 1;
  Type type = c->node[result]->type;
  int64_t n = type_count(type);
  for (int64_t i = 0; i < n; i++)
    if (isfinite(want[i]) && fabs(want[i]) > scale) scale = fabs(want[i]);
  double limit = c->ulps * scale * epsilon(type.dtype);
  for (int64_t i = 0; i < n; i++)
    if (got[i] != want[i] && !(fabs(got[i] - want[i]) <= limit) &&
        !(isnan(got[i]) && isnan(want[i])))
      fail_msg("%s, mode %d, result %d, element %d: %.17g, not %.17g", c->name, mode, result,
               (int)i, got[i], want[i]);
}

static void write_params(const Program *p, Trial *t, int number, unsigned char *arena) {
  char prefix[16];
  int n = snprintf(prefix, sizeof prefix, "%d.", number);
  for (int i = 0; i < p->nstorage; i++) {
    const Storage *s = p->storage[i];
    const double row = STACK_ROW;
    if (s->kind == ST_OUTPUT || strncmp(s->name, prefix, (size_t)n)) continue;
    Node named = {.attr.sym = s->name + n};
    native_write(arena, s, strcmp(s->name + n, "row") ? param_value(t, &named) : &row);
  }
}

/* Where a result is, with how many elements come before it. */
static const Storage *result_storage(const Program *p, const Trial *t, int number, int k,
                                     int64_t *before) {
  char name[32];
  bool replaces = k == 0 && t->replaced >= 0;
  snprintf(name, sizeof name, replaces ? "%d.p%d" : "%d.out%d", number, replaces ? t->replaced : k);
  *before = t->row && !replaces ? STACK_ROW * type_count(t->node[k]->type) : 0;
  return program_find(p, name);
}

static void check(const Trials *s, const Program *p, int i, int number, int mode,
                  const unsigned char *arena) {
  Trial *t = &s->trial[i];
  const double *want[3];
  Arena *a = arena_new();
  ir_eval(a, t->graph, t->node, t->nresult, param_value, t, want);
  for (int k = 0; k < t->nresult; k++) {
    int64_t before;
    const Storage *at = result_storage(p, t, number, k, &before);
    int64_t n = type_count(t->node[k]->type), all = type_count(at->type);
    double *got = arena_array(a, double, (int)all);
    native_read(arena, at, got);
    compare(t, mode, k, got + before, want[k]);
    for (int64_t j = 0; j < all; j++)
      if ((j < before || j >= before + n) && got[j] != 0)
        fail_msg("%s, mode %d: another row is written to", t->name, mode);
  }
  arena_free(a);
}

/* ---- how kernels are launched */

static bool launched_so(const Launch *l, const Launch *want) {
  return l->shape == want->shape && l->vector == want->vector && l->team == want->team &&
         l->lanes == want->lanes && l->ticket == want->ticket &&
         (!want->grid || l->grid == want->grid) && (!want->parts || l->parts == want->parts);
}

static void check_launches(Trials *s) {
  for (int i = 0; i < s->n; i++) {
    Build b = program_of(&s->trial[i], 1, FUSED);
    const Func *f = b.p->func[0];
    bool found = !s->trial[i].launches;
    Launch l = {0};
    for (int k = 0; k < f->nkernel; k++) {
      l = kernel_launch(f->kernel[k]);
      s->shape[l.shape] = true;
      found = found || launched_so(&l, &s->trial[i].launch);
    }
    if (!found)
      fail_msg("%s: %s, vector %d, team %d, lanes %d, grid %d, parts %d, ticket %d",
               s->trial[i].name, launch_shape_name(l.shape), l.vector, l.team, l.lanes, (int)l.grid,
               (int)l.parts, l.ticket);
    build_free(&b);
  }
}

/* ---- as C: all trials in one shared object */

typedef struct Compiled {
  Build b[MODES];
  bool skip[MODES]; /* the same text as the mode before */
} Compiled;

static Compiled compile(const Trials *s, int i, Text *text) {
  Compiled c = {.skip = {false}};
  const char *same = "";
  for (int mode = 0; mode < MODES; mode++) {
    c.b[mode] = program_of(&s->trial[i], 1, mode);
    CgOptions plain = {.library = "x"}, o = {.library = arena_printf(s->arena, "c%d_%d_", i, mode)};
    const char *now = arena_strdup(s->arena, cg_c(c.b[mode].p, &plain));
    c.skip[mode] = !strcmp(now, same);
    same = now;
    if (!c.skip[mode]) text_add(text, cg_c(c.b[mode].p, &o));
  }
  return c;
}

static void run_mode(const Trials *s, const Compiled *c, const Native *native, int i, int mode) {
  Program *p = c->b[mode].p;
  int (*schedule)(MloRun *, unsigned char *);
  *(void **)&schedule = native_find(native, arena_printf(s->arena, "c%d_%d_schedule", i, mode));
  assert_non_null(*(void **)&schedule);
  unsigned char *arena = native_arena(p);
  write_params(p, &s->trial[i], 0, arena);
  schedule(NULL, arena);
  check(s, p, i, 0, mode, arena);
  free(arena);
}

static void run_native(Trials *s) {
  Compiled *c = arena_array(s->arena, Compiled, s->n);
  Text text = {.arena = s->arena};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    assert_non_null(*(void *const volatile *)&needed[i]);
  for (int i = 0; i < s->n; i++) c[i] = compile(s, i, &text);
  Native *native = native_load(text.s, "-O2");
  for (int i = 0; i < s->n; i++)
    for (int mode = 0; mode < MODES; mode++) {
      if (!c[i].skip[mode]) run_mode(s, &c[i], native, i, mode);
      build_free(&c[i].b[mode]);
    }
  native_free(native);
}

/* ---- as CUDA: all trials in one program */

static void run_device(Trials *s, int mode) {
  Build b = program_of(s->trial, s->n, mode);
  assert_null(kernel_verify(b.p));
  CgOptions o = {.library = "t_", .poison = mode != UNFUSED};
  unsigned char *arena = native_arena(b.p);
  for (int i = 0; i < s->n; i++) write_params(b.p, &s->trial[i], i, arena);
  assert_true(emulated_program(b.p, &o, arena));
  for (int i = 0; i < s->n; i++) check(s, b.p, i, i, mode, arena);
  free(arena);
  build_free(&b);
}

void trials_run_same(Trials *s) {
  Text text = {.arena = s->arena};
  Build b = program_of(s->trial, s->n, FUSED);
  CgOptions o = {.library = "t_"};
  unsigned char *arena[2] = {native_arena(b.p), native_arena(b.p)};
  int (*schedule)(MloRun *, unsigned char *);
  text_add(&text, cg_c(b.p, &o));
  Native *native = native_load(text.s, "-O2");
  *(void **)&schedule = native_find(native, "t_schedule");
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < s->n; i++) write_params(b.p, &s->trial[i], i, arena[k]);
  schedule(NULL, arena[0]);
  assert_true(emulated_program(b.p, &o, arena[1]));
  for (int i = 0; i < s->n; i++) {
    int64_t before;
    const Storage *at = result_storage(b.p, &s->trial[i], i, 0, &before);
    int64_t byte = storage_root(at)->offset + storage_start(at);
    bool same = !memcmp(arena[0] + byte, arena[1] + byte, (size_t)type_bytes(at->type));
    if (!same) fail_msg("%s: not the same bits", s->trial[i].name);
    check(s, b.p, i, i, FUSED, arena[1]);
  }
  native_free(native);
  for (int k = 0; k < 2; k++) free(arena[k]);
  build_free(&b);
  arena_free(s->arena);
}

void trials_run(Trials *s) {
  check_launches(s);
  if (trials_on_device()) {
    run_device(s, FUSED);
    run_device(s, UNFUSED);
  } else {
    run_native(s);
  }
  arena_free(s->arena);
}
