/* Products of a library with rounded operands: generated C and, where there is an emulated device,
   CUDA kernels against the reference evaluator on operands that are rounded beforehand. What loops
   compute, and what is f64, stays exact. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/kernel.h"
#include "ir/provider.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "runtime/mlo.h"
#include "runtime/mlo_math.h"
#include "tests/support/emulated.h"
#include "tests/support/build.h"
#include "tests/support/native.h"

typedef void (*Symbol)(void);
static const volatile Symbol needed[] = {(Symbol)mlo_gemm_f32, (Symbol)mlo_gemm_f64,
                                         (Symbol)mlo_gemm_bf16, (Symbol)mlo_gemm_tf32,
                                         (Symbol)mlo_statements};

enum { COUNT = 2048 }; /* elements of the largest array */
static const char *const results[] = {"batch", "turned", "sum", "loops", "wide"};
enum { NRESULT = sizeof results / sizeof *results, BY_LIBRARY = 3 };

static double value(const char *name, int64_t i) {
  double x = sin(1 + 3.7 * (double)i + name[0]);
  return strcmp(name, "w") ? (double)(float)x : x;
}

static Node *data(Build *b, Graph *g, const char *name, DType d, int rank, const int64_t *dim) {
  Storage *s = program_find(b->p, name);
  if (!s) s = program_storage(b->p, ST_DATA, type_make(d, rank, dim), "%s", name);
  return storage_read(g, s);
}

static void result(Build *b, Func *f, const char *name, Node *n) {
  func_result(b->p, f, n, program_storage(b->p, ST_OUTPUT, n->type, "%s", name), NULL);
}

/* Planned, with all kinds of products in one function. */
static Build program(Products products) {
  Build b = build_new("products");
  b.p->run = (Run){.name = "main", .precision = DT_F32, .products = products};
  Func *f = program_func(b.p, ROLE_CHECK, "f");
  Graph *g = f->graph;
  Node *x = data(&b, g, "x", DT_F32, 3, (int64_t[]){2, 28, 28}),
       *y = data(&b, g, "y", DT_F32, 3, (int64_t[]){2, 28, 28}),
       *a = data(&b, g, "a", DT_F32, 2, (int64_t[]){30, 24}),
       *c = data(&b, g, "c", DT_F32, 2, (int64_t[]){24, 30}),
       *e = data(&b, g, "e", DT_F32, 2, (int64_t[]){30, 30}),
       *small = data(&b, g, "s", DT_F32, 2, (int64_t[]){8, 8}),
       *wide = data(&b, g, "w", DT_F64, 2, (int64_t[]){28, 28});
  result(&b, f, "batch", ir_matmul(g, x, y, false, false));
  result(&b, f, "turned", ir_matmul(g, y, x, true, true));
  Node *first = ir_matmul(g, a, c, false, false), *second = ir_matmul(g, e, e, false, true);
  result(&b, f, "sum", ir_sub(g, first, second));
  result(&b, f, "loops", ir_matmul(g, small, small, false, true));
  result(&b, f, "wide", ir_matmul(g, wide, wide, false, true));
  b.p->schedule = stmt_new(b.p, STMT_REPEAT); /* a loop is one block of a device */
  b.p->schedule->count = 1;
  b.p->schedule->body = stmt_new(b.p, STMT_CALL);
  b.p->schedule->body->func = f;
  assert_true(pass_kernels(b.p) && pass_fuse(b.p) && pass_plan_memory(b.p) && pass_reuse(b.p));
  b.p->facts |= F_FUSED | F_PLANNED;
  const char *wrong = ir_verify(b.p);
  if (wrong) fail_msg("%s", wrong);
  return b;
}

static unsigned char *filled(const Program *p) {
  unsigned char *arena = native_arena(p);
  double in[COUNT];
  for (int i = 0; i < p->nstorage; i++) {
    const Storage *s = p->storage[i];
    if (s->kind != ST_DATA) continue;
    assert_true(type_count(s->type) <= COUNT);
    for (int64_t k = 0; k < type_count(s->type); k++) in[k] = value(s->name, k);
    native_write(arena, s, in);
  }
  return arena;
}

/* ---- what is right */

typedef struct Operands {
  Arena *arena;
  Products products;
} Operands;

static const double *operand(void *ctx, const Node *param) {
  Operands *o = ctx;
  int64_t n = type_count(param->type);
  double *v = arena_array(o->arena, double, (int)n);
  for (int64_t i = 0; i < n; i++) {
    v[i] = value(param->attr.sym, i);
    if (o->products == PRODUCTS_BF16) v[i] = (double)mlo_bf16f((float)v[i]);
    if (o->products == PRODUCTS_TF32) v[i] = (double)mlo_tf32f((float)v[i]);
  }
  return v;
}

/* Each result is as products of operands rounded like this have it, but for f32's own rounding; by
   loops and in f64 as exact products have it. */
