/* Generated code, C or CUDA (tests/support/trials.h), against the reference evaluator over the whole
   op table: every row's samples in f32 and f64, and cases of shapes, views and products beside them,
   each as a function of its own. The tolerance is 4 ulp of the largest value for one operation on
   values of order one (functions are within 4 ulp; sums of a few terms in another order), more
   where stated; random numbers have the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ir/op.h"
#include "tests/support/cases.h"
#include "tests/support/trials.h"

/* ---- rows of the op table */

static void table(DType real) {
  Trials s = trials_new();
  for (int op = 0; op < NOP; op++) {
    Case c;
    for (int v = 0; case_make(s.arena, (Op)op, v, real, &c); v++) {
      double **value = arena_dup(s.arena, c.value, sizeof c.value);
      double ulps = op == OP_solve ? 256 : op == OP_random ? 0 : 16;
      const char *name =
          arena_printf(s.arena, "%s %d %s", op_info((Op)op)->name, v, dtype_name(real));
      trials_add(&s, name, c.graph, c.node, value, ulps);
    }
  }
  trials_run(&s);
}

static void table_f32(void **state) { (void)state, table(DT_F32); }
static void table_f64(void **state) { (void)state, table(DT_F64); }

/* ---- shapes */

static const int64_t sizes[] = {1, 3, 17, 64, 131};
enum { NSIZE = sizeof sizes / sizeof *sizes };

/* All transpose flags with sizes around every block of the loops; batches; by the library too
 * (large ones). */
static void products(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 40; i++) {
    Maker m = maker_new(&s, 7 + (uint64_t)i);
    DType d = i & 1 ? DT_F64 : DT_F32;
    bool ta = i & 2, tb = i & 4;
    int64_t r = sizes[(i / 8) % NSIZE], c = sizes[(i / 5) % NSIZE],
            k = sizes[(i / 3 + i % 3) % NSIZE];
    if (i % 7 == 0) r = 1;
    if (i % 7 == 1) c = 1;
    int rank = i % 11 == 0 ? 3 : 2;
    Node *a, *b;
    if (rank == 3) {
      a = ta ? maker_input(&m, d, 3, 3, k, r) : maker_input(&m, d, 3, 3, r, k);
      b = tb ? maker_input(&m, d, 3, 3, c, k) : maker_input(&m, d, 3, 3, k, c);
    } else {
      a = ta ? maker_input(&m, d, 2, k, r, 0) : maker_input(&m, d, 2, r, k, 0);
      b = tb ? maker_input(&m, d, 2, c, k, 0) : maker_input(&m, d, 2, k, c, 0);
    }
    Node *p = ir_matmul(m.g, a, b, ta, tb);
    if (i % 2) p = ir_sigmoid(m.g, ir_add(m.g, p, ir_num(m.g, p, 0.5)));
    maker_finish(&m, arena_printf(s.arena, "product %d: %d x %d x %d", i, (int)r, (int)c, (int)k),
                 p, 4 + (double)k);
  }
  trials_run(&s);
}

/* Sums and differences of products, which the library adds up in one array where it makes them all
   (large ones): two or three, with transposed operands, in batches. */
static void sums_of_products(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 24; i++) {
    Maker m = maker_new(&s, 77 + (uint64_t)i);
    DType d = i & 1 ? DT_F64 : DT_F32;
    int64_t n = i % 3 ? 64 : 17, rank = i % 5 ? 2 : 3;
    Node *p[4], *a[2];
    for (int k = 0; k < 2; k++)
      a[k] = rank == 3 ? maker_input(&m, d, 3, 3, n, n) : maker_input(&m, d, 2, n, n, 0);
    for (int k = 0; k < 4; k++) p[k] = ir_matmul(m.g, a[k & 1], a[k >> 1], i & 2, k == 3);
    Node *sum = i & 4 ? ir_sub(m.g, p[0], p[1]) : ir_add(m.g, ir_neg(m.g, p[0]), p[1]);
    if (i & 8) sum = ir_sub(m.g, p[2], ir_add(m.g, sum, p[3]));
    if (i % 7 == 0) sum = ir_mul(m.g, sum, p[1]);
    maker_finish(&m, arena_printf(s.arena, "sum %d of products of size %d", i, (int)n), sum,
                 16 + 4 * (double)n);
  }
  trials_run(&s);
}

