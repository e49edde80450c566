/* Matrix products. By the library: one call a batch element, into the product's home; products that
   are added one after the other, into the sum's. By generated
   loops: tiles of the result in a local array, then the epilogue's anchors and stores over the
   tile. The loops over a tile are dot products (several at once, so that their horizontal sums
   overlap) where the right operand is contiguous along the summed axis, else updates of whole rows
   of the tile, four summed indices at a time. A single column is computed as a single row of the
   transposed product. */
#include <string.h>

#include "codegen/gemm_c.h"
#include "ir/op.h"
#include "ir/provider.h"

enum { DOT_COLUMNS = 64, ROW_COLUMNS = 512, TILE_COLUMNS = 128 };

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
Gemm gemm_of(Emit *e, const Node *n) {
  int r = n->type.rank;
  Gemm g = {.e = e, .n = n, .rows = n->type.dim[r - 2], .columns = n->type.dim[r - 1], .batch = 1};
  g.sum = n->in[0]->type.dim[n->attr.i[0] ? r - 2 : r - 1];
  for (int k = 0; k < r - 2; k++) g.batch *= n->type.dim[k];
  g.left = side(e, n->in[0], n->attr.i[0] != 0, g.rows, g.sum);
  g.right = side(e, n->in[1], !n->attr.i[1], g.columns, g.sum);
  g.row_axis = e->kernel->rank - 2;
  g.column_axis = e->kernel->rank - 1;
  g.type = e->target->type[n->type.dtype];
  g.lane = dtype_name(n->type.dtype);
  return g;
}

/* p[batch] = `alpha` product + `beta` p[batch]. */
static void library_call(Emit *e, const Node *product, int p, int alpha, int beta) {
  Gemm g = gemm_of(e, product);
  Products rounded = kernel_products(e->program, e->kernel);
  int work = rounded ? emit_param(e, e->kernel->scratch, NULL, true) : 0;
  emit_open(e);
  int b = emit_var(e, g.batch, "i");
  const char *at = e->var[b].name;
  text_addf(emit_body(e), "%s_%s(%s, %s, %lld, %lld, %lld, %d, p%d + %lld + %s * %lld, ",
            provider_info(e->kernel->provider)->call,
            rounded ? products_name(rounded) : dtype_name(product->type.dtype),
            g.left.sum == 1 ? "false" : "true", g.right.along == 1 ? "false" : "true",
            (long long)g.rows, (long long)g.columns, (long long)g.sum, alpha, g.left.param,
            (long long)g.left.offset, at, (long long)g.left.batch);
  text_addf(emit_body(e), "p%d + %lld + %s * %lld, %d, p%d + %s * %lld", g.right.param,
            (long long)g.right.offset, at, (long long)g.right.batch, beta, p, at,
            (long long)(g.rows * g.columns));
  text_add(emit_body(e), rounded ? arena_printf(e->arena, ", p%d);\n", work) : ");\n");
  emit_close(e, cg_for(e, "", b));
}

