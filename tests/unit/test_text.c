/* The textual IR: print(parse(print(p))) = print(p) for every operation, for programs with levels
   before and after every pass, and for random ones; names and numbers of every kind; what is wrong
   is named, never a crash. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ir/op.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "tests/support/draw.h"

static void round_trip(Build *b) {
  const char *wrong = ir_verify(b->p);
  if (wrong) fail_msg("%s", wrong);
  char *text = ir_print(b->p);
  Diags *d = diags_new(b->arena, "again.ir", text);
  Program *again = ir_parse(b->arena, d, "again", text);
  if (!again) {
    diags_print(d, stderr, false);
    fail_msg("%s", d->diag[0]->text);
  }
  assert_string_equal(text, ir_print(again));
}

/* ---- every row of the table */

static Node *leaf(Build *b, Graph *g, DType d, int rank) {
  const int64_t dim[] = {4, 4, 4};
  const char *name = arena_printf(b->arena, "%s%d", dtype_name(d), rank);
  Storage *s = program_find(b->p, name);
  if (!s) s = program_storage(b->p, ST_DATA, type_make(d, rank, dim), "%s", name);
  return storage_read(g, s);
}

static DType operand_type(Op op, int k) {
  if ((op == OP_gather && k == 1) || ((op == OP_scatter_add || op == OP_scatter_max) && k == 0))
    return DT_I32;
  if (op == OP_random || op == OP_shuffle) return DT_I32;
  if (op == OP_select) return k ? DT_F32 : DT_BOOL;
  return op == OP_not || op == OP_and || op == OP_or ? DT_BOOL : DT_F32;
}

static Attr attribute(Op op) {
  switch (op) {
  case OP_transpose: return (Attr){.n = 2, .i = {1, 0}};
  case OP_broadcast: return (Attr){.n = 2, .i = {0, 2}};
  case OP_slice:
  case OP_pad: return (Attr){.n = 2, .i = {1, 0}};
  case OP_skew: return (Attr){.n = 6, .i = {0, 1, 2, -1, 3, 1}};
  case OP_matmul: return (Attr){.n = 2, .i = {1, 0}};
  case OP_random: return (Attr){.n = 2, .i = {RANDOM_NORMAL, 7}};
  case OP_shuffle: return (Attr){.n = 2, .i = {12, 7}};
  case OP_sum:
  case OP_reduce_max:
  case OP_reverse: return (Attr){.n = 2, .i = {0, 1}};
  case OP_iota:
  case OP_concat:
  case OP_argmax: return (Attr){.n = 1, .i = {1}};
  default: return (Attr){0};
  }
}

static Type result_type(Op op) {
  const int64_t dim[] = {4, 4, 4}, small[] = {3, 4}, large[] = {5, 4};
  if (op == OP_slice) return type_make(DT_F32, 2, small);
  if (op == OP_pad) return type_make(DT_F32, 2, large);
  if (op == OP_broadcast) return type_make(DT_F32, 3, dim);
  if (op == OP_iota) return type_make(DT_I32, 2, dim);
  if (op == OP_reshape) return type_make(DT_F32, 1, (int64_t[]){16});
  if (op == OP_cast) return type_make(DT_F64, 2, dim);
  return type_make(DT_F32, 2, dim);
}

static void every_operation(void **state) {
  (void)state;
  for (int op = 0; op < NOP; op++) {
    if (op == OP_param) continue;
    Build b = build_new("op");
    Func *f = program_func(b.p, ROLE_CHECK, "f");
    int nin = op_info((Op)op)->arity < 0 ? 3 : op_info((Op)op)->arity;
    Node *in[3];
    for (int k = 0; k < nin; k++) {
      DType d = operand_type((Op)op, k);
      bool index = d == DT_I32 && op != OP_random;
      bool scalar = op == OP_random || (op == OP_shuffle && k < 2);
      in[k] = leaf(&b, f->graph, d, scalar ? 0 : index ? 1 : 2);
    }
    Attr attr = attribute((Op)op);
    if (op == OP_const) attr.value = (float)(1.0 / 3);
    Node *n = ir_node(f->graph, (Op)op, result_type((Op)op), in, nin, attr);
    func_result(b.p, f, n, program_storage(b.p, ST_OUTPUT, n->type, "out"), NULL);
    round_trip(&b);
    build_free(&b);
  }
}

/* ---- names and numbers */

static void odd_names_and_numbers(void **state) {
  (void)state;
  Build b = build_new("odd \"name\"\\");
  const char *names[] = {"",     "inf",     "nan", "view", "saved", "a b", "tune.mu(fit)",
                         "x\ty", "ünïcode", "9",   "at"};
  const double values[] = {0,         -0.0, 1.0 / 3,   1e300,    -1e-300, INFINITY,
                           -INFINITY, NAN,  0x1p-1074, 16777217, 0.1};
  Func *f = program_func(b.p, ROLE_CHECK, "f (%s)", "odd");
  for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
    for (int d = DT_F32; d <= DT_F64; d++) {
      Node *n = ir_const(f->graph, type_scalar((DType)d), values[i]);
      Storage *s =
          program_storage(b.p, ST_SETTING, n->type, "%s%s", names[i], d == DT_F32 ? "" : "'");
      s->value = values[i];
      s->lo = -INFINITY;
      s->hi = values[10 - i];
      func_result(b.p, f, n, s, NULL);
    }
  }
  Storage *x = program_storage(b.p, ST_DATA, type_make(DT_F32, 2, (int64_t[]){3, 2}), "train.x");
  x->dim_name[0] = "N";
  x->check = CHECK_RANGE;
  x->hi = 10;
  x->saved = true;
  round_trip(&b);
  build_free(&b);
}