/* Reductions over every subset of axes of odd shapes, with what feeds and follows them. */
static void reductions(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 63; i++) {
    Maker m = maker_new(&s, 1000 + (uint64_t)i);
    DType d = i % 3 == 0 ? DT_F64 : i % 3 == 1 ? DT_F32 : DT_I32;
    int64_t axes[3], dim[3] = {sizes[i % 4], sizes[(i / 4) % 4], sizes[(i / 7) % 3]};
    int n = 0;
    for (int k = 0; k < 3; k++)
      if ((i % 7 + 1) >> k & 1) axes[n++] = k;
    Node *x = maker_input(&m, d, 3, dim[0], dim[1], dim[2]);
    Node *r = i % 2 ? ir_sum(m.g, ir_mul(m.g, x, x), axes, n) : ir_reduce_max(m.g, x, axes, n);
    if (i % 4 > 1) r = ir_sub(m.g, x, ir_unreduce(m.g, r, x, axes, n));
    if (i % 5 == 0 && n == 1) r = ir_argmax(m.g, x, (int)axes[0]);
    maker_finish(&m, arena_printf(s.arena, "reduction %d", i), r, 64);
  }
  trials_run(&s);
}

static Node *softmax(Graph *g, Node *x, const int64_t *axes, int n) {
  Node *top = ir_unreduce(g, ir_reduce_max(g, x, axes, n), x, axes, n);
  Node *e = ir_exp(g, ir_sub(g, x, top));
  return ir_mul(g, e, ir_recip(g, ir_unreduce(g, ir_sum(g, e, axes, n), x, axes, n)));
}

/* The exponentials wait for their sum: in a buffer, in the row that they will be stored to, or not
   at all where that row lies apart or where the second softmax takes the memory of the first. */
static void row_buffers(void **state) {
  (void)state;
  static const int64_t axes[][2] = {{2}, {1}, {0}, {1, 2}, {0, 2}, {0, 1}};
  Trials s = trials_new();
  for (int i = 0; i < 12; i++) {
    Maker m = maker_new(&s, 6000 + (uint64_t)i);
    Node *x = maker_input(&m, i & 1 ? DT_F64 : DT_F32, 3, 5, 7, 6);
    Node *p = softmax(m.g, x, axes[i / 2], i / 2 < 3 ? 1 : 2);
    maker_finish(&m, arena_printf(s.arena, "row buffer %d", i), p, 64);
    m = maker_new(&s, 6100 + (uint64_t)i);
    x = maker_input(&m, i & 1 ? DT_F64 : DT_F32, 3, 5, 7, 6);
    Node *q = softmax(m.g, softmax(m.g, x, axes[i / 2], i / 2 < 3 ? 1 : 2), axes[5 - i / 2],
                      i / 2 < 3 ? 2 : 1);
    maker_finish(&m, arena_printf(s.arena, "row buffers %d", i), q, 64);
  }
  trials_run(&s);
}

/* softmax, layer norm, cross entropy over rows and columns; sums long enough for chunks and blocks.
 */
