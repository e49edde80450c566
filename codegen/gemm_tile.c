/* The inner loops of matrix products: a tile of the result from two operands, with accumulators in
   vector registers. Dot products where the right operand is contiguous along the sum, several at
   once so that their horizontal sums overlap; else blocks of columns whose sums are independent
   chains of additions. */
#include <string.h>

#include "codegen/gemm_c.h"

enum { DOTS = 4, CHAINS = 4 };

/* Text of one element: `along` and `sum` are index texts. */
static const char *element(const Gemm *g, const Side *s, const char *along, int da, const char *sum,
                           int ds) {
  Emit *e = g->e;
  int depth = 0;
  Aff at = aff_add(aff_const(s->offset + da * s->along + ds * s->sum), g->batch_at, s->batch);
  Text t = {.arena = e->arena};
  text_addf(&t, "p%d[", s->param);
  if (at.n || at.c) text_addf(&t, "%s + ", emit_aff(e, at, &depth));
  if (along) text_addf(&t, s->along == 1 ? "%s + " : "%s * %lld + ", along, (long long)s->along);
  text_addf(&t, s->sum == 1 ? "%s]" : "%s * %lld]", sum, (long long)s->sum);
  return t.s;
}

const char *gemm_tile_at(const Gemm *g, const char *i, int64_t u, const char *j, int w) {
  Emit *e = g->e;
  Text t = {.arena = e->arena};
  text_addf(&t, "%s[", g->tile);
  if (i) text_addf(&t, "(%s - %s) * %lld + ", i, g->i0, (long long)g->tile_columns);
  if (u) text_addf(&t, "%lld + ", (long long)(u * g->tile_columns));
  text_add(&t, j);
  if (strcmp(g->j0, "0")) text_addf(&t, " - %s", g->j0);
  if (w) text_addf(&t, " + %d", w);
  text_add(&t, "]");
  return t.s;
}

/* "*(const mlo_f32w *)&p0[...]" */
static const char *vector(const Gemm *g, char width, const char *element_text) {
  return arena_printf(g->e->arena, "*(const mlo_%s%c *)&%s", g->lane, width, element_text);
}

/* `count` dot products of row i with columns j, j + 1, ...: operands contiguous along the sum. Wide
   vectors, then 128-bit ones, then single elements; trip counts are constants of the generated
   file. */
static void vector_dots(Gemm *g, const char *i, const char *j, int count) {
  Emit *e = g->e;
  Text *b = emit_body(e);
  const char *k = emit_name(e, "k"), *x = emit_name(e, "x"), *s[DOTS];
  const char *upper = dtype_name(g->n->type.dtype) + 1;
  text_addf(b, "enum { %sw = %lld / MLO_F%sW * MLO_F%sW, %sq = %lld / MLO_F%sQ * MLO_F%sQ };\n", k,
            (long long)g->sum, upper, upper, k, (long long)g->sum, upper, upper);
  for (int u = 0; u < count; u++) {
    s[u] = emit_name(e, "s");
    text_addf(b, "mlo_%sw %sw = {0};\n", g->lane, s[u]);
  }
  text_addf(b, "for (%s %s = 0; %s < %sw; %s += MLO_F%sW) {\n", e->itype, k, k, k, k, upper);
  text_addf(b, "const mlo_%sw %s = %s;\n", g->lane, x,
            vector(g, 'w', element(g, &g->left, i, 0, k, 0)));
  for (int u = 0; u < count; u++)
    text_addf(b, "%sw += %s * %s;\n", s[u], x, vector(g, 'w', element(g, &g->right, j, u, k, 0)));
  text_add(b, "}\n");
  for (int u = 0; u < count; u++) {
    text_addf(b, "mlo_%sq %sp[MLO_PIECES];\nmemcpy(%sp, &%sw, sizeof %sp);\n", g->lane, s[u], s[u],
              s[u], s[u]);
    text_addf(b, "mlo_%sq %sq = MLO_FOLD(%sp);\n", g->lane, s[u], s[u]);
  }
  text_addf(b, "for (%s %s = %sw; %s < %sq; %s += MLO_F%sQ) {\n", e->itype, k, k, k, k, k, upper);
  text_addf(b, "const mlo_%sq %s = %s;\n", g->lane, x,
            vector(g, 'q', element(g, &g->left, i, 0, k, 0)));
  for (int u = 0; u < count; u++)
    text_addf(b, "%sq += %s * %s;\n", s[u], x, vector(g, 'q', element(g, &g->right, j, u, k, 0)));
  text_add(b, "}\n");
  for (int u = 0; u < count; u++)
    text_addf(b, "%s %s = MLO_TOTAL_F%s(%sq);\n", g->type, s[u], upper, s[u]);
  text_addf(b, "for (%s %s = %sq; %s < %lld; %s++) {\n", e->itype, k, k, k, (long long)g->sum, k);
  for (int u = 0; u < count; u++)
    text_addf(b, "%s += %s * %s;\n", s[u], element(g, &g->left, i, 0, k, 0),
              element(g, &g->right, j, u, k, 0));
  text_add(b, "}\n");
  for (int u = 0; u < count; u++) text_addf(b, "%s = %s;\n", gemm_tile_at(g, i, 0, j, u), s[u]);
}

