/* Matrix products. By the library: one call a batch element, into the product's home. By generated loops:
   tiles of the result in a local array, then the epilogue's anchors and stores over the tile. The loops
   over a tile are dot products (several at once, so that their horizontal sums overlap) where the right
   operand is contiguous along the summed axis, else updates of whole rows of the tile, four summed
   indices at a time. A single column is computed as a single row of the transposed product. */
#include <string.h>

#include "codegen/kernel_c.h"
#include "ir/op.h"

enum { TILE_ROWS = 4, DOT_COLUMNS = 64, ROW_COLUMNS = 512, TILE_COLUMNS = 128, DOTS = 4, SUMS = 4 };

typedef struct Side { /* an operand: element (row or column, summed index) at offset + row * i + sum * k */
  int param;
  int64_t offset, along, sum, batch;
} Side;

typedef struct Gemm {
  Emit *e;
  const Node *n;
  Side left, right; /* left: rows of the tile; right: columns */
  int64_t rows, columns, sum, batch;
  int row_axis, column_axis; /* of the domain */
  int64_t tile_rows, tile_columns;
  const char *type, *tile;
  const char *i0, *i1, *j0, *j1; /* the tile's bounds */
  Aff batch_at;
} Gemm;

static Side side(Emit *e, const Node *operand, bool transposed, int64_t along, int64_t sum) {
  Operand o;
  if (!kernel_operand(e->func->home, (Node *)operand, &o))
    compiler_bug("codegen", "kernel %s: an operand has no home", e->kernel->name);
  const Storage *s = emit_home(e, o.node);
  Side r = {.param = emit_param(e, s, NULL, false), .offset = o.offset, .batch = along * sum};
  bool t = transposed != o.transposed;
  r.along = t ? 1 : sum;
  r.sum = t ? along : 1;
  return r;
}

/* Left: op(A)[i, k]; right: op(B)[k, j], whose rows are the summed index. */
static Gemm gemm_of(Emit *e) {
  const Node *n = e->kernel->anchor[0].node;
  int r = n->type.rank;
  Gemm g = {.e = e, .n = n, .rows = n->type.dim[r - 2], .columns = n->type.dim[r - 1], .batch = 1};
  g.sum = n->in[0]->type.dim[n->attr.i[0] ? r - 2 : r - 1];
  for (int k = 0; k < r - 2; k++) g.batch *= n->type.dim[k];
  g.left = side(e, n->in[0], n->attr.i[0] != 0, g.rows, g.sum);
  g.right = side(e, n->in[1], !n->attr.i[1], g.columns, g.sum);
  g.row_axis = e->kernel->rank - 2;
  g.column_axis = e->kernel->rank - 1;
  g.type = e->target->type[n->type.dtype];
  return g;
}

void cg_gemm_blas(Emit *e) {
  Gemm g = gemm_of(e);
  const Kernel *k = e->kernel;
  const char *suffix = dtype_name(g.n->type.dtype);
  for (int i = 0; i < k->nstore; i++) {
    int p = emit_param(e, k->store[i].dest, k->store[i].row, true);
    if (i) {
      text_addf(emit_body(e), "memcpy(p%d, p%d, %lld);\n", p,
                emit_param(e, k->store[0].dest, k->store[0].row, true),
                (long long)type_bytes(g.n->type));
      continue;
    }
    emit_open(e);
    int b = emit_var(e, g.batch, "i");
    const char *at = e->var[b].name;
    text_addf(emit_body(e), "mlo_gemm_%s(%s, %s, %lld, %lld, %lld, 1, p%d + %lld + %s * %lld, ",
              suffix, g.left.sum == 1 ? "false" : "true", g.right.along == 1 ? "false" : "true",
              (long long)g.rows, (long long)g.columns, (long long)g.sum, g.left.param,
              (long long)g.left.offset, at, (long long)g.left.batch);
    text_addf(emit_body(e), "p%d + %lld + %s * %lld, 0, p%d + %s * %lld);\n", g.right.param,
              (long long)g.right.offset, at, (long long)g.right.batch, p, at,
              (long long)(g.rows * g.columns));
    emit_close(e, cg_for(e, "", b));
  }
}

static void swap_sides(Gemm *g) {
  Side s = g->left;
  g->left = g->right;
  g->right = s;
  int64_t n = g->rows;
  g->rows = g->columns;
  g->columns = n;
  int axis = g->row_axis;
  g->row_axis = g->column_axis;
  g->column_axis = axis;
}

/* Text of one element: `along` and `sum` are index texts. */
static const char *element(const Gemm *g, const Side *s, const char *along, int da, const char *sum,
                           int ds) {
  Emit *e = g->e;
  int depth = 0;
  Aff at = aff_add(aff_const(s->offset + da * s->along + ds * s->sum), g->batch_at, s->batch);
  Text t = {.arena = e->arena};
  text_addf(&t, "p%d[%s", s->param, emit_aff(e, at, &depth));
  if (along) text_addf(&t, s->along == 1 ? " + %s" : " + %s * %lld", along, (long long)s->along);
  text_addf(&t, s->sum == 1 ? " + %s]" : " + %s * %lld]", sum, (long long)s->sum);
  return t.s;
}