static void chains(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 16; i++) {
    Maker m = maker_new(&s, 2000 + (uint64_t)i);
    int64_t axis[] = {i & 1}, rows = i < 8 ? 37 : 5, width = i < 8 ? 10 : 700;
    Node *x = maker_input(&m, i & 2 ? DT_F64 : DT_F32, 2, rows, width, 0);
    Node *top = ir_unreduce(m.g, ir_reduce_max(m.g, x, axis, 1), x, axis, 1);
    Node *e = ir_exp(m.g, ir_sub(m.g, x, top)), *sum = ir_sum(m.g, e, axis, 1);
    Node *p = ir_div(m.g, e, ir_unreduce(m.g, sum, x, axis, 1));
    if (i & 4) p = ir_sum_all(m.g, ir_mul(m.g, p, x));
    maker_finish(&m, arena_printf(s.arena, "softmax %d", i), p, 64);
  }
  Maker m = maker_new(&s, 3000);
  maker_finish(&m, "long sum", ir_sum_all(m.g, maker_input(&m, DT_F64, 2, 300, 301, 0)), 4096);
  m = maker_new(&s, 3001);
  maker_finish(&m, "long maximum",
               ir_reduce_max(m.g, maker_input(&m, DT_F32, 1, 50000, 0, 0), (int64_t[]){0}, 1), 0);
  m = maker_new(&s, 3002);
  maker_finish(&m, "empty sum", ir_sum(m.g, maker_input(&m, DT_F32, 2, 0, 3, 0), (int64_t[]){0}, 1),
               0);
  m = maker_new(&s, 3003);
  maker_finish(&m, "empty map", ir_exp(m.g, maker_input(&m, DT_F32, 2, 3, 0, 0)), 0);
  trials_run(&s);
}

/* Stacks of views, read in place: indices out of range, padding inside concatenations, reshapes
 * that need divisions. */
static void views(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 24; i++) {
    Maker m = maker_new(&s, 4000 + (uint64_t)i);
    Graph *g = m.g;
    DType d = i % 4 == 3 ? DT_I32 : i % 2 ? DT_F64 : DT_F32;
    Node *x = maker_input(&m, d, 2, 6, 10, 0), *index = maker_input(&m, DT_I32, 1, 13, 0, 0);
    for (int k = 0; k < 5; k++) {
      Type t = x->type, big = t;
      int64_t start[MAX_RANK] = {0}, swap[] = {1, 0}, flat = type_count(t);
      switch (draw_below(&m.draw, 8)) {
      case 0: x = ir_transpose(g, x, swap); break;
      case 1: x = ir_reshape(g, x, 2, (int64_t[]){t.dim[1], t.dim[0]}); break;
      case 2:
        x = ir_reshape(g, ir_reverse(g, ir_reshape(g, x, 1, &flat), start, 1), 2, t.dim);
        break;
      case 3:
        big.dim[0] += 3, big.dim[1] += 1, start[0] = 2;
        x = ir_pad(g, x, start, big);
        break;
      case 4:
        big.dim[0] -= big.dim[0] > 1, start[0] = t.dim[0] > 1;
        x = ir_slice(g, x, start, big);
        break;
      case 5: x = ir_concat(g, (Node *[]){x, ir_neg(g, x)}, 2, (int)draw_below(&m.draw, 2)); break;
      case 6: x = ir_gather(g, x, index); break;
      default: x = ir_add(g, x, x);
      }
    }
    maker_finish(&m, arena_printf(s.arena, "views %d", i), ir_neg(g, x), 0);
  }
  trials_run(&s);
}

/* Heads of an attention, [batch, head, row, width], to [batch row, head width], alone or three side
   by side: loops over parts of axes take the place of every division and test. */
static void split_axes(void **state) {
  (void)state;
  static const int64_t shape[][2] = {{8, 16}, {1, 32}, {4, 40}, {6, 5}};
  for (int i = 0; i < 9; i++) {
    Trials s = trials_new();
    int64_t heads = shape[i / 2 % 4][0], each = shape[i / 2 % 4][1], width = heads * each;
    int64_t parts = i & 1 ? 3 : 1, start[] = {0, 0};
    Maker m = maker_new(&s, 7000 + (uint64_t)i);
    Node *sum = NULL;
    for (int k = 0; k < parts; k++) {
      Node *x = maker_input(&m, DT_F32, 2, 8 * heads, 4 * each, 0);
      x = ir_reshape(m.g, x, 4, (int64_t[]){8, heads, 4, each});
      x = ir_transpose(m.g, x, (int64_t[]){0, 2, 1, 3});
      x = ir_reshape(m.g, x, 2, (int64_t[]){32, width});
      start[1] = k * width;
      x = ir_pad(m.g, x, start, type_make(DT_F32, 2, (int64_t[]){32, parts * width}));
      sum = sum ? ir_add(m.g, sum, x) : x;
    }
    bool fits = i < 8;
    if (!fits) /* 15 columns out of 10 */
      sum = ir_reshape(m.g,
                       ir_transpose(m.g, maker_input(&m, DT_F32, 2, 10, 6, 0), (int64_t[]){1, 0}),
                       2, (int64_t[]){4, 15});
    maker_finish(&m, arena_printf(s.arena, "split axes %d", i), ir_neg(m.g, sum), 0);
    const char *text = trials_text(&s, 0);
    assert_int_equal(strstr(text, " / ") == NULL, fits);
    if (parts == 3) assert_null(strstr(text, " >= 0"));
    trials_run(&s);
  }
}

