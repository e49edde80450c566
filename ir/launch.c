/* Launch shapes of kernels, from their domains. */
#include "ir/launch.h"

#include "ir/op.h"
#include "ir/provider.h"

enum {
  VECTOR = 4,
  VECTOR_FROM = 1 << 16, /* elements: fewer would leave processors without work */
  MAX_GRID = 2048,       /* blocks: some waves of the largest devices */
  WARP = 32,
  WARP_ROW = 1024, /* elements of a row: longer ones get a block */
  KEPT_ROW = 512,  /* ..where elements are kept in registers between stages */
  TOTAL_PART = 4096,
  MAX_TOTAL = LAUNCH_BLOCK, /* partial results: one thread reads each */
  COLUMN_BLOCKS = 512,
  COLUMN_PART = 32,
  MAX_PARTS = 64,
  DOTS_UP_TO = 1024, /* elements of the result */
  DOTS_FROM = 32     /* summed indices */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

static int power_from(int64_t n, int most) {
  int p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}

typedef struct Facts {
  bool reduces, once; /* REDUCE anchors; something is stored once a kept index */
  bool keeps;         /* elements in registers between stages */
  int kept, reduced;  /* axes longer than 1 */
  int loops, sums;    /* over a row's elements; accumulated values: two for argmax */
} Facts;

static const Anchor *anchor_of(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node == n) return &k->anchor[i];
  return NULL;
}

static Facts facts_of(const Kernel *k) {
  Facts f = {0};
  for (int i = 0; i < k->rank; i++)
    if (k->dim[i] != 1) *(k->reduced[i] ? &f.reduced : &f.kept) += 1;
  for (int i = 0; i < k->nanchor; i++) {
    const Anchor *a = &k->anchor[i];
    if (a->cls != ANCHOR_ROW && a->stage >= f.loops) f.loops = a->stage + 1;
    if (a->keep) f.keeps = true;
    if (a->cls != ANCHOR_REDUCE) continue;
    f.reduces = true;
    f.sums += a->node->op == OP_argmax ? 2 : 1;
  }
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = anchor_of(k, k->store[i].node);
    f.once = f.once || (a && a->cls != ANCHOR_ELEM && f.reduced > 0);
  }
  return f;
}

/* Whether neighbouring elements of the last axis go to one thread: their addresses are then as
   aligned as the array is. What is left over of a single axis comes behind. */
static bool in_quads(const Kernel *k, const Facts *f) {
  int last = k->rank - 1;
  while (last >= 0 && k->dim[last] == 1) last--;
  bool whole = last >= 0 && k->dim[last] % VECTOR == 0;
  return kernel_rows(k) * kernel_row_size(k) >= VECTOR_FROM &&
         (whole || (f->kept + f->reduced == 1 && !f->keeps));
}

static Launch map(const Kernel *k, const Facts *f) {
  int64_t n = kernel_rows(k) * kernel_row_size(k);
  Launch l = {.shape = LAUNCH_MAP, .vector = in_quads(k, f) ? VECTOR : 1};
  l.grid = clamp(ceil_div(n / l.vector, LAUNCH_BLOCK), 1, MAX_GRID);
  l.ticket = f->once;
  l.scratch = f->once ? LAUNCH_PARTIALS : 0;
  return l;
}

static Launch rows(const Kernel *k, const Facts *f) {
  int64_t n = kernel_row_size(k);
  Launch l = {.shape = LAUNCH_ROWS, .vector = 1};
  bool warp = n <= (f->keeps ? KEPT_ROW : WARP_ROW);
  l.team = warp ? power_from(n, WARP) : LAUNCH_BLOCK;
  int last = k->rank - 1;
  while (last >= 0 && k->dim[last] == 1) last--;
  if (last >= 0 && k->reduced[last] && k->dim[last] % VECTOR == 0 && n >= VECTOR * l.team)
    l.vector = VECTOR;
  l.grid = clamp(ceil_div(kernel_rows(k), LAUNCH_BLOCK / l.team), 1, MAX_GRID);
  return l;
}

