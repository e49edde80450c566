/* Every shape of launch (ir/launch.h) at sizes that reach it, with what makes it special: what is
   left over behind quads of elements, tickets, teams of every size, registers that keep elements,
   lanes, parts, what replaces what others read, rows of stacks. As C and as CUDA
   (tests/support/trials.h); one case each says how it is launched. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/trials.h"

#define FIRST (int64_t[]){0}, 1
#define SECOND (int64_t[]){1}, 1
#define BOTH (int64_t[]){0, 1}, 2

enum { QUADS = 65536 }; /* elements from which a thread takes four at once */

static void merge_shapes(bool *all, const Trials *s) {
  for (int i = 0; i < NLAUNCHSHAPE; i++) all[i] = all[i] || s->shape[i];
}

static void run(void **state, Trials *s) {
  trials_run(s);
  merge_shapes(*state, s);
}

static const char *name(Trials *s, const char *what, int64_t n) {
  return arena_printf(s->arena, "%s %d", what, (int)n);
}

static Node *softmax(Graph *g, Node *x, const int64_t *axes, int n) {
  Node *top = ir_unreduce(g, ir_reduce_max(g, x, axes, n), x, axes, n);
  Node *e = ir_exp(g, ir_sub(g, x, top)), *sum = ir_sum(g, e, axes, n);
  return ir_div(g, e, ir_unreduce(g, sum, x, axes, n));
}

/* ---- maps */

static void maps(void **state) {
  Trials s = trials_new();
  static const int64_t sizes[] = {1, 255, 256, 257, 3000};
  for (int i = 0; i < 5; i++) {
    Maker m = maker_new(&s, 10 + (uint64_t)i);
    Node *x = maker_input(&m, i & 1 ? DT_F64 : DT_F32, 1, sizes[i], 0, 0);
    maker_finish_as(&m, name(&s, "map", sizes[i]), ir_exp(m.g, x), 4,
                    (Launch){.shape = LAUNCH_MAP, .vector = 1, .grid = (sizes[i] + 255) / 256});
    if (i & 1) maker_row(&m);
  }
  static const DType types[] = {DT_F32, DT_F64, DT_I32};
  for (int i = 0; i < 3; i++) { /* whole quads; three left over; none, for its odd rows */
    Maker m = maker_new(&s, 20 + (uint64_t)i);
    Launch l = {.shape = LAUNCH_MAP, .vector = i == 2 ? 1 : 4};
    int64_t rows = i ? i == 1 ? QUADS + 3 : 257 : 256, columns = i == 1 ? 0 : rows;
    Node *x = maker_input(&m, types[i], i == 1 ? 1 : 2, rows, columns, 0);
    Node *z = maker_input(&m, types[i], i == 1 ? 1 : 2, rows, columns, 0);
    if (i != 1) z = ir_transpose(m.g, z, (int64_t[]){1, 0});
    maker_finish_as(&m, name(&s, "quads", i), ir_sub(m.g, ir_mul(m.g, x, z), z), 4, l);
    maker_also(&m, ir_cast(m.g, ir_lt(m.g, x, z), DT_F32));
    if (i == 0) maker_row(&m);
  }
  run(state, &s);
}

/* A map that replaces what it reads: at its own index in place; elsewhere not before all have read
   it. */
