/* level_order: levels lowest first, nested loops on chains and trees, folded sweeps on other DAGs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "passes/passes.h"
#include "tests/support/build.h"

/* The steps in the order in which the schedule takes them, one letter a level; '|' for a report. */
static char *trace(const Program *p, const Stmt *s, char *out) {
  for (; s; s = s->next) {
    if (s->kind == STMT_STEP) *out++ = s->level->name[0];
    if (s->kind == STMT_REPORT && !s->eval) *out++ = '|';
    int64_t n = s->count_setting ? (int64_t)s->count_setting->value : s->count;
    if (s->kind == STMT_REPEAT)
      for (int64_t i = 0; i < n; i++) out = trace(p, s->body, out);
  }
  *out = 0;
  return out;
}

static int statements(const Stmt *s) {
  int n = 0;
  for (; s; s = s->next) n += 1 + statements(s->body);
  return n;
}

static Level *level(Build *b, const char *name, int64_t steps) {
  double zero = 0;
  Level *l = build_level(b, name, 1, &zero, .1, steps);
  Graph *g = l->objective->graph;
  build_minimize(b, l, ir_sum_all(g, build_read(g, l)));
  return l;
}

static void expect(Build *b, Level *top, const char *want) {
  char got[4096];
  build_top(b, top);
  assert_true(pass_level_order(b->p));
  trace(b->p, b->p->schedule, got);
  assert_string_equal(got, want);
}

static void chains_are_nested_loops(void **state) {
  (void)state;
  Build b = build_new("chain");
  Level *t = level(&b, "t", 2), *m = level(&b, "m", 2), *l = level(&b, "l", 3);
  build_edge(&b, t, m, -1);
  build_edge(&b, m, l, -1);
  expect(&b, t, "lllmlllm|tlllmlllm|tlllmlllm|");
  assert_ptr_equal(b.p->level[0], l);
  assert_ptr_equal(b.p->level[2], t);
  build_free(&b);
}

static void trees_take_each_branch(void **state) {
  (void)state;
  Build b = build_new("tree");
  Level *t = level(&b, "t", 1), *x = level(&b, "x", 2), *y = level(&b, "y", 1);
  build_edge(&b, t, x, -1);
  build_edge(&b, t, y, -1);
  expect(&b, t, "xxy|txxy|");
  build_free(&b);
}

/* c stands below a and b: its steps count for both, and it goes on while one of them wants more. */
static void diamonds_are_swept(void **state) {
  (void)state;
  Build b = build_new("diamond");
  Level *t = level(&b, "t", 1), *a = level(&b, "a", 2), *d = level(&b, "b", 1),
        *c = level(&b, "c", 3);
  build_edge(&b, t, a, -1);
  build_edge(&b, t, d, -1);
  build_edge(&b, a, c, -1);
  build_edge(&b, d, c, -1);
  expect(&b, t, "cccabccca|tcccabccca|");
  /* The counts are part of the build, but for the top's. */
  assert_true(c->steps.storage->lo == 3 && c->steps.storage->hi == 3);
  assert_true(t->steps.storage->hi > 1);
  build_free(&b);
}

/* A level with an edge past the middle: the lowest level's steps count for both. */
static void long_traces_fold(void **state) {
  (void)state;
  Build b = build_new("fold");
  Level *t = level(&b, "t", 1), *m = level(&b, "m", 100), *l = level(&b, "l", 200);
  build_edge(&b, t, m, -1);
  build_edge(&b, t, l, -1);
  build_edge(&b, m, l, -1);
  build_top(&b, t);
  assert_true(pass_level_order(b.p));
  assert_true(statements(b.p->schedule) < 30);
  char *got = arena_array(b.arena, char, 50000), *at = got;
  trace(b.p, b.p->schedule, got);
  int nl = 0, nm = 0;
  for (; *at && *at != '|'; at++) {
    nl += *at == 'l';
    nm += *at == 'm';
  }
  assert_int_equal(nm, 100);
  assert_int_equal(nl, 100 * 200);
  build_free(&b);
}

static void endless_sweeps_are_errors(void **state) {
  (void)state;
  Build b = build_new("endless");
  Level *t = level(&b, "t", 1), *m = level(&b, "m", 100000), *l = level(&b, "l", 100000);
  build_edge(&b, t, m, -1);
  build_edge(&b, t, l, -1);
  build_edge(&b, m, l, -1);
  build_top(&b, t);
  assert_false(pass_level_order(b.p));
  assert_string_equal(b.diags->diag[0]->code, "E0310");
  build_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chains_are_nested_loops),   cmocka_unit_test(trees_take_each_branch),
      cmocka_unit_test(diamonds_are_swept),        cmocka_unit_test(long_traces_fold),
      cmocka_unit_test(endless_sweeps_are_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
