/* Kernels compute what their functions say: random functions and programs, fused or not, kernel by
   kernel against the reference; and the groupings that fusion is for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ir/kernel.h"
#include "ir/op.h"
#include "passes/passes.h"
#include "tests/support/draw.h"
#include "tests/support/interp.h"
#include "tests/support/memory.h"

static void plan(Program *p, bool fuse, bool reuse) {
  assert_true(pass_kernels(p));
  if (fuse) assert_true(pass_fuse(p));
  p->facts |= F_FUSED;
  assert_true(pass_plan_memory(p));
  if (reuse) assert_true(pass_reuse(p));
  p->facts |= F_PLANNED;
  const char *wrong = kernel_verify(p);
  if (wrong) fail_msg("%s", wrong);
}

/* Storages that outlive the run hold the same values after both ways of running the program. */
static void check_program(uint64_t seed, int nfunc, int nnode, int64_t size, bool fuse,
                          bool reuse) {
  Build b = draw_program(seed, nfunc, nnode, size);
  Interp *in = interp_new(b.p);
  interp_run(in, b.p->schedule);
  plan(b.p, fuse, reuse);
  Memory *m = memory_new(b.p);
  memory_run(m, b.p->schedule);
  for (int i = 0; i < b.p->nstorage; i++) {
    const Storage *s = b.p->storage[i];
    if (!storage_permanent(s) || s->kind == ST_COUNTER) continue;
    double *got = arena_array(b.arena, double, (int)type_count(s->type)),
           *want = interp_at(in, s->name);
    memory_read(m, s, got);
    for (int64_t k = 0; k < type_count(s->type); k++)
      if (got[k] != want[k] && !(isnan(got[k]) && isnan(want[k])))
        fail_msg("seed %d, fuse %d, reuse %d: %s[%d] is %.17g, not %.17g", (int)seed, fuse, reuse,
                 s->name, (int)k, got[k], want[k]);
  }
  memory_free(m);
  interp_free(in);
  build_free(&b);
}

static void random_programs(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++)
    check_program(seed, 4, 20, seed % 3 ? 5 : 3, seed % 4 != 0, seed % 8 >= 2);
}

static void random_large_programs(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++) check_program(seed, 2, 12, 300, true, true);
}

/* ---- groupings */

typedef struct Case {
  Build b;
  Func *f;
  Graph *g;
} Case;

static Case case_new(void) {
  Case c = {.b = build_new("case")};
  c.f = program_func(c.b.p, ROLE_CHECK, "f");
  c.g = c.f->graph;
  return c;
}

static Node *input(Case *c, const char *name, int rank, const int64_t *dim) {
  return storage_read(c->g,
                      program_storage(c->b.p, ST_DATA, type_make(DT_F32, rank, dim), "%s", name));
}

static void output(Case *c, Node *n, const char *name) {
  func_result(c->b.p, c->f, n, program_storage(c->b.p, ST_OUTPUT, n->type, "%s", name), NULL);
}

static void finish(Case *c) {
  Stmt *s = c->b.p->schedule = stmt_new(c->b.p, STMT_CALL);
  s->func = c->f;
  plan(c->b.p, true, true);
}

static int temporaries(const Case *c) {
  int n = 0;
  for (int i = 0; i < c->b.p->nstorage; i++)
    n += c->b.p->storage[i]->kind == ST_TEMP && strstr(c->b.p->storage[i]->name, ".t") != NULL;
  return n;
}

static void elementwise_chains_are_one_loop(void **state) {
  (void)state;
  Case c = case_new();
  Node *x = input(&c, "x", 2, (int64_t[]){64, 32}), *y = input(&c, "y", 2, (int64_t[]){64, 32});
  Node *e = ir_exp(c.g, ir_mul(c.g, x, y));
  output(&c, ir_add(c.g, e, ir_tanh(c.g, e)), "a");
  output(&c, ir_mul(c.g, e, y), "b");
  finish(&c);
  assert_int_equal(c.f->nkernel, 1);
  assert_true(c.f->kernel[0]->flat);
  assert_int_equal(temporaries(&c), 0);
  build_free(&c.b);
}

static const int64_t last[] = {1};