static void replacing_maps(void **state) {
  Trials s = trials_new();
  for (int i = 0; i < 6; i++) {
    Maker m = maker_new(&s, 30 + (uint64_t)i);
    int64_t n = i & 1 ? 700 : 40;
    Node *x = maker_input(&m, DT_F32, 2, n, 3, 0), *z = x;
    if (i / 2 == 1) z = ir_reverse(m.g, x, FIRST);
    if (i / 2 == 2)
      z = ir_fill(
          m.g,
          ir_reshape(m.g,
                     ir_slice(m.g, x, (int64_t[]){5, 1}, type_make(DT_F32, 2, (int64_t[]){1, 1})),
                     0, NULL),
          x->type);
    Node *y = maker_input(&m, DT_F32, 2, n, 3, 0);
    maker_finish(&m, name(&s, "replacing", i), ir_sub(m.g, y, ir_mul(m.g, x, z)), 4);
    maker_replace(&m, 0);
  }
  for (int i = 0; i < 2; i++) { /* by one thread */
    Maker m = maker_new(&s, 38 + (uint64_t)i);
    Node *c = maker_input(&m, DT_F64, i, 1, 0, 0);
    maker_finish(&m, name(&s, "replaced number", i), ir_mul(m.g, c, ir_exp(m.g, c)), 4);
    maker_replace(&m, 0);
  }
  for (int i = 0; i < 2; i++) { /* a scalar of all threads, replaced once they have read it */
    Maker m = maker_new(&s, 40 + (uint64_t)i);
    Node *c = maker_input(&m, DT_F64, 0, 0, 0, 0);
    Node *x = maker_input(&m, DT_F64, 1, i ? 3000 : 30, 0, 0);
    Node *next = ir_exp(m.g, c);
    maker_finish(&m, name(&s, "replaced scalar", i), next, 4);
    maker_replace(&m, 0);
    maker_also(&m, ir_mul(m.g, x, ir_fill(m.g, ir_mul(m.g, c, next), x->type)));
  }
  run(state, &s);
}

/* ---- rows */

static Launch rows(int team, int vector) {
  return (Launch){.shape = LAUNCH_ROWS, .team = team, .vector = vector};
}

static void row_sums(void **state) {
  static const struct {
    int64_t n;
    int team, vector;
  } of[] = {{2, 2, 1},   {3, 4, 1},   {5, 8, 1},    {9, 16, 1},    {17, 32, 1},    {33, 32, 1},
            {63, 32, 1}, {64, 32, 1}, {128, 32, 4}, {1001, 32, 1}, {1025, 256, 1}, {4100, 256, 4}};
  Trials s = trials_new();
  for (int i = 0; i < 12; i++) {
    int64_t n = of[i].n, r = n < 30 ? 300 : n < 1000 ? 19 : 3;
    Launch l = rows(of[i].team, of[i].vector);
    for (int k = 0; k < 3; k++) {
      Maker m = maker_new(&s, 100 + (uint64_t)(3 * i + k));
      Node *x = maker_input(&m, k == 2 ? DT_I32 : k ? DT_F64 : DT_F32, 2, r, n, 0);
      Node *a = k == 1 ? ir_argmax(m.g, x, 1) : ir_sum(m.g, x, SECOND);
      maker_finish_as(&m, name(&s, "row", n), a, 64, l);
      if (k == 0) maker_also(&m, ir_reduce_max(m.g, x, SECOND));
      if (k == 2) maker_row(&m);
    }
  }
  run(state, &s);
}

/* Elements that later stages need: registers up to 4096, computed again in longer rows. */
static void row_stages(void **state) {
  static const struct {
    int64_t n;
    int team, vector;
  } of[] = {{1, 1, 1},    {2, 2, 1},    {10, 16, 1},   {33, 32, 1},    {40, 32, 1},
            {128, 32, 4}, {512, 32, 4}, {513, 256, 1}, {4096, 256, 4}, {4099, 256, 1}};
  Trials s = trials_new();
  for (int i = 0; i < 10; i++)
    for (int k = 0; k < 2; k++) {
      Maker m = maker_new(&s, 200 + (uint64_t)(2 * i + k));
      int64_t n = of[i].n, r = n < 12 ? 300 : n < 300 ? 19 : 3;
      Node *x = maker_input(&m, k ? DT_F64 : DT_F32, 2, r, n, 0);
      Node *p = softmax(m.g, x, SECOND);
      if (n > 1)
        maker_finish_as(&m, name(&s, "softmax", n), p, 64, rows(of[i].team, of[i].vector));
      else
        maker_finish(&m, name(&s, "softmax", n), p, 64);
      if (k) maker_replace(&m, 0);
      m = maker_new(&s, 300 + (uint64_t)(2 * i + k)); /* a stage more, and something once a row */
      x = maker_input(&m, k ? DT_F64 : DT_F32, 2, r, n, 0);
      Node *z = maker_input(&m, k ? DT_F64 : DT_F32, 1, r, 0, 0);
      p = softmax(m.g, x, SECOND);
      Node *dot = ir_sum(m.g, ir_mul(m.g, p, x), SECOND);
      dot = ir_mul(m.g, dot, ir_exp(m.g, z));
      maker_finish(&m, name(&s, "derivative of softmax", n),
                   ir_mul(m.g, p, ir_sub(m.g, x, ir_unreduce(m.g, dot, x, SECOND))), 64);
      maker_also(&m, dot);
      if (k) maker_row(&m);
    }
  run(state, &s);
}