static void check(const Build *b, const unsigned char *arena) {
  const Func *f = b->p->func[0];
  Products products = b->p->run.products;
  for (int i = 0; i < NRESULT; i++) {
    const Storage *s = program_find(b->p, results[i]);
    Operands exact = {b->arena, PRODUCTS_EXACT}, rounded = {b->arena, products};
    const double *plain, *want;
    double got[COUNT], far = 0;
    ir_eval(b->arena, f->graph, &f->result[i], 1, operand, &exact, &plain);
    ir_eval(b->arena, f->graph, &f->result[i], 1, operand, &rounded, &want);
    if (i >= BY_LIBRARY) want = plain;
    native_read(arena, s, got);
    for (int64_t k = 0; k < type_count(s->type); k++) {
      if (!(fabs(got[k] - want[k]) < 4e-5))
        fail_msg("%s, %s[%d]: %.9g, not %.9g", products_name(products), results[i], (int)k, got[k],
                 want[k]);
      far = fmax(far, fabs(got[k] - plain[k]));
    }
    if (i < BY_LIBRARY && products == PRODUCTS_BF16) assert_true(far > 2e-3 && far < 0.2);
    if (i < BY_LIBRARY && products == PRODUCTS_TF32) assert_true(far > 2e-4 && far < 0.02);
  }
}

/* ---- on a CPU */

static void generated_c(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    assert_non_null(*(void *const volatile *)&needed[i]);
  for (int n = 0; n < NPRODUCTS; n++) {
    Build b = program((Products)n);
    Native *native = native_load(cg_c(b.p, &(CgOptions){.library = "x_"}), "-O2");
    int (*schedule)(MloRun *, unsigned char *);
    *(void **)&schedule = native_find(native, "x_schedule");
    assert_non_null(*(void **)&schedule);
    unsigned char *arena = filled(b.p);
    schedule(NULL, arena);
    check(&b, arena);
    free(arena);
    native_free(native);
    build_free(&b);
  }
}

/* ---- the plan */

static void scratch_is_planned(void **state) {
  (void)state;
  for (int n = 0; n < NPRODUCTS; n++) {
    Build b = program((Products)n);
    const Func *f = b.p->func[0];
    int rounded = 0;
    for (int i = 0; i < f->nkernel; i++) {
      Kernel *k = f->kernel[i];
      if (!kernel_rounded(b.p, k)) continue;
      /* the larger of two that are added: 30 x 30 by 30 x 30; of the batch, one element */
      int64_t floats = k->nanchor > 1 ? 1800 : 1568;
      assert_int_equal(kernel_rounded(b.p, k), floats);
      assert_int_equal(type_bytes(k->scratch->type), 4 * floats);
      Storage *scratch = k->scratch;
      k->scratch = NULL;
      assert_non_null(ir_verify(b.p));
      k->scratch = scratch;
      rounded++;
    }
    assert_int_equal(rounded, n == PRODUCTS_EXACT ? 0 : 3);
    build_free(&b);
  }
}

static void text_says_the_precision(void **state) {
  (void)state;
  static const char *const words[NPRODUCTS] = {"f32", "mixed", "tf32"};
  for (int n = 0; n < NPRODUCTS; n++) {
    Build b = program((Products)n);
    char *text = ir_print(b.p);
    assert_string_equal(run_precision(&b.p->run), words[n]);
    assert_non_null(strstr(text, arena_printf(b.arena, "precision %s;", words[n])));
    Program *again = ir_parse(b.arena, diags_new(b.arena, "again.ir", text), "again", text);
    assert_non_null(again);
    assert_int_equal(again->run.products, n);
    assert_int_equal(again->run.precision, DT_F32);
    assert_string_equal(ir_print(again), text);
    b.p->run.precision = DT_F64;
    const char *wrong = ir_verify(b.p);
    assert_true(n == PRODUCTS_EXACT ? !wrong : strstr(wrong, "floats of f64") != NULL);
    build_free(&b);
  }
}

/* ---- on a device */

static void launches_say_the_precision(void **state) {
  (void)state;
  static const char *const words[NPRODUCTS] = {"MLO_EXACT", "MLO_BF16", "MLO_TF32"};
  for (int n = 0; n < NPRODUCTS; n++) {
    Build b = program((Products)n);
    /* poisoned programs launch every kernel by itself */
    char *text = cg_c(b.p, &(CgOptions){.library = "x_", .cuda = true, .poison = true});
    int exact = 0, rounded = 0;
    for (const char *row = text; (row = strstr(row, "{MLO_GEMM,")); row++) {
      size_t end = strcspn(row, "}");
      const char *said = arena_strndup(b.arena, row, end), *last = strrchr(said, ' ') + 1;
      bool wide = strstr(said, "MLO_F64") != NULL;
      assert_string_equal(last, wide ? "MLO_EXACT" : words[n]);
      exact += wide;
      rounded += !wide;
    }
    assert_int_equal(exact, 1);
    assert_int_equal(rounded, 4);
    build_free(&b);
  }
}

/* The whole function as one block, which makes the library's products itself. */
static void cuda_kernels(void **state) {
  (void)state;
  if (!getenv("MLO_CUDA_PATH")) skip();
  for (int n = 0; n < NPRODUCTS; n++) {
    Build b = program((Products)n);
    CgOptions o = {.library = "x_", .cuda = true, .only_cuda = true};
    Native *native = native_load(cg_c(b.p, &o), "-O0");
    const MloProgram *p = native_find(native, "x_program");
    assert_int_equal(p->cuda->nlaunch, 1);
    unsigned char *arena = filled(b.p);
    assert_true(emulated_run(p, NULL, arena));
    check(&b, arena);
    free(arena);
    native_free(native);
    build_free(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(generated_c),
      cmocka_unit_test(scratch_is_planned),
      cmocka_unit_test(text_says_the_precision),
      cmocka_unit_test(launches_say_the_precision),
      cmocka_unit_test(cuda_kernels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