static Node *softmax(Graph *g, Node *z) {
  Node *s = ir_sub(g, z, ir_unreduce(g, ir_reduce_max(g, z, last, 1), z, last, 1)),
       *e = ir_exp(g, s);
  return ir_div(g, e, ir_unreduce(g, ir_sum(g, e, last, 1), z, last, 1));
}

static void softmax_is_one_kernel_of_three_stages(void **state) {
  (void)state;
  Case c = case_new();
  Node *z = input(&c, "z", 2, (int64_t[]){50, 10});
  output(&c, softmax(c.g, z), "p");
  finish(&c);
  assert_int_equal(c.f->nkernel, 1);
  const Kernel *k = c.f->kernel[0];
  assert_int_equal(k->order, ORDER_ROWS);
  assert_int_equal(k->anchor[k->nanchor - 1].stage, 2);
  bool keep = false;
  for (int i = 0; i < k->nanchor; i++)
    keep = keep || (k->anchor[i].keep && k->anchor[i].node->op == OP_exp);
  assert_true(keep);
  build_free(&c.b);
}

/* logits, cross entropy and its gradient: a product, one kernel of rows, the mean, the gradient's
   product and the bias's columns. */
static void cross_entropy_and_gradient(void **state) {
  (void)state;
  Case c = case_new();
  Graph *g = c.g;
  Node *x = input(&c, "x", 2, (int64_t[]){500, 64}), *w = input(&c, "w", 2, (int64_t[]){64, 10});
  Node *b = input(&c, "b", 1, (int64_t[]){10}), *t = input(&c, "t", 2, (int64_t[]){500, 10});
  Node *z = ir_matmul(g, x, w, false, false);
  z = ir_add(g, z, ir_broadcast(g, b, z->type, last));
  Node *m = ir_reduce_max(g, z, last, 1), *s = ir_sub(g, z, ir_unreduce(g, m, z, last, 1));
  Node *e = ir_exp(g, s), *sum = ir_sum(g, e, last, 1);
  Node *loss = ir_sub(g, ir_log(g, sum), ir_sum(g, ir_mul(g, t, s), last, 1));
  output(&c, ir_sum_all(g, loss), "loss");
  Node *d = ir_sub(g, ir_div(g, e, ir_unreduce(g, sum, z, last, 1)), t);
  output(&c, ir_matmul(g, x, d, true, false), "dw");
  output(&c, ir_sum(g, d, (int64_t[]){0}, 1), "db");
  finish(&c);
  assert_int_equal(c.f->nkernel, 5);
  build_free(&c.b);
}

static void matrix_vector_products_have_epilogues(void **state) {
  (void)state;
  Case c = case_new();
  Graph *g = c.g;
  Node *x = input(&c, "x", 2, (int64_t[]){500, 20}), *w = input(&c, "w", 1, (int64_t[]){20});
  Node *y = input(&c, "y", 1, (int64_t[]){500});
  Node *z = ir_flatten(g, ir_matmul(g, x, ir_reshape(g, w, 2, (int64_t[]){20, 1}), false, false));
  Node *r = ir_sub(g, ir_sigmoid(g, z), y);
  Node *grad = ir_matmul(g, x, ir_reshape(g, r, 2, (int64_t[]){500, 1}), true, false);
  output(&c, ir_add(g, ir_flatten(g, grad), w), "grad");
  finish(&c);
  assert_int_equal(c.f->nkernel, 2);
  assert_int_equal(temporaries(&c), 1);
  assert_int_equal(c.f->kernel[0]->provider, PROVIDER_LOOPS);
  build_free(&c.b);
}

/* One step of conjugate gradients behind the product: both dots and all three vectors in one
 * kernel. */