/* ---- totals */

static void totals(void **state) {
  static const int64_t sizes[] = {1, 2, 300, 8192, 8193, 20000, QUADS, QUADS + 3};
  Trials s = trials_new();
  for (int i = 0; i < 8; i++) {
    int64_t n = sizes[i];
    Launch l = {.shape = LAUNCH_TOTAL,
                .team = 256,
                .vector = n >= QUADS ? 4 : 1,
                .ticket = n > 8192,
                .grid = n > 8192 ? (n + 4095) / 4096 : 1};
    for (int k = 0; k < 3; k++) {
      Maker m = maker_new(&s, 400 + (uint64_t)(3 * i + k));
      Node *x = maker_input(&m, k == 1 ? DT_F32 : DT_F64, 1, n, 0, 0);
      Node *a = k == 0   ? ir_sum_all(m.g, ir_mul(m.g, x, x))
                : k == 1 ? ir_argmax(m.g, x, 0)
                         : ir_reduce_max(m.g, x, FIRST);
      if (n == 1)
        maker_finish(&m, name(&s, "total", n), a, 4096);
      else
        maker_finish_as(&m, name(&s, "total", n), a, 4096, l);
      if (k == 0) maker_also(&m, ir_sum_all(m.g, ir_exp(m.g, x)));
      if (k == 2) maker_also(&m, ir_sub(m.g, ir_exp(m.g, a), ir_num(m.g, a, 1)));
      if (k == 2) maker_row(&m);
    }
    Maker m = maker_new(&s, 450 + (uint64_t)i); /* stages: one block */
    if (n > 20000) continue;
    maker_finish(&m, name(&s, "softmax of all", n),
                 softmax(m.g, maker_input(&m, DT_F64, 1, n, 0, 0), FIRST), 64);
  }
  for (int i = 0; i < 4; i++) { /* over axes of one element */
    Maker m = maker_new(&s, 480 + (uint64_t)i);
    Node *x = maker_input(&m, DT_F64, 2, i & 1 ? 5 : 1, 1, 0), *sum;
    sum = i & 2 ? ir_sum(m.g, ir_exp(m.g, x), SECOND) : ir_sum(m.g, x, SECOND);
    maker_finish(&m, name(&s, "sum over nothing", i),
                 ir_sub(m.g, x, ir_unreduce(m.g, sum, x, SECOND)), 16);
    maker_also(&m, sum);
    m = maker_new(&s, 490 + (uint64_t)i);
    x = maker_input(&m, DT_F64, 2, i & 1 ? 5 : 1, 1, 0);
    sum = ir_sum(m.g, ir_mul(m.g, x, x), SECOND);
    maker_finish(&m, name(&s, "replacing sum over nothing", i),
                 ir_sub(m.g, x, ir_unreduce(m.g, sum, x, SECOND)), 16);
    maker_replace(&m, 0);
    if (i & 2) maker_also(&m, ir_exp(m.g, sum));
  }
  run(state, &s);
}