static Launch total(const Kernel *k, const Facts *f) {
  int64_t n = kernel_row_size(k);
  Launch l = {.shape = LAUNCH_TOTAL, .team = LAUNCH_BLOCK, .vector = in_quads(k, f) ? VECTOR : 1};
  bool spread = n > 2 * TOTAL_PART && f->loops == 1;
  l.grid = spread ? clamp(ceil_div(n, TOTAL_PART), 1, MAX_TOTAL) : 1;
  l.ticket = l.grid > 1;
  l.scratch = l.ticket ? LAUNCH_PARTIALS + l.grid * 8 * f->sums : 0;
  return l;
}

static Launch columns(const Kernel *k, const Facts *f) {
  int64_t lanes = kernel_rows(k), n = kernel_row_size(k);
  Launch l = {.shape = LAUNCH_COLUMNS, .vector = 1, .lanes = power_from(lanes, WARP)};
  int64_t groups = ceil_div(lanes, l.lanes);
  l.parts = clamp(COLUMN_BLOCKS / (groups ? groups : 1), 1, ceil_div(n, COLUMN_PART));
  l.parts = clamp(l.parts, 1, MAX_PARTS);
  if (groups > LAUNCH_TICKETS) l.parts = 1;
  l.part = ceil_div(n, l.parts);
  if (l.part) l.parts = clamp(ceil_div(n, l.part), 1, l.parts);
  l.ticket = l.parts > 1;
  l.grid = clamp(groups * l.parts, 1, MAX_GRID);
  l.scratch = l.ticket ? LAUNCH_PARTIALS + l.parts * lanes * 8 * f->sums : 0;
  return l;
}

bool launch_by_library(const Kernel *k) {
  if (k->kind != KERNEL_GEMM || !provider_info(k->provider)->call) return false;
  for (int i = 0; i < k->nstore; i++)
    if (k->store[i].row) return false;
  return true;
}

Launch launch_product(const Kernel *k) {
  const Node *n = k->anchor[0].node;
  int r = n->type.rank;
  int64_t m = n->type.dim[r - 2], c = n->type.dim[r - 1], all = type_count(n->type);
  int64_t sum = n->in[0]->type.dim[n->attr.i[0] ? r - 2 : r - 1];
  bool dots = (m == 1 || c == 1 || all <= DOTS_UP_TO) && sum >= DOTS_FROM;
  Launch l = {.shape = dots ? LAUNCH_DOTS : LAUNCH_TILES, .vector = 1};
  int64_t batch = m && c ? all / m / c : 0;
  int64_t tiles = batch * ceil_div(m, LAUNCH_TILE) * ceil_div(c, LAUNCH_TILE);
  l.grid = clamp(dots ? ceil_div(all, LAUNCH_BLOCK / WARP) : tiles, 1, MAX_GRID);
  return l;
}

static Launch scatter(const Kernel *k) {
  const Node *n = k->anchor[0].node;
  int64_t rows = n->type.rank ? n->type.dim[0] : 1;
  return (Launch){.shape = LAUNCH_SCATTER,
                  .vector = 1,
                  .grid = clamp(ceil_div(rows, LAUNCH_BLOCK / WARP), 1, MAX_GRID)};
}

Launch kernel_launch(const Kernel *k) {
  if (launch_by_library(k)) return (Launch){.shape = LAUNCH_LIBRARY, .grid = 1};
  if (k->kind == KERNEL_GEMM) return launch_product(k);
  if (k->kind == KERNEL_SCATTER) return scatter(k);
  if (k->kind == KERNEL_CALL) return (Launch){.shape = LAUNCH_SOLVE, .vector = 1, .grid = 1};
  Facts f = facts_of(k);
  if (!f.reduces && (!f.once || !f.kept)) return map(k, &f);
  if (!f.kept && f.reduced) return total(k, &f);
  return f.reduced && f.reduces && k->order == ORDER_COLUMNS ? columns(k, &f) : rows(k, &f);
}

const char *launch_shape_name(LaunchShape s) {
  static const char *const names[NLAUNCHSHAPE] = {
      [LAUNCH_MAP] = "map",         [LAUNCH_ROWS] = "rows",   [LAUNCH_TOTAL] = "total",
      [LAUNCH_COLUMNS] = "columns", [LAUNCH_DOTS] = "dots",   [LAUNCH_TILES] = "tiles",
      [LAUNCH_SCATTER] = "scatter", [LAUNCH_SOLVE] = "solve", [LAUNCH_LIBRARY] = "library"};
  return names[s];
}
