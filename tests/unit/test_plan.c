/* Memory plans: no two values that are in use at one time share bytes, on random programs; every
   wrong sharing is either refused by the verifier or changes nothing; reuse saves what it should.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "passes/live.h"
#include "passes/passes.h"
#include "tests/support/draw.h"
#include "tests/support/memory.h"

static void plan(Program *p, bool fuse, bool reuse) {
  assert_true(pass_kernels(p));
  if (fuse) assert_true(pass_fuse(p));
  p->facts |= F_FUSED;
  assert_true(pass_plan_memory(p));
  if (reuse) assert_true(pass_reuse(p));
  p->facts |= F_PLANNED;
}

static bool overlap(const Storage *a, const Storage *b) {
  return a->offset < b->offset + type_bytes(b->type) && b->offset < a->offset + type_bytes(a->type);
}

/* All permanent values, one behind the other. */
static double *result(Program *p, Arena *a, int64_t *n) {
  Memory *m = memory_new(p);
  memory_run(m, p->schedule);
  int64_t total = 0, at = 0;
  for (int i = 0; i < p->nstorage; i++) total += type_count(p->storage[i]->type);
  double *out = arena_array(a, double, (int)total);
  for (int i = 0; i < p->nstorage; i++) {
    if (!storage_permanent(p->storage[i]) || p->storage[i]->base) continue;
    memory_read(m, p->storage[i], out + at);
    at += type_count(p->storage[i]->type);
  }
  memory_free(m);
  *n = at;
  return out;
}

static bool same(const double *a, const double *b, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i]))) return false;
  return true;
}

static void live_values_do_not_overlap(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 150; seed++) {
    Build b = draw_program(seed, 5, 15, 6);
    plan(b.p, seed % 2, true);
    const char *wrong = kernel_verify(b.p);
    if (wrong) fail_msg("seed %d: %s", (int)seed, wrong);
    Live *l = live_new(b.arena, b.p);
    for (int s = 0; s < l->nstep; s++)
      for (int i = 0; i < l->nitem; i++)
        for (int k = 0; k < i; k++)
          if (live_out(l, &l->step[s], i) && live_out(l, &l->step[s], k))
            assert_false(overlap(l->item[i], l->item[k]));
    build_free(&b);
  }
}

static void move(Program *p, Storage *s, int64_t offset) {
  for (int i = 0; i < p->nstorage; i++)
    if (storage_root(p->storage[i]) == s)
      p->storage[i]->offset = offset + storage_start(p->storage[i]);
}

/* Puts a on b's bytes although both are in use at once: as if a lifetime had been cut. */
static bool survives(Program *p, Storage *a, const Storage *b, const double *want, int64_t n) {
  int64_t old = a->offset, top = p->arena_bytes;
  move(p, a, b->offset);
  p->arena_bytes += type_bytes(a->type);
  bool caught = kernel_verify(p) != NULL, harmless = false;
  if (!caught) {
    Arena *scratch = arena_new();
    int64_t m;
    harmless = same(want, result(p, scratch, &m), n);
    arena_free(scratch);
  }
  move(p, a, old);
  p->arena_bytes = top;
  return !caught && !harmless;
}

static void cut_lifetimes_are_caught(void **state) {
  (void)state;
  int mutants = 0;
  for (uint64_t seed = 1; seed <= 25; seed++) {
    Build b = draw_program(seed, 4, 15, 4);
    plan(b.p, seed % 2, true);
    for (int i = 0; i < b.p->nfunc; i++)
      for (int k = 0; k < b.p->func[i]->nkernel; k++) b.p->func[i]->kernel[k]->ndead = 0;
    int64_t n;
    const double *want = result(b.p, b.arena, &n);
    Live *l = live_new(b.arena, b.p);
    for (int i = 0; i < l->nitem; i++)
      for (int k = 0; k < l->nitem; k++) {
        bool together = false;
        for (int s = 0; s < l->nstep && i != k; s++)
          together = together || (live_out(l, &l->step[s], i) && live_out(l, &l->step[s], k));
        if (!together) continue;
        mutants++;
        if (survives(b.p, l->item[i], l->item[k], want, n))
          fail_msg("seed %d: `%s` on `%s`", (int)seed, l->item[i]->name, l->item[k]->name);
      }
    build_free(&b);
  }
  assert_true(mutants > 300);
}

