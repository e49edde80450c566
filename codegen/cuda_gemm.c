/* CUDA kernels of matrix products that are not a library's: tiles of the result, a block each,
   with both operands' tiles in shared memory (two of each, so that one barrier a step is enough);
   or, for few elements with long sums, a warp an element. Then the epilogue's anchors and stores,
   by the thread that has the element. A kernel that adds several products goes through all of them.
   Where the library would have rounded operands, elements are rounded as they are read. */
#include "codegen/gemm_c.h"
#include "codegen/kernel_cuda.h"
#include "ir/op.h"
#include "ir/provider.h"

enum { TILE = LAUNCH_TILE, PITCH = LAUNCH_TILE + 1 };

typedef struct Product {
  Emit *e;
  Gemm g[MAX_TERMS]; /* of each product that is added */
  bool minus[MAX_TERMS];
  int n;
  const Node *result; /* what the sum is */
} Product;

static Product product_of(Emit *e) {
  const Kernel *k = e->kernel;
  Product p = {.e = e, .n = 1};
  Term term[MAX_TERMS] = {{.product = k->anchor[0].node}};
  bool sum = k->nanchor > 1 && k->anchor[k->nanchor - 1].node->op != OP_matmul &&
             k->anchor[1].node->op == OP_matmul;
  if (sum) p.n = kernel_terms(k->anchor[k->nanchor - 1].node, term);
  p.result = sum ? k->anchor[k->nanchor - 1].node : k->anchor[0].node;
  for (int i = 0; i < p.n; i++) {
    p.g[i] = gemm_of(e, term[i].product);
    p.minus[i] = term[i].minus;
  }
  return p;
}

/* "p0[offset + batch + along * row + sum * k]", or "mlo_bf16f(p0[...])" */
static const char *element(const Product *p, const Side *s, const char *batch, const char *along,
                           const char *sum) {
  Text t = {.arena = p->e->arena};
  Products rounded = kernel_products(p->e->program, p->e->kernel);
  text_addf(&t, "p%d[%s * %lld + %s * %lld + %s * %lld + %lld]", s->param, batch,
            (long long)s->batch, along, (long long)s->along, sum, (long long)s->sum,
            (long long)s->offset);
  return rounded ? arena_printf(p->e->arena, "mlo_%sf(%s)", products_name(rounded), t.s) : t.s;
}

/* The domain's index: variables for the batch's axes, row i and column j. */
static void bind_axes(Product *p, int batch, int row, int column) {
  Emit *e = p->e;
  const Kernel *k = e->kernel;
  Group group[MAX_RANK];
  int n = 0;
  for (int a = 0; a < k->rank - 2; a++) {
    e->axis[a] = aff_const(0);
    if (k->dim[a] != 1) group[n++] = (Group){.extent = k->dim[a], .axis = {a}, .naxis = 1};
  }
  if (n) cuda_bind(e, group, n, batch);
  e->axis[k->rank - 2] = k->dim[k->rank - 2] == 1 ? aff_const(0) : aff_var(row);
  e->axis[k->rank - 1] = k->dim[k->rank - 1] == 1 ? aff_const(0) : aff_var(column);
}

/* Anchors and stores for the element whose sum is the local `s`, inside an open scope. */
static void epilogue(Product *p, const char *s) {
  Emit *e = p->e;
  const Kernel *k = e->kernel;
  Bound *b = &e->bound[p->result->id];
  *b = (Bound){.anchor = b->anchor, .name = s, .depth = e->depth};
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) now[i] = true;
  cg_stores(e, k->store, now, ANCHOR_ELEM);
  b->name = NULL;
}

/* The epilogue at batch b, row i and column j in a scope that it opens: what it reads is read there
   alone, since what it stores may take its place. */
static void element_epilogue(Product *p, const char *b, const char *i, const char *j) {
  Emit *e = p->e;
  const Gemm *g = &p->g[0];
  emit_open(e);
  int vb = emit_var(e, g->batch, "b"), vi = emit_var(e, g->rows, "i"),
      vj = emit_var(e, g->columns, "j");
  text_addf(emit_body(e), "const %s %s = %s, %s = %s, %s = %s;\n", e->itype, e->var[vb].name, b,
            e->var[vi].name, i, e->var[vj].name, j);
  bind_axes(p, vb, vi, vj);
  epilogue(p, "s");
}

/* Both tiles of step `k0` into shared memory: neighbouring threads read neighbouring elements. */
static void load_tile(Product *p, const Side *s, const char *tile, const char *first,
                      int64_t extent, int64_t sum, const char *k0, bool columns) {
  Emit *e = p->e;
  bool along = s->along == 1 && s->sum != 1;
  const char *a = along ? "x" : "y", *k = along ? "y" : "x";
  const char *row = arena_printf(e->arena, "(%s + %s)", first, a);
  const char *at = arena_printf(e->arena, "(%s + %s)", k0, k);
  text_addf(emit_body(e), "%s[%s * %d + %s] = %s < %lld && %s < %lld ? %s : 0;\n", tile,
            columns ? k : a, PITCH, columns ? a : k, row, (long long)extent, at, (long long)sum,
            element(p, s, "b", row, at));
}