/* Opens `for (T name = 0; ...)`: a scope with a variable of the emitter. */
static const char *open_for(Gemm *g, int64_t extent, int *var) {
  emit_open(g->e);
  *var = emit_var(g->e, extent, "i");
  return g->e->var[*var].name;
}

static const char *tile_at(const Gemm *g, const char *i, int u, const char *j, int w) {
  Emit *e = g->e;
  Text t = {.arena = e->arena};
  text_addf(&t, "%s[", g->tile);
  if (i) text_addf(&t, "(%s - %s) * %lld + ", i, g->i0, (long long)g->tile_columns);
  if (u) text_addf(&t, "%lld + ", (long long)(u * g->tile_columns));
  text_addf(&t, "%s - %s", j, g->j0);
  if (w) text_addf(&t, " + %d", w);
  text_add(&t, "]");
  return t.s;
}

/* `count` dot products of row i with columns j, j + 1, ... */
static void dots(Gemm *g, const char *i, const char *j, int count) {
  Emit *e = g->e;
  Text clause = {.arena = e->arena};
  const char *acc[DOTS];
  for (int u = 0; u < count; u++) {
    acc[u] = emit_name(e, "s");
    text_addf(emit_body(e), "%s %s = 0;\n", g->type, acc[u]);
    text_addf(&clause, "%s%s", u ? ", " : "", acc[u]);
  }
  int v;
  const char *k = open_for(g, g->sum, &v), *x = emit_name(e, "x");
  text_addf(emit_body(e), "const %s %s = %s;\n", g->type, x, element(g, &g->left, i, 0, k, 0));
  for (int u = 0; u < count; u++)
    text_addf(emit_body(e), "%s += %s * %s;\n", acc[u], x, element(g, &g->right, j, u, k, 0));
  emit_close(e, cg_for(e, arena_printf(e->arena, "#pragma omp simd reduction(+:%s)\n", clause.s), v));
  for (int u = 0; u < count; u++)
    text_addf(emit_body(e), "%s = %s;\n", tile_at(g, i, 0, j, u), acc[u]);
}

static void tile_by_dots(Gemm *g) {
  Emit *e = g->e;
  const char *i = g->rows > 1 ? emit_name(e, "i") : NULL, *j = emit_name(e, "j");
  const char *whole = emit_name(e, "m");
  bool fixed = g->columns <= g->tile_columns;
  text_addf(emit_body(e), "const %s %s = %s + (%s - %s) / %d * %d;\n", e->itype, whole, g->j0, g->j1,
            g->j0, DOTS, DOTS);
  emit_open(e);
  if (!fixed || g->columns >= DOTS) {
    emit_open(e);
    dots(g, i, j, DOTS);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s += %d)", e->itype, j, g->j0, j,
                               whole, j, DOTS));
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

/* tile[u, :] += sum over `sums` indices from k of left[i + u, k] * right[k, :], for `rows` rows */
static void update(Gemm *g, const char *i, int rows, const char *k, int sums) {
  Emit *e = g->e;
  const char *x[TILE_ROWS][SUMS];
  for (int u = 0; u < rows; u++)
    for (int s = 0; s < sums; s++) {
      x[u][s] = emit_name(e, "x");
      text_addf(emit_body(e), "const %s %s = %s;\n", g->type, x[u][s],
                element(g, &g->left, i, u, k, s));
    }
  emit_open(e);
  const char *j = emit_name(e, "j"), *y[SUMS];
  for (int s = 0; s < sums; s++) {
    y[s] = emit_name(e, "y");
    text_addf(emit_body(e), "const %s %s = %s;\n", g->type, y[s],
              element(g, &g->right, j, 0, k, s));
  }
  for (int u = 0; u < rows; u++) {
    text_addf(emit_body(e), "%s += ", tile_at(g, NULL, u, j, 0));
    for (int s = 0; s < sums; s++)
      text_addf(emit_body(e), "%s%s%s * %s", s ? " + " : "", s == 2 ? "(" : "", x[u][s], y[s]);
    text_add(emit_body(e), sums > 2 ? ");\n" : ";\n");
  }
  emit_close(e, arena_printf(e->arena, "#pragma omp simd\nfor (%s %s = %s; %s < %s; %s++)", e->itype, j,
                             g->j0, j, g->j1, j));
}

/* A tile of exactly `rows` rows. */
static void updates(Gemm *g, int rows) {
  Emit *e = g->e;
  const char *i = g->rows > 1 ? g->i0 : NULL, *k = emit_name(e, "k");
  emit_open(e);
  const char *j = emit_name(e, "j");
  for (int u = 0; u < rows; u++) text_addf(emit_body(e), "%s = 0;\n", tile_at(g, NULL, u, j, 0));
  emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)", e->itype, j, g->j0, j,
                             g->j1, j));
  int64_t whole = g->sum - g->sum % SUMS;
  for (int tail = 0; tail < 2; tail++) {
    int64_t lo = tail ? whole : 0, hi = tail ? g->sum : whole;
    if (lo == hi) continue;
    emit_open(e);
    update(g, i, rows, k, tail ? 1 : SUMS);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %lld; %s < %lld; %s += %d)", e->itype, k,
                               (long long)lo, k, (long long)hi, k, tail ? 1 : SUMS));
  }
}