static void conjugate_gradient_step(void **state) {
  (void)state;
  Case c = case_new();
  Graph *g = c.g;
  const int64_t n[] = {650};
  Program *p = c.b.p;
  Storage *sx = program_storage(p, ST_STATE, type_make(DT_F32, 1, n), "x");
  Storage *sr = program_storage(p, ST_STATE, type_make(DT_F32, 1, n), "r");
  Storage *sp = program_storage(p, ST_STATE, type_make(DT_F32, 1, n), "p");
  Storage *srr = program_storage(p, ST_STATE, type_scalar(DT_F32), "rr");
  Node *x = storage_read(g, sx), *r = storage_read(g, sr), *d = storage_read(g, sp),
       *rr = storage_read(g, srr);
  Node *ad = input(&c, "ap", 1, n);
  Node *alpha = ir_div(g, rr, ir_dot(g, d, ad));
  Node *r1 = ir_sub(g, r, ir_mul(g, ir_fill(g, alpha, r->type), ad)), *rr1 = ir_dot(g, r1, r1);
  func_result(p, c.f, ir_add(g, x, ir_mul(g, ir_fill(g, alpha, x->type), d)), sx, NULL);
  func_result(p, c.f, r1, sr, NULL);
  func_result(p, c.f, rr1, srr, NULL);
  func_result(p, c.f, ir_add(g, r1, ir_mul(g, ir_fill(g, ir_div(g, rr1, rr), x->type), d)), sp,
              NULL);
  finish(&c);
  assert_int_equal(c.f->nkernel, 1);
  assert_int_equal(temporaries(&c), 0);
  build_free(&c.b);
}

static void adam_is_one_kernel_in_place(void **state) {
  (void)state;
  Case c = case_new();
  Program *p = c.b.p;
  const OptimizerInfo *o = optimizer_find("adam");
  Type t = type_make(DT_F32, 1, (int64_t[]){5000});
  Node *setting[MAX_SETTINGS], *state_[MAX_STATE], *next[MAX_STATE];
  Storage *z = program_storage(p, ST_VAR, t, "z"), *st[MAX_STATE];
  for (int i = 0; i < o->nsetting; i++)
    setting[i] = storage_read(
        c.g, program_storage(p, ST_SETTING, type_scalar(DT_F32), "%s", o->setting[i].name));
  for (int i = 0; i < o->nstate; i++) {
    st[i] = program_storage(p, ST_STATE, t, "%s", o->state_name[i]);
    state_[i] = storage_read(c.g, st[i]);
  }
  Node *step = storage_read(c.g, program_storage(p, ST_SETTING, type_scalar(DT_F32), "count"));
  Node *grad = storage_read(c.g, program_storage(p, ST_GRAD, t, "grad"));
  func_result(p, c.f, o->update(c.g, storage_read(c.g, z), grad, state_, setting, step, next), z,
              NULL);
  for (int i = 0; i < o->nstate; i++) func_result(p, c.f, next[i], st[i], NULL);
  finish(&c);
  assert_int_equal(c.f->nkernel, 1);
  assert_int_equal(c.f->kernel[0]->nstore, 1 + o->nstate);
  assert_int_equal(temporaries(&c), 0);
  build_free(&c.b);
}

static void swapped_storages_go_through_temporaries(void **state) {
  (void)state;
  Case c = case_new();
  Program *p = c.b.p;
  Type t = type_make(DT_F32, 1, (int64_t[]){7});
  Storage *a = program_storage(p, ST_VAR, t, "a"), *b = program_storage(p, ST_VAR, t, "b");
  Node *x = storage_read(c.g, a), *y = storage_read(c.g, b);
  func_result(p, c.f, ir_reverse(c.g, y, (int64_t[]){0}, 1), a, NULL);
  func_result(p, c.f, x, b, NULL);
  finish(&c);
  Memory *m = memory_new(p);
  const double va[] = {1, 2, 3, 4, 5, 6, 7}, vb[] = {11, 12, 13, 14, 15, 16, 17};
  double got[7];
  memory_write(m, a, 0, 7, va);
  memory_write(m, b, 0, 7, vb);
  memory_run(m, p->schedule);
  memory_read(m, a, got);
  for (int i = 0; i < 7; i++) assert_float_equal(got[i], vb[6 - i], 0);
  memory_read(m, b, got);
  for (int i = 0; i < 7; i++) assert_float_equal(got[i], va[i], 0);
  memory_free(m);
  build_free(&c.b);
}