static int64_t tiles_along(int64_t n) { return (n + TILE - 1) / TILE; }

/* How often tiles are loaded in all. */
static int64_t steps(const Product *p) {
  const Gemm *g = &p->g[0];
  int64_t all = 0;
  for (int i = 0; i < p->n; i++) all += tiles_along(p->g[i].sum);
  return all * g->batch * tiles_along(g->rows) * tiles_along(g->columns);
}

static void tile_product(Product *p, const Gemm *g, bool minus) {
  Emit *e = p->e;
  const char *k = emit_name(e, "k"), *q = emit_name(e, "q");
  const char *left = emit_name(e, "l"), *right = emit_name(e, "r");
  emit_open(e);
  text_addf(emit_body(e), "%s *%s = (%s *)mem + h, *%s = %s + %d;\n", g->type, left, g->type, right,
            left, TILE * PITCH);
  load_tile(p, &g->left, left, "row0", g->rows, g->sum, k, false);
  load_tile(p, &g->right, right, "col0", g->columns, g->sum, k, true);
  text_add(emit_body(e), CUDA_BARRIER);
  if (g->sum > 0) cuda_barriers(e, 1, 0, 0, e->shared / 2, steps(p));
  text_addf(emit_body(e),
            "#pragma unroll\nfor (int32_t %s = 0; %s < %d; %s++) s %s= %s[y * %d + %s] * %s[%s * "
            "%d + x];\n",
            q, q, TILE, q, minus ? "-" : "+", left, PITCH, q, right, q, PITCH);
  text_addf(emit_body(e), "h = %d - h;\n", 2 * TILE * PITCH);
  emit_close(e, arena_printf(e->arena, "for (%s %s = 0; %s < %lld; %s += %d)", e->itype, k, k,
                             (long long)g->sum, k, TILE));
}

static void tiles(Product *p) {
  Emit *e = p->e;
  const Gemm *g = &p->g[0];
  int64_t tm = tiles_along(g->rows), tn = tiles_along(g->columns);
  e->shared = 4 * TILE * PITCH / (g->n->type.dtype == DT_F64 ? 1 : 2);
  text_addf(emit_body(e), "const int32_t x = t %% %d, y = t / %d;\nint32_t h = 0;\n", TILE, TILE);
  emit_open(e);
  text_addf(
      emit_body(e),
      "const %s b = w / %lld, row0 = w / %lld %% %lld * %d, col0 = w %% %lld * %d;\n%s s = 0;\n",
      e->itype, (long long)(tm * tn), (long long)tn, (long long)tm, TILE, (long long)tn, TILE,
      g->type);
  for (int i = 0; i < p->n; i++) tile_product(p, &p->g[i], p->minus[i]);
  element_epilogue(p, "b", "row0 + y", "col0 + x");
  emit_close(e, arena_printf(e->arena, "if (row0 + y < %lld && col0 + x < %lld)",
                             (long long)g->rows, (long long)g->columns));
  emit_close(e, arena_printf(e->arena, "for (%s w = block; w < %lld; w += blocks)", e->itype,
                             (long long)(g->batch * tm * tn)));
}

static void dots(Product *p) {
  Emit *e = p->e;
  const Gemm *g = &p->g[0];
  int64_t all = g->batch * g->rows * g->columns;
  emit_open(e);
  text_addf(emit_body(e),
            "const %s o = w + t / 32 < %lld ? w + t / 32 : %lld;\n"
            "const %s b = o / %lld, i = o / %lld %% %lld, j = o %% %lld;\n%s s = 0;\n",
            e->itype, (long long)all, (long long)(all - 1), e->itype,
            (long long)(g->rows * g->columns), (long long)g->columns, (long long)g->rows,
            (long long)g->columns, g->type);
  for (int n = 0; n < p->n; n++) {
    const char *k = emit_name(e, "k");
    text_addf(emit_body(e), "for (%s %s = t %% 32; %s < %lld; %s += 32) s %s= %s * %s;\n", e->itype,
              k, k, (long long)p->g[n].sum, k, p->minus[n] ? "-" : "+",
              element(p, &p->g[n].left, "b", "i", k), element(p, &p->g[n].right, "b", "j", k));
  }
  text_addf(emit_body(e), "s = mlo_team_sum_%s(s, 32, mem);\n", g->lane);
  element_epilogue(p, "b", "i", "j");
  emit_close(e, arena_printf(e->arena, "if (t %% 32 == 0 && w + t / 32 < %lld)", (long long)all));
  emit_close(e, arena_printf(e->arena, "for (%s w = block * 8; w < %lld; w += blocks * 8)",
                             e->itype, (long long)all));
}

void cuda_gemm(Emit *e, const Launch *l) {
  Product p = product_of(e);
  if (type_count(p.result->type) == 0) return;
  if (l->shape == LAUNCH_DOTS)
    dots(&p);
  else
    tiles(&p);
}