/* What is summed is replaced by what follows from the sum. */
static void replacing_sums(void **state) {
  Trials s = trials_new();
  static const int64_t sizes[] = {7, 300, 9000};
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 4; k++) {
      Maker m = maker_new(&s, 500 + (uint64_t)(4 * i + k));
      int64_t n = sizes[i];
      Node *c = maker_input(&m, DT_F64, 0, 0, 0, 0), *x;
      if (k < 2) { /* a scalar that each element reads; the sum takes its place */
        x = maker_input(&m, DT_F64, 1, n, 0, 0);
        Node *y = ir_sub(m.g, x, ir_fill(m.g, c, x->type));
        maker_finish(&m, name(&s, "replacing sum", n), ir_sum_all(m.g, ir_mul(m.g, y, y)), 4096);
        maker_replace(&m, 0);
        if (k) maker_also(&m, y);
      } else { /* ..and one for each row or column */
        m = maker_new(&s, 500 + (uint64_t)(4 * i + k));
        bool row = k == 2;
        int64_t kept = 40;
        c = maker_input(&m, DT_F64, 1, kept, 0, 0);
        x = row ? maker_input(&m, DT_F64, 2, kept, n, 0) : maker_input(&m, DT_F64, 2, n, kept, 0);
        const int64_t axis[] = {row};
        Node *y = ir_sub(m.g, x, ir_unreduce(m.g, c, x, axis, 1));
        maker_finish(&m, name(&s, "replacing sums", n), ir_sum(m.g, ir_mul(m.g, y, y), axis, 1),
                     4096);
        maker_replace(&m, 0);
      }
    }
  run(state, &s);
}

/* ---- columns */

static void columns(void **state) {
  static const struct {
    int64_t n, kept;
    int lanes, parts;
  } of[] = {{7, 2, 2, 1},     {32, 3, 4, 1},    {33, 5, 8, 2},    {100, 9, 16, 4},
            {100, 17, 32, 4}, {100, 33, 32, 4}, {3000, 8, 8, 64}, {3, 1000, 32, 1}};
  Trials s = trials_new();
  for (int i = 0; i < 8; i++) {
    Launch l = {.shape = LAUNCH_COLUMNS,
                .vector = 1,
                .lanes = of[i].lanes,
                .parts = of[i].parts,
                .ticket = of[i].parts > 1};
    for (int k = 0; k < 4; k++) {
      Maker m = maker_new(&s, 600 + (uint64_t)(4 * i + k));
      Node *x = maker_input(&m, k == 2 ? DT_I32 : k ? DT_F32 : DT_F64, 2, of[i].n, of[i].kept, 0);
      Node *a = k == 1   ? ir_argmax(m.g, x, 0)
                : k == 3 ? ir_reduce_max(m.g, x, FIRST)
                         : ir_sum(m.g, x, FIRST);
      maker_finish_as(&m, name(&s, "columns", of[i].n), a, 256, l);
      if (k == 0) maker_also(&m, ir_sum(m.g, ir_mul(m.g, x, x), FIRST));
      if (k == 2) maker_row(&m);
    }
  }
  for (int i = 0; i < 2; i++) { /* of one element each, which take its place */
    Maker m = maker_new(&s, 680 + (uint64_t)i);
    Node *x = maker_input(&m, DT_F64, 2, 1, i ? 300 : 3, 0);
    Node *z = ir_exp(m.g, x);
    maker_finish(&m, name(&s, "columns of one", i), ir_neg(m.g, z), 4);
    maker_replace(&m, 0);
    maker_also(&m, ir_sum(m.g, z, FIRST));
  }
  Maker m = maker_new(&s, 690); /* enough blocks without parts */
  Node *x = maker_input(&m, DT_F32, 2, 40, 600 * 32 + 1, 0);
  maker_finish_as(&m, "many columns", ir_sum(m.g, x, FIRST), 64,
                  (Launch){.shape = LAUNCH_COLUMNS, .vector = 1, .lanes = 32, .parts = 1});
  run(state, &s);
}

/* ---- products */

static Launch product(LaunchShape shape) {
  return (Launch){.shape = shape, .vector = shape != LAUNCH_LIBRARY};
}