void cg_gemm_call(Emit *e) {
  const Kernel *k = e->kernel;
  Term term[MAX_TERMS] = {{.product = k->anchor[0].node}};
  int n = k->nanchor > 1 ? kernel_terms(k->anchor[k->nanchor - 1].node, term) : 1, first = 0;
  for (int i = 0; i < k->nstore; i++) {
    int p = emit_param(e, k->store[i].dest, k->store[i].row, true);
    if (i)
      text_addf(emit_body(e), "memcpy(p%d, p%d, %lld);\n", p, first,
                (long long)type_bytes(k->store[i].node->type));
    else
      first = p;
    for (int j = 0; i == 0 && j < n; j++)
      library_call(e, term[j].product, p, term[j].minus ? -1 : 1, j > 0);
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

const char *gemm_open(Gemm *g, int64_t extent, int *var) {
  emit_open(g->e);
  *var = emit_var(g->e, extent, "i");
  return g->e->var[*var].name;
}

/* Offset of the product in the tile at the domain's present index; the emitter's callback, so the
   tile is found through the index itself: its base is the tile's first element. */
static void epilogue(Gemm *g) {
  Emit *e = g->e;
  const Kernel *k = e->kernel;
  int vi = -1, vj;
  if (g->rows > 1) {
    gemm_open(g, g->rows, &vi);
    e->axis[g->row_axis] = aff_var(vi);
  }
  const char *j = gemm_open(g, g->columns, &vj);
  if (g->columns > 1) e->axis[g->column_axis] = aff_var(vj);
  Bound *b = &e->bound[g->n->id];
  b->name = gemm_tile_at(g, vi < 0 ? NULL : e->var[vi].name, 0, j, 0);
  b->depth = e->depth;
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) now[i] = true;
  cg_stores(e, k->store, now, ANCHOR_ELEM);
  b->name = NULL;
  emit_close(e, arena_printf(e->arena, "#pragma omp simd\nfor (%s %s = %s; %s < %s; %s++)",
                             e->itype, j, g->j0, j, g->j1, j));
  if (vi < 0) return;
  const char *i = e->var[vi].name;
  emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)", e->itype, i, g->i0, i,
                             g->i1, i));
}

/* "const T lo = v * tile; const T hi = min(lo + tile, extent);" in a new loop over the tiles, whose
   variable is returned; -1 and no loop where there is one tile. */
static int open_tiles(Gemm *g, int64_t extent, int64_t tile, const char **lo, const char **hi) {
  Emit *e = g->e;
  int v;
  if (extent <= tile) {
    *lo = "0";
    *hi = arena_printf(e->arena, "%lld", (long long)extent);
    return -1;
  }
  const char *t = gemm_open(g, (extent + tile - 1) / tile, &v);
  *lo = emit_name(e, "lo");
  *hi = emit_name(e, "hi");
  text_addf(emit_body(e),
            "const %s %s = %s * %lld;\nconst %s %s = %s + %lld < %lld ? %s + %lld : %lld;\n",
            e->itype, *lo, t, (long long)tile, e->itype, *hi, *lo, (long long)tile,
            (long long)extent, *lo, (long long)tile, (long long)extent);
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
  const Kernel *k = e->kernel;
  Gemm g = gemm_of(e, k->anchor[0].node);
  if (g.columns == 1 && g.rows != 1) swap_sides(&g);
  bool dot = g.right.sum == 1 && !(g.right.along == 1 && g.columns > 1);
  choose_tiles(&g, dot);
  int var[MAX_RANK], n = 0;
  int64_t stride = 1;
  g.batch_at = aff_const(0);
  for (int a = 0; a < k->rank - 2; a++) {
    if (k->dim[a] == 1) continue;
    gemm_open(&g, k->dim[a], &var[n]);
    e->axis[a] = aff_var(var[n++]);
  }
  for (int a = k->rank - 3; a >= 0; a--) {
    g.batch_at = aff_add(g.batch_at, e->axis[a], stride);
    stride *= k->dim[a];
  }
  g.i0 = "0";
  if (g.rows > 1 && (var[n] = open_tiles(&g, g.rows, g.tile_rows, &g.i0, &g.i1)) >= 0) n++;
  if ((var[n] = open_tiles(&g, g.columns, g.tile_columns, &g.j0, &g.j1)) >= 0) n++;
  e->vectors = true;
  g.tile = emit_name(e, "t");
  text_addf(emit_body(e), "%s %s[%lld];\n", g.type, g.tile,
            (long long)(g.tile_rows * g.tile_columns));
  if (dot)
    gemm_dots(&g);
  else
    gemm_updates(&g);
  epilogue(&g);
  while (n--)
    emit_close(e,
               cg_for(e, n == 0 && k->parallel ? "#pragma omp parallel for schedule(static)\n" : "",
                      var[n]));
}