/* The same for a left operand that is not contiguous along the sum. */
static void strided_dots(Gemm *g, const char *i, const char *j, int count) {
  Emit *e = g->e;
  Text clause = {.arena = e->arena};
  const char *acc[DOTS];
  for (int u = 0; u < count; u++) {
    acc[u] = emit_name(e, "s");
    text_addf(emit_body(e), "%s %s = 0;\n", g->type, acc[u]);
    text_addf(&clause, "%s%s", u ? ", " : "", acc[u]);
  }
  int v;
  const char *k = gemm_open(g, g->sum, &v), *x = emit_name(e, "x");
  text_addf(emit_body(e), "const %s %s = %s;\n", g->type, x, element(g, &g->left, i, 0, k, 0));
  for (int u = 0; u < count; u++)
    text_addf(emit_body(e), "%s += %s * %s;\n", acc[u], x, element(g, &g->right, j, u, k, 0));
  emit_close(e,
             cg_for(e, arena_printf(e->arena, "#pragma omp simd reduction(+:%s)\n", clause.s), v));
  for (int u = 0; u < count; u++)
    text_addf(emit_body(e), "%s = %s;\n", gemm_tile_at(g, i, 0, j, u), acc[u]);
}

static void dots(Gemm *g, const char *i, const char *j, int count) {
  (g->left.sum == 1 ? vector_dots : strided_dots)(g, i, j, count);
}

void gemm_dots(Gemm *g) {
  Emit *e = g->e;
  const char *i = g->rows > 1 ? emit_name(e, "i") : NULL, *j = emit_name(e, "j");
  const char *whole = emit_name(e, "m");
  bool fixed = g->columns <= g->tile_columns;
  text_addf(emit_body(e), "const %s %s = %s + (%s - %s) / %d * %d;\n", e->itype, whole, g->j0,
            g->j1, g->j0, DOTS, DOTS);
  emit_open(e);
  if (!fixed || g->columns >= DOTS) {
    emit_open(e);
    dots(g, i, j, DOTS);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s += %d)", e->itype, j, g->j0,
                               j, whole, j, DOTS));
  }
  if (!fixed || g->columns % DOTS) {
    emit_open(e);
    dots(g, i, j, 1);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)", e->itype, j, whole, j,
                               g->j1, j));
  }
  emit_close(e, i ? arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)", e->itype, i, g->i0, i,
                                 g->i1, i)
                  : "");
}

/* Columns that are updated together with everything in registers: `rows` rows of `wide` vectors of
   a width, `sums` summed indices at a time, each combination with an accumulator of its own. */
typedef struct Block {
  int rows, wide, sums;
  char width; /* 'w', 'q', or 's': a scalar */
} Block;

static const char *step_of(const Gemm *g, const Block *k) {
  const char *upper = dtype_name(g->n->type.dtype) + 1;
  if (k->width == 's') return "1";
  return k->width == 'q' ? arena_printf(g->e->arena, "MLO_F%sQ", upper)
                         : arena_printf(g->e->arena, "%d * MLO_F%sW", k->wide, upper);
}