/* ---- programs with levels */

static Build bilevel(int64_t iters) {
  Build b = build_new("bilevel");
  const double start[] = {.5, -.25, 1};
  Level *low = build_level(&b, "low", 3, start, .1, 4),
        *top = build_level(&b, "top", 3, start, .05, 3);
  Graph *g = low->objective->graph;
  Node *z = build_read(g, low), *r = build_read(g, top), *d = ir_sub(g, z, ir_num(g, z, 1));
  build_minimize(&b, low, ir_add(g, ir_dot(g, d, d), ir_dot(g, ir_exp(g, r), ir_mul(g, z, z))));
  g = top->objective->graph;
  z = build_read(g, low);
  d = ir_sub(g, z, ir_num(g, z, .3));
  build_minimize(&b, top, ir_dot(g, d, d));
  build_edge(&b, top, low, iters);
  build_top(&b, top);
  return b;
}

static bool (*const pipeline[])(Program *p) = {
#define PASS(name, ...) pass_##name,
#include "passes/pipeline.def"
};
static const unsigned facts[] = {
#define PASS(name, requires, establishes, ...) establishes,
#include "passes/pipeline.def"
};

/* After each pass the text round-trips, and the program that was read back goes on to the same end.
 */
static void levels_after_every_pass(void **state) {
  (void)state;
  for (int method = 0; method < 2; method++) {
    Build b = bilevel(method ? 3 : -1);
    round_trip(&b);
    for (size_t i = 0; i < sizeof pipeline / sizeof *pipeline; i++) {
      if (pipeline[i] == pass_check_grad) continue;
      char *before = ir_print(b.p);
      assert_true(pipeline[i](b.p));
      b.p->facts |= facts[i];
      round_trip(&b);
      Diags *d = diags_new(b.arena, "half.ir", before);
      Program *half = ir_parse(b.arena, d, "half", before);
      assert_non_null(half);
      assert_true(pipeline[i](half));
      half->facts |= facts[i];
      assert_string_equal(ir_print(half), ir_print(b.p));
    }
    build_free(&b);
  }
}

static void random_programs(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    Build b = draw_program(seed, 3, 20, 5);
    round_trip(&b);
    assert_true(pass_kernels(b.p));
    b.p->facts |= F_FUSED;
    round_trip(&b);
    assert_true(pass_fuse(b.p));
    round_trip(&b);
    assert_true(pass_plan_memory(b.p));
    b.p->facts |= F_PLANNED;
    round_trip(&b);
    assert_true(pass_reuse(b.p));
    round_trip(&b);
    build_free(&b);
  }
}

/* ---- errors */

static void wrong_text_is_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *code;
  } cases[] = {
      {"", "E0601"},
      {"program p { } ?", "E0601"},
      {"program p { } storage \"x", "E0601"},
      {"program p { } storage x : f32[2] data storage x : f32[2] data", "E0604"},
      {"program p { } storage x : f32[99999999999, 99999999999] data", "E0605"},
      {"program p { } storage x : f32[1,1,1,1,1,1,1] data", "E0605"},
      {"program p { } storage x : f32[2] data view(y, 0)", "E0602"},
      {"program p { } storage y : f32[2] var storage x : f32[2] var view(y, 1)", "E0606"},
      {"program p { } storage x : f32[2] data func @f check { %0 = param x : f32[3] }", "E0606"},
      {"program p { } storage x : f32[2] data func @f check { %0 = param x : f32[2] %1 = exp %2 : "
       "f32[2] }",
       "E0602"},
      {"program p { } func @f check { %0 = const 1 : f32[] %1 = exp %0, %0 : f32[] }", "E0603"},
      {"program p { } func @f check { %0 = const 1 : f32[] %1 = exp %0 : f64[] }", "E0603"},
      {"program p { } func @f check { %0 = const 1 : f32[] %1 = nonsense %0 : f64[] }", "E0602"},
      {"program p { } func @f check { } func @f check { }", "E0604"},
      {"program p { } level l { }", "E0606"},
      {"program p { } schedule { call @f; }", "E0602"},
      {"program p { } schedule { repeat 3 { }", "E0601"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Arena *a = arena_new();
    Diags *d = diags_new(a, "wrong.ir", cases[i].text);
    assert_null(ir_parse(a, d, "wrong", cases[i].text));
    assert_int_equal(d->ndiag, 1);
    assert_string_equal(d->diag[0]->code, cases[i].code);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_operation),         cmocka_unit_test(odd_names_and_numbers),
      cmocka_unit_test(levels_after_every_pass), cmocka_unit_test(random_programs),
      cmocka_unit_test(wrong_text_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