/* Not-a-number wins in maxima and passes through sums, comparisons and selections as C says. */
static void not_a_number(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 4; i++) {
    Maker m = maker_new(&s, 5000);
    Node *x = maker_input(&m, i & 1 ? DT_F64 : DT_F32, 2, 5, 19, 0);
    m.value[0][30] = NAN;
    m.value[0][50] = INFINITY;
    m.value[0][70] = -INFINITY;
    Node *r = ir_reduce_max(m.g, x, (int64_t[]){i / 2}, 1);
    maker_finish(&m, "maximum with NaN", r, 0);
    m = maker_new(&s, 5000);
    x = maker_input(&m, i & 1 ? DT_F64 : DT_F32, 2, 5, 19, 0);
    m.value[0][30] = NAN;
    maker_finish(&m, "select on NaN",
                 ir_select(m.g, ir_lt(m.g, x, ir_num(m.g, x, 0)), ir_num(m.g, x, -INFINITY),
                           ir_max(m.g, x, ir_num(m.g, x, NAN))),
                 0);
  }
  trials_run(&s);
}

/* Integers wrap as in the reference; a comparison with a successor tells whether the compiler took
   overflow for impossible. */
static void integers_wrap(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 12; i++) {
    Maker m = maker_new(&s, 5000 + (uint64_t)i);
    Graph *g = m.g;
    Node *x = maker_input(&m, DT_I32, 2, 40, 33, 0), *z = maker_input(&m, DT_I32, 2, 40, 33, 0);
    for (int64_t k = 0; k < type_count(x->type); k++) {
      m.value[0][k] = k % 3 ? floor(0x1p31 * draw_uniform(&m.draw)) : 0x1p31 - 1;
      m.value[1][k] = k % 5 ? floor(0x1p31 * draw_uniform(&m.draw)) : -0x1p31;
    }
    Node *wide[] = {ir_add(g, x, z), ir_sub(g, x, z), ir_mul(g, x, z), ir_neg(g, z)},
         *n = wide[i % 4];
    if (i >= 4 && i < 8) n = ir_sum(g, n, (int64_t[]){i & 1}, 1);
    if (i == 8) n = ir_cast(g, ir_lt(g, x, ir_add(g, x, ir_num(g, x, 1))), DT_I32);
    if (i == 9) n = ir_cast(g, ir_lt(g, ir_sub(g, z, ir_num(g, z, 1)), z), DT_I32);
    if (i == 10) n = ir_idiv(g, z, ir_num(g, z, -1));
    if (i == 11) n = ir_sum_all(g, ir_sub(g, ir_mul(g, x, x), z));
    maker_finish(&m, arena_printf(s.arena, "wrapping %d", i), n, 0);
  }
  trials_run(&s);
}

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(table_f32),     cmocka_unit_test(table_f64),
      cmocka_unit_test(products),      cmocka_unit_test(sums_of_products),
      cmocka_unit_test(reductions),    cmocka_unit_test(chains),
      cmocka_unit_test(views),         cmocka_unit_test(not_a_number),
      cmocka_unit_test(integers_wrap), cmocka_unit_test(row_buffers),
      cmocka_unit_test(split_axes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