/* A storage that is declared dead while a later step may read it: the verifier says so wherever the
   poison changes a result, and it does in many cases. */
static void early_deaths_are_caught(void **state) {
  (void)state;
  int mutants = 0, changed = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    Build b = draw_program(seed, 4, 15, 4);
    plan(b.p, seed % 2, true);
    int64_t n, m;
    const double *want = result(b.p, b.arena, &n);
    Live *l = live_new(b.arena, b.p);
    for (int s = 0; s < l->nstep; s++)
      for (int i = 0; i < l->nitem && l->step[s].kernel; i++) {
        if (!live_out(l, &l->step[s], i)) continue;
        Kernel *k = l->step[s].kernel, whole = *k;
        k->dead = arena_array(b.arena, Storage *, k->ndead + 1);
        if (whole.ndead) memcpy(k->dead, whole.dead, sizeof *k->dead * (size_t)whole.ndead);
        k->dead[k->ndead++] = l->item[i];
        bool caught = kernel_verify(b.p) != NULL,
             harmless = same(want, result(b.p, b.arena, &m), n);
        if (!caught && !harmless)
          fail_msg("seed %d: `%s` dies with %s", (int)seed, l->item[i]->name, k->name);
        mutants++;
        changed += !harmless;
        *k = whole;
      }
    build_free(&b);
  }
  assert_true(mutants > 100);
  assert_true(4 * changed > mutants); /* the rest is whole for rounds that a device need not make */
}

/* A chain of maps needs two buffers at most, or one where results take over their operands. */
static void chains_reuse_memory(void **state) {
  (void)state;
  Build b = build_new("chain");
  Type t = type_make(DT_F64, 1, (int64_t[]){1000});
  Func *f = program_func(b.p, ROLE_CHECK, "f");
  Node *x = storage_read(f->graph, program_storage(b.p, ST_DATA, t, "x"));
  for (int i = 0; i < 10; i++) x = ir_exp(f->graph, x);
  func_result(b.p, f, x, program_storage(b.p, ST_OUTPUT, t, "y"), NULL);
  b.p->schedule = stmt_new(b.p, STMT_CALL);
  b.p->schedule->func = f;
  plan(b.p, false, false);
  assert_int_equal(f->nkernel, 10);
  assert_true(b.p->arena_bytes >= 11 * 8000);
  assert_true(pass_reuse(b.p));
  assert_null(kernel_verify(b.p));
  assert_true(b.p->arena_bytes <= 3 * 8064 + 64);
  assert_true(pass_fuse(b.p));
  assert_true(pass_plan_memory(b.p));
  assert_true(b.p->arena_bytes <= 2 * 8064 + 64);
  build_free(&b);
}