static void dots_and_tiles(void **state) {
  Trials s = trials_new();
  for (int i = 0; i < 16; i++) {
    DType d = i & 1 ? DT_F64 : DT_F32;
    bool ta = i & 2, tb = i & 4, dots = i & 8;
    Maker m = maker_new(&s, 700 + (uint64_t)i);
    int64_t r = dots ? 5 : 33, c = dots ? 7 : 18, k = dots ? 70 : 21;
    Node *a = ta ? maker_input(&m, d, 3, 2, k, r) : maker_input(&m, d, 3, 2, r, k);
    Node *b = tb ? maker_input(&m, d, 3, 2, c, k) : maker_input(&m, d, 3, 2, k, c);
    Node *p = ir_matmul(m.g, a, b, ta, tb);
    Launch l = product(dots ? LAUNCH_DOTS : LAUNCH_TILES);
    maker_finish_as(&m, name(&s, "batch of products", i), p, 4 + (double)k, l);
    if (i % 3) maker_row(&m);
    m = maker_new(&s, 750 + (uint64_t)i);
    a = ta ? maker_input(&m, d, 2, k, r, 0) : maker_input(&m, d, 2, r, k, 0);
    b = tb ? maker_input(&m, d, 2, c, k, 0) : maker_input(&m, d, 2, k, c, 0);
    Node *bias = maker_input(&m, d, 1, c, 0, 0);
    p = ir_matmul(m.g, a, b, ta, tb);
    p = ir_tanh(m.g, ir_add(m.g, p, ir_unreduce(m.g, bias, p, FIRST)));
    maker_finish_as(&m, name(&s, "layer", i), p, 4 + (double)k, l);
    m = maker_new(&s, 780 + (uint64_t)i);
    Node *old = maker_input(&m, d, 2, r, c, 0);
    a = ta ? maker_input(&m, d, 2, k, r, 0) : maker_input(&m, d, 2, r, k, 0);
    b = tb ? maker_input(&m, d, 2, c, k, 0) : maker_input(&m, d, 2, k, c, 0);
    p = ir_add(m.g, ir_mul(m.g, old, old), ir_matmul(m.g, a, b, ta, tb));
    maker_finish_as(&m, name(&s, "replacing product", i), p, 4 + (double)k, l);
    maker_replace(&m, 0);
  }
  run(state, &s);
}

static void more_products(void **state) {
  Trials s = trials_new();
  for (int i = 0; i < 12; i++) {
    DType d = i & 1 ? DT_F64 : DT_F32;
    Maker m = maker_new(&s, 800 + (uint64_t)i);
    int64_t n = i < 4 ? 100 : 12, k = i & 2 ? 40 : 3;
    if (i >= 10) k = 0;
    Node *a = maker_input(&m, d, 2, n, k, 0), *b = maker_input(&m, d, 2, k, n, 0);
    Node *c = maker_input(&m, d, 2, n, k, 0), *p = ir_matmul(m.g, a, b, false, false);
    if (i >= 8 && i < 10) { /* vectors */
      a = maker_input(&m, d, 2, 300, n, 0);
      b = maker_input(&m, d, 2, 300, 1, 0);
      p = ir_matmul(m.g, a, b, true, false);
    } else if (i % 4 > 1) {
      p = ir_sub(m.g, ir_matmul(m.g, c, b, false, false), p);
      if (i & 4) p = ir_neg(m.g, p);
    }
    maker_finish(&m, name(&s, "product", i), p, 64 + 4 * (double)k);
    if (i == 3 || i == 7 || i == 9) maker_row(&m);
  }
  for (int i = 0; i < 2; i++) {
    Maker m = maker_new(&s, 850 + (uint64_t)i);
    Node *a = maker_input(&m, i ? DT_F64 : DT_F32, 2, 128, 128, 0);
    Node *p = ir_matmul(m.g, a, a, false, true);
    maker_finish_as(&m, name(&s, "library", i), p, 512, product(LAUNCH_LIBRARY));
    maker_also(&m, ir_exp(m.g, p));
  }
  run(state, &s);
}

/* ---- scatters and solutions */