static void providers_follow_size(void **state) {
  (void)state;
  Case c = case_new();
  Node *a = input(&c, "a", 2, (int64_t[]){64, 64}), *b = input(&c, "b", 2, (int64_t[]){4, 4});
  output(&c, ir_matmul(c.g, a, a, false, true), "aa");
  output(&c, ir_matmul(c.g, b, b, false, true), "bb");
  finish(&c);
  assert_int_equal(c.f->nkernel, 2);
  assert_int_equal(c.f->kernel[0]->provider, PROVIDER_BLAS);
  assert_int_equal(c.f->kernel[1]->provider, PROVIDER_LOOPS);
  build_free(&c.b);
}

/* A library adds its products up where their sum is stored; a product that someone else reads, or
   that is added twice, stays by itself, and what the loops compute is no part of it. */
static void sums_of_products_are_one_kernel(void **state) {
  (void)state;
  Case c = case_new();
  Node *a = input(&c, "a", 2, (int64_t[]){64, 64}), *b = input(&c, "b", 2, (int64_t[]){64, 64});
  Node *ab = ir_matmul(c.g, a, b, false, false), *ba = ir_matmul(c.g, b, a, false, false);
  Node *aa = ir_matmul(c.g, a, a, true, false), *bb = ir_matmul(c.g, b, b, false, true);
  Node *twice = ir_matmul(c.g, a, b, true, true);
  output(&c, ir_sub(c.g, ba, ir_add(c.g, ab, ir_neg(c.g, aa))), "sum");
  output(&c, ir_add(c.g, twice, twice), "twice");
  output(&c, ir_add(c.g, bb, ir_matmul(c.g, b, a, true, true)), "shared");
  output(&c, ir_tanh(c.g, bb), "tanh");
  finish(&c);
  int products = 0;
  for (int i = 0; i < c.f->nkernel; i++) {
    const Kernel *k = c.f->kernel[i];
    if (k->kind != KERNEL_GEMM) continue;
    bool sum = k->store[0].dest == program_find(c.b.p, "sum");
    assert_int_equal(k->nanchor, sum ? 4 : 1);
    assert_int_equal(k->nstore, 1);
    products++;
    if (!sum) continue;
    Anchor first = k->anchor[0];
    assert_null(kernel_verify(c.b.p));
    k->anchor[0] = k->anchor[1];
    assert_non_null(kernel_verify(c.b.p));
    k->anchor[0] = first;
  }
  assert_int_equal(products, 4);
  assert_int_equal(temporaries(&c), 3);
  build_free(&c.b);
}

/* At single elements every index is the domain's own, yet a product reads its operands from memory:
   they are kernels of their own. */
static void products_of_single_elements_read_memory(void **state) {
  (void)state;
  Case c = case_new();
  Type t = type_make(DT_F64, 2, (int64_t[]){1, 1});
  Node *seed = storage_read(c.g, c.b.p->seed);
  Node *x = ir_random(c.g, t, RANDOM_NORMAL, 62, seed, ir_num(c.g, seed, 0));
  output(&c, ir_tanh(c.g, ir_matmul(c.g, x, x, true, false)), "y");
  finish(&c);
  assert_int_equal(c.f->nkernel, 2);
  assert_non_null(c.f->home[x->id]);
  Interp *in = interp_new(c.b.p);
  interp_run(in, c.b.p->schedule);
  Memory *m = memory_new(c.b.p);
  memory_run(m, c.b.p->schedule);
  double got;
  memory_read(m, program_find(c.b.p, "y"), &got);
  assert_float_equal(got, *interp_at(in, "y"), 1e-15);
  memory_free(m);
  interp_free(in);
  build_free(&c.b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(elementwise_chains_are_one_loop),
      cmocka_unit_test(softmax_is_one_kernel_of_three_stages),
      cmocka_unit_test(cross_entropy_and_gradient),
      cmocka_unit_test(matrix_vector_products_have_epilogues),
      cmocka_unit_test(conjugate_gradient_step),
      cmocka_unit_test(adam_is_one_kernel_in_place),
      cmocka_unit_test(swapped_storages_go_through_temporaries),
      cmocka_unit_test(providers_follow_size),
      cmocka_unit_test(sums_of_products_are_one_kernel),
      cmocka_unit_test(products_of_single_elements_read_memory),
      cmocka_unit_test(random_programs),
      cmocka_unit_test(random_large_programs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