/* Written outside a loop and read inside: alive in every round. */
static void loops_extend_lifetimes(void **state) {
  (void)state;
  Build b = build_new("loop");
  Type t = type_make(DT_F64, 1, (int64_t[]){64});
  Storage *kept = program_storage(b.p, ST_TEMP, t, "kept"),
          *brief = program_storage(b.p, ST_TEMP, t, "brief");
  Storage *sum = program_storage(b.p, ST_VAR, t, "sum"), *x = program_storage(b.p, ST_DATA, t, "x");
  Func *f = program_func(b.p, ROLE_CHECK, "f"), *g = program_func(b.p, ROLE_CHECK, "g"),
       *h = program_func(b.p, ROLE_CHECK, "h");
  func_result(b.p, f, ir_exp(f->graph, storage_read(f->graph, x)), kept, NULL);
  Node *k = storage_read(g->graph, kept);
  func_result(b.p, g, ir_add(g->graph, ir_sin(g->graph, k), storage_read(g->graph, sum)), brief,
              NULL);
  func_result(b.p, h, ir_cos(h->graph, storage_read(h->graph, brief)), sum, NULL);
  Stmt *call = b.p->schedule = stmt_new(b.p, STMT_CALL),
       *loop = call->next = stmt_new(b.p, STMT_REPEAT);
  call->func = f;
  loop->count = 3;
  loop->body = stmt_new(b.p, STMT_CALL);
  loop->body->func = g;
  loop->body->next = stmt_new(b.p, STMT_CALL);
  loop->body->next->func = h;
  plan(b.p, true, true);
  assert_null(kernel_verify(b.p));
  assert_false(overlap(kept, brief));
  move(b.p, brief, kept->offset);
  assert_non_null(kernel_verify(b.p));
  build_free(&b);
}

/* x > 0, into `to`. */
static void positive(Program *p, Func *f, Node *x, Storage *to) {
  func_result(p, f, ir_lt(f->graph, ir_num(f->graph, x, 0), x), to, NULL);
}

/* What a loop with a condition tests and leaves is not written to in its body by anything else:
   rounds that a device makes while the condition is false change it nowhere. */
static void conditions_stay_whole(void **state) {
  (void)state;
  Build b = build_new("while");
  Type t = type_make(DT_F64, 1, (int64_t[]){64}), one = type_scalar(DT_F64);
  Storage *go = program_storage(b.p, ST_TEMP, type_scalar(DT_BOOL), "go"),
          *left = program_storage(b.p, ST_TEMP, one, "left"),
          *brief = program_storage(b.p, ST_TEMP, t, "brief"),
          *sum = program_storage(b.p, ST_TEMP, one, "sum");
  Storage *x = program_storage(b.p, ST_DATA, t, "x"), *y = program_storage(b.p, ST_VAR, one, "y");
  Func *f[5];
  Stmt *call[5], *loop = stmt_new(b.p, STMT_WHILE);
  for (int i = 0; i < 5; i++) {
    f[i] = program_func(b.p, ROLE_CHECK, "%c", 'a' + i);
    call[i] = stmt_new(b.p, STMT_CALL);
    call[i]->func = f[i];
  }
  Node *first = ir_sum_all(f[0]->graph, storage_read(f[0]->graph, x));
  positive(b.p, f[0], first, go);
  func_result(b.p, f[0], ir_exp(f[0]->graph, first), left, NULL);
  func_result(b.p, f[1], ir_sin(f[1]->graph, storage_read(f[1]->graph, x)), brief, NULL);
  func_result(b.p, f[2], ir_sum_all(f[2]->graph, storage_read(f[2]->graph, brief)), sum, NULL);
  positive(b.p, f[3], storage_read(f[3]->graph, sum), go);
  func_result(b.p, f[3], ir_cos(f[3]->graph, storage_read(f[3]->graph, sum)), left, NULL);
  func_result(b.p, f[4], ir_exp(f[4]->graph, storage_read(f[4]->graph, left)), y, NULL);
  b.p->schedule = call[0];
  call[0]->next = loop;
  loop->count = 3;
  loop->cond = go;
  loop->body = call[1];
  call[1]->next = call[2];
  call[2]->next = call[3];
  loop->next = call[4];
  plan(b.p, true, true);
  assert_null(kernel_verify(b.p));
  assert_false(overlap(go, brief));
  assert_false(overlap(left, brief)); /* written anew in each round, and read behind the loop */
  build_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(live_values_do_not_overlap), cmocka_unit_test(cut_lifetimes_are_caught),
      cmocka_unit_test(early_deaths_are_caught),    cmocka_unit_test(chains_reuse_memory),
      cmocka_unit_test(loops_extend_lifetimes),     cmocka_unit_test(conditions_stay_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