static void scatters(void **state) {
  Trials s = trials_new();
  static const int64_t count[] = {0, 1, 30, 256, 700}, width[] = {1, 5, 40}, rows_of[] = {1, 6, 50};
  for (int i = 0; i < 30; i++) {
    Maker m = maker_new(&s, 900 + (uint64_t)i);
    DType d = i % 3 ? DT_F32 : DT_F64;
    int64_t n = count[i % 5], w = width[i / 2 % 3], r = rows_of[i / 3 % 3];
    bool flat = i % 4 == 0, max = i % 2;
    Node *index = maker_input(&m, DT_I32, 1, n, 0, 0);
    Node *u = flat ? maker_input(&m, d, 1, n, 0, 0) : maker_input(&m, d, 2, n, w, 0);
    for (int64_t k = 0; k < n; k++) /* one in nine out of range, at either end */
      m.value[0][k] =
          k % 9 == 4 ? (k & 1 ? -1 : (double)r) : floor((double)r * fabs(draw_uniform(&m.draw)));
    if (i % 7 == 3) u = ir_neg(m.g, u);
    maker_finish_as(&m, name(&s, "scatter", i),
                    max ? ir_scatter_max(m.g, index, u, r) : ir_scatter_add(m.g, index, u, r), 256,
                    (Launch){.shape = LAUNCH_SCATTER, .vector = 1});
    if (i % 5 == 2) maker_row(&m);
  }
  run(state, &s);
}

static void solutions(void **state) {
  Trials s = trials_new();
  static const int64_t sizes[] = {1, 2, 5, 20, 33};
  for (int i = 0; i < 20; i++) {
    Maker m = maker_new(&s, 1000 + (uint64_t)i);
    DType d = i & 1 ? DT_F64 : DT_F32;
    int64_t n = sizes[i / 4], k = i & 2 ? 3 : 0;
    Node *a = maker_input(&m, d, 2, n, n, 0), *b = maker_input(&m, d, k ? 2 : 1, n, k, 0);
    for (int64_t j = 0; j < n; j++) m.value[0][j * n + (j + 1) % n] += 4; /* rows change places */
    if (i % 3 == 0) a = ir_transpose(m.g, a, (int64_t[]){1, 0});
    maker_finish_as(&m, name(&s, "solution", i), ir_solve(m.g, a, b), 1024,
                    (Launch){.shape = LAUNCH_SOLVE, .vector = 1});
    if (i % 5 == 2) maker_row(&m);
  }
  run(state, &s);
}

/* Results that go to two places, by every kind of kernel. */
static void stored_twice(void **state) {
  Trials s = trials_new();
  for (int i = 0; i < 20; i++) {
    Maker m = maker_new(&s, 1400 + (uint64_t)i);
    int64_t n = i & 1 ? 130 : 20;
    Node *x = maker_input(&m, DT_F64, 2, n, n, 0), *b = maker_input(&m, DT_F64, 2, n, 3, 0);
    Node *index = maker_input(&m, DT_I32, 1, n, 0, 0);
    for (int k = 0; k < n; k++) m.value[0][k * n + k] += 9;
    Node *results[] = {
        ir_exp(m.g, x),
        ir_sum(m.g, x, SECOND),
        ir_sum(m.g, x, FIRST),
        ir_sum_all(m.g, x),
        ir_matmul(m.g, x, x, true, false),
        ir_matmul(m.g, x, b, 0, 0),
        ir_argmax(m.g, x, i % 2),
        ir_scatter_add(m.g, index, b, 7),
        softmax(m.g, x, SECOND),
        ir_solve(m.g, x, b),
    };
    maker_finish(&m, name(&s, "stored twice", i), results[i / 2], 1024);
    maker_also(&m, results[i / 2]);
    if (i % 4 == 2) maker_row(&m);
  }
  run(state, &s);
}

/* ---- infinities, not-a-number, nothing at all */