static const char *column(const Gemm *g, const char *j, int v) {
  const char *upper = dtype_name(g->n->type.dtype) + 1;
  return v ? arena_printf(g->e->arena, "(%s + %d * MLO_F%sW)", j, v, upper) : j;
}

/* One pass over the summed indices [from, to), `step` at a time. */
static void block_sums(Gemm *g, const Block *k, const char *i, const char *j, const char *acc,
                       int64_t from, int64_t to, int step) {
  Text *b = emit_body(g->e);
  const char *at = emit_name(g->e, "k");
  if (from >= to) return;
  text_addf(b, "for (%s %s = %lld; %s < %lld; %s += %d) {\n", g->e->itype, at, (long long)from, at,
            (long long)to, at, step);
  for (int s = 0; s < step; s++)
    for (int v = 0; v < k->wide; v++) {
      const char *y = element(g, &g->right, column(g, j, v), 0, at, s);
      if (k->width != 's') y = vector(g, k->width, y);
      for (int u = 0; u < k->rows; u++)
        text_addf(b, "%s_%d += %s * %s;\n", acc, (u * k->wide + v) * k->sums + s,
                  element(g, &g->left, i, u, at, s), y);
    }
  text_add(b, "}\n");
}

static void block_columns(Gemm *g, const Block *k, const char *i, const char *j) {
  Text *b = emit_body(g->e);
  const char *acc = emit_name(g->e, "s");
  bool scalar = k->width == 's';
  const char *type = scalar ? g->type : arena_printf(g->e->arena, "mlo_%s%c", g->lane, k->width);
  for (int n = 0; n < k->rows * k->wide * k->sums; n++)
    text_addf(b, "%s %s_%d = %s;\n", type, acc, n, scalar ? "0" : "{0}");
  int64_t whole = g->sum - g->sum % k->sums;
  block_sums(g, k, i, j, acc, 0, whole, k->sums);
  block_sums(g, k, i, j, acc, whole, g->sum, 1);
  for (int u = 0; u < k->rows; u++)
    for (int v = 0; v < k->wide; v++) {
      int n = (u * k->wide + v) * k->sums;
      const char *to = gemm_tile_at(g, NULL, u, column(g, j, v), 0);
      text_addf(b, scalar ? "%s = " : "*(%s *)&%s = ", scalar ? to : type, to);
      if (k->sums == CHAINS)
        text_addf(b, "(%s_%d + %s_%d) + (%s_%d + %s_%d);\n", acc, n, acc, n + 1, acc, n + 2, acc,
                  n + 3);
      else
        text_addf(b, "%s_%d;\n", acc, n);
    }
}

/* A tile of exactly `rows` rows: blocks of several wide vectors, of one, of 128 bits, single
 * columns. */
static void update_rows(Gemm *g, int rows) {
  Emit *e = g->e;
  const char *i = g->rows > 1 ? g->i0 : NULL, *from = g->j0;
  int sums = rows == 1 ? CHAINS : 1, wide = rows == 1 ? CHAINS : 2;
  const Block blocks[] = {
      {rows, wide, 1, 'w'}, {rows, 1, sums, 'w'}, {rows, 1, sums, 'q'}, {rows, 1, sums, 's'}};
  for (int n = 0; n < 4; n++) {
    const char *j = emit_name(e, "j"), *step = step_of(g, &blocks[n]), *to = g->j1;
    if (n < 3) {
      to = emit_name(e, "m");
      text_addf(emit_body(e), "const %s %s = %s + (%s - %s) / (%s) * (%s);\n", e->itype, to, from,
                g->j1, from, step, step);
    }
    emit_open(e);
    block_columns(g, &blocks[n], i, j);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s += %s)", e->itype, j, from,
                               j, to, j, step));
    from = to;
  }
}

void gemm_updates(Gemm *g) {
  Emit *e = g->e;
  int tail = (int)(g->rows % g->tile_rows);
  if (g->tile_rows == 1 || !tail) {
    update_rows(g, (int)g->tile_rows);
    return;
  }
  emit_open(e);
  update_rows(g, (int)g->tile_rows);
  emit_close(e,
             arena_printf(e->arena, "if (%s - %s == %lld)", g->i1, g->i0, (long long)g->tile_rows));
  emit_open(e);
  update_rows(g, tail);
  emit_close(e, "else");
}