static void tile_by_updates(Gemm *g) {
  Emit *e = g->e;
  int tail = (int)(g->rows % g->tile_rows);
  if (g->tile_rows == 1 || !tail) {
    updates(g, (int)g->tile_rows);
    return;
  }
  emit_open(e);
  updates(g, (int)g->tile_rows);
  emit_close(e, arena_printf(e->arena, "if (%s - %s == %lld)", g->i1, g->i0, (long long)g->tile_rows));
  emit_open(e);
  updates(g, tail);
  emit_close(e, "else");
}

/* Offset of the product in the tile at the domain's present index; the emitter's callback, so the tile is found
   through the index itself: its base is the tile's first element. */
static void epilogue(Gemm *g) {
  Emit *e = g->e;
  const Kernel *k = e->kernel;
  int vi = -1, vj;
  if (g->rows > 1) {
    open_for(g, g->rows, &vi);
    e->axis[g->row_axis] = aff_var(vi);
  }
  const char *j = open_for(g, g->columns, &vj);
  if (g->columns > 1) e->axis[g->column_axis] = aff_var(vj);
  Bound *b = &e->bound[g->n->id];
  b->name = tile_at(g, vi < 0 ? NULL : e->var[vi].name, 0, j, 0);
  b->depth = e->depth;
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) now[i] = true;
  cg_stores(e, k->store, now, ANCHOR_ELEM);
  b->name = NULL;
  emit_close(e, arena_printf(e->arena, "#pragma omp simd\nfor (%s %s = %s; %s < %s; %s++)", e->itype, j,
                             g->j0, j, g->j1, j));
  if (vi < 0) return;
  const char *i = e->var[vi].name;
  emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)", e->itype, i, g->i0, i, g->i1,
                             i));
}

/* "const T lo = v * tile; const T hi = min(lo + tile, extent);" in a new loop over the tiles. */
static int open_tiles(Gemm *g, int64_t extent, int64_t tile, const char **lo, const char **hi) {
  Emit *e = g->e;
  int v;
  const char *t = open_for(g, (extent + tile - 1) / tile, &v);
  *lo = emit_name(e, "lo");
  *hi = emit_name(e, "hi");
  text_addf(emit_body(e), "const %s %s = %s * %lld;\n", e->itype, *lo, t, (long long)tile);
  if (extent <= tile)
    text_addf(emit_body(e), "const %s %s = %lld;\n", e->itype, *hi, (long long)extent);
  else
    text_addf(emit_body(e), "const %s %s = %s + %lld < %lld ? %s + %lld : %lld;\n", e->itype, *hi, *lo,
              (long long)tile, (long long)extent, *lo, (long long)tile, (long long)extent);
  return v;
}

static void choose_tiles(Gemm *g, bool dot) {
  g->tile_rows = g->rows < TILE_ROWS ? g->rows : TILE_ROWS;
  int64_t columns = dot ? DOT_COLUMNS : g->rows == 1 ? ROW_COLUMNS : TILE_COLUMNS;
  g->tile_columns = g->columns < columns ? g->columns : columns;
  if (g->tile_rows < 1) g->tile_rows = 1;
  if (g->tile_columns < 1) g->tile_columns = 1;
}

void cg_gemm_loops(Emit *e) {
  Gemm g = gemm_of(e);
  const Kernel *k = e->kernel;
  if (g.columns == 1 && g.rows != 1) swap_sides(&g);
  bool dot = g.right.sum == 1 && !(g.right.along == 1 && g.columns > 1);
  choose_tiles(&g, dot);
  int var[MAX_RANK], n = 0;
  int64_t stride = 1;
  g.batch_at = aff_const(0);
  for (int a = 0; a < k->rank - 2; a++) {
    if (k->dim[a] == 1) continue;
    open_for(&g, k->dim[a], &var[n]);
    e->axis[a] = aff_var(var[n++]);
  }
  for (int a = k->rank - 3; a >= 0; a--) {
    g.batch_at = aff_add(g.batch_at, e->axis[a], stride);
    stride *= k->dim[a];
  }
  g.i0 = "0";
  if (g.rows > 1) var[n++] = open_tiles(&g, g.rows, g.tile_rows, &g.i0, &g.i1);
  var[n++] = open_tiles(&g, g.columns, g.tile_columns, &g.j0, &g.j1);
  g.tile = emit_name(e, "t");
  text_addf(emit_body(e), "%s %s[%lld];\n", g.type, g.tile,
            (long long)(g.tile_rows * g.tile_columns));
  if (dot)
    tile_by_dots(&g);
  else
    tile_by_updates(&g);
  epilogue(&g);
  while (n--)
    emit_close(e, cg_for(e, n == 0 && k->parallel ? "#pragma omp parallel for schedule(static)\n" : "",
                         var[n]));
}