static void special_values(void **state) {
  Trials s = trials_new();
  static const double values[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 18; i++) {
    Maker m = maker_new(&s, 1100 + (uint64_t)i);
    DType d = i & 1 ? DT_F64 : DT_F32;
    bool column = i / 2 % 3 == 1, all = i / 2 % 3 == 2;
    Node *x = maker_input(&m, d, 2, all ? 97 : 40, all ? 103 : 37, 0);
    for (int k = 0; k < 40; k++) m.value[0][k * 37 + (i < 6 ? k % 37 : 7 * k % 31)] = values[k % 3];
    m.value[0][0] = i < 6 ? NAN : -INFINITY;
    Node *y = all ? ir_flatten(m.g, x) : x;
    const int64_t axis[] = {all || column ? 0 : 1};
    Node *a = i < 12 ? ir_argmax(m.g, y, (int)axis[0]) : ir_reduce_max(m.g, y, axis, 1);
    maker_finish(&m, name(&s, "special values", i), a, 0);
    if (i >= 12)
      trials_add(&s, name(&s, "special sum", i), m.g, ir_sum(m.g, y, axis, 1), m.value, 64);
  }
  run(state, &s);
}

static void empty_axes(void **state) {
  Trials s = trials_new();
  for (int i = 0; i < 8; i++) {
    Maker m = maker_new(&s, 1200 + (uint64_t)i);
    Node *x = maker_input(&m, i & 1 ? DT_F32 : DT_F64, 2, i & 2 ? 0 : 300, i & 2 ? 300 : 0, 0);
    if (i & 4) x = ir_exp(m.g, x);
    maker_finish(&m, name(&s, "empty rows", i), ir_sum(m.g, x, SECOND), 0);
    maker_also(&m, ir_sum(m.g, x, FIRST));
    maker_also(&m, ir_sum(m.g, x, BOTH));
    m = maker_new(&s, 1250 + (uint64_t)i);
    x = maker_input(&m, DT_F32, 2, 0, 5, 0);
    if (i & 1) maker_finish(&m, name(&s, "empty map", i), ir_exp(m.g, x), 0);
  }
  run(state, &s);
}

/* ---- random numbers: the same bits, in a sum, too */

static void random_bits(void **state) {
  (void)state;
  Trials s = trials_new();
  for (int i = 0; i < 16; i++) {
    Maker m = maker_new(&s, 1300 + (uint64_t)i);
    DType d = i & 1 ? DT_F64 : DT_F32;
    Node *seed = maker_input(&m, DT_I32, 0, 0, 0, 0), *step = maker_input(&m, DT_I32, 0, 0, 0, 0);
    m.value[0][0] = 12345 + i;
    m.value[1][0] = 7 * i;
    Type t = i < 4 ? type_make(d, 1, (int64_t[]){1001}) : type_make(d, 2, (int64_t[]){37, 19});
    Node *n = ir_random(m.g, t, i & 2 ? RANDOM_NORMAL : RANDOM_UNIFORM, 3 + i, seed, step);
    if (i >= 12) n = ir_add(m.g, maker_input(&m, d, 2, 37, 19, 0), n);
    if (i >= 8 && i < 12) {
      int64_t count = i < 10 ? 1000 : 37;
      n = ir_shuffle(m.g, count, 5, seed, step, ir_iota(m.g, type_make(DT_I32, 1, &count), 0));
    }
    maker_finish(&m, name(&s, "random numbers", i), n, 0);
  }
  if (trials_on_device())
    trials_run_same(&s);
  else
    trials_run(&s);
}

static void all_shapes(void **state) {
  const bool *reached = *state;
  for (int i = 0; i < NLAUNCHSHAPE; i++)
    if (!reached[i]) fail_msg("no kernel has launch shape %s", launch_shape_name((LaunchShape)i));
}

int main(int argc, char **argv) {
  bool reached[NLAUNCHSHAPE] = {false};
  void *state = reached;
#define CASE(f) cmocka_unit_test_prestate(f, state)
  const struct CMUnitTest tests[] = {
      CASE(maps),          CASE(replacing_maps), CASE(row_sums),    CASE(row_stages),
      CASE(totals),        CASE(replacing_sums), CASE(columns),     CASE(dots_and_tiles),
      CASE(more_products), CASE(scatters),       CASE(solutions),   CASE(special_values),
      CASE(stored_twice),  CASE(empty_axes),     CASE(random_bits), CASE(all_shapes),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
