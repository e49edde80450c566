/* What a finished kernel costs and how it runs: arithmetic and traffic, one loop or nested ones,
   threads and chunks by size alone (never by thread count), scratch memory. */
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "passes/group.h"

typedef struct Measure {
  const Func *f;
  const Kernel *k;
  int64_t flops, loads; /* an iteration */
  bool flat;
  Node *self;
  const Storage **seen;
  int nseen, cap;
  int64_t bytes;
  Arena *arena;
} Measure;

static int64_t domain(const Kernel *k) { return kernel_rows(k) * kernel_row_size(k); }

/* A storage is fetched once, and not more of it than there are iterations. */
static void fetch(Measure *m, const Node *n) {
  const Storage *s = m->f->home[n->id];
  for (int i = 0; i < m->nseen; i++)
    if (m->seen[i] == s) return;
  if (!s) return;
  VEC_PUSH(m->arena, m->seen, m->nseen, m->cap, s);
  int64_t most = domain(m->k) * dtype_bytes(s->type.dtype), all = type_bytes(s->type);
  m->bytes += m->k->kind == KERNEL_LOOP && most < all ? most : all;
}

static void note_load(void *ctx, Node *n, const Index *at, int stage) {
  Measure *m = ctx;
  (void)stage;
  for (int i = 0; i < m->k->nanchor; i++)
    if (m->k->anchor[i].node == n && n->op != OP_param) return;
  m->loads++;
  fetch(m, n);
  Index own;
  bool linear =
      kernel_index(m->k, ANCHOR_ELEM, n, &own) && !memcmp(own.axis, at->axis, (size_t)n->type.rank);
  m->flat = m->flat && (linear || type_count(n->type) == 1);
}

static bool is_local(const Measure *m, const Node *n) {
  if (n == m->self) return false;
  if (n->op == OP_param || m->f->home[n->id]) return true;
  for (int i = 0; i < m->k->nanchor; i++)
    if (m->k->anchor[i].node == n) return true;
  return false;
}

/* Leaves that know their index, and views that change it, want nested loops. */
static bool note_inside(void *ctx, Node *n, const Index *at) {
  Measure *m = ctx;
  if (is_local(m, n)) return false;
  m->flops += node_flops(n);
  if (type_count(n->type) != 1 && n->op != OP_const) {
    Index own;
    m->flat = m->flat && kernel_index(m->k, ANCHOR_ELEM, n, &own) &&
              !memcmp(own.axis, at->axis, (size_t)n->type.rank);
  }
  if (n->op == OP_iota) m->flat = false;
  return true;
}

static int64_t inner_of(const Node *n) {
  return n->in[0]->type.dim[n->type.rank - (n->attr.i[0] ? 2 : 1)];
}

static void note_anchor(Measure *m, const Anchor *a) {
  Index at;
  Node *n = a->node;
  Emission e = op_info(n->op)->emit;
  int64_t before = m->flops;
  m->self = n;
  if (e == EMIT_REDUCE) {
    m->flops++;
    if (kernel_index(m->k, ANCHOR_ELEM, n->in[0], &at)) index_walk(n->in[0], at, note_inside, m);
  } else if (e == EMIT_SCATTER) {
    m->flops++;
  } else if (e == EMIT_GEMM) {
    m->flops += 2 * inner_of(n);
  } else if (e == EMIT_CALL) {
    int64_t s = n->in[0]->type.dim[0];
    m->flops += 2 * s * s * s / 3 + 2 * s * type_count(n->type);
  } else if (kernel_index(m->k, a->cls, n, &at)) {
    index_walk(n, at, note_inside, m);
  }
  if (a->cls == ANCHOR_ROW && kernel_row_size(m->k) > 1) m->flops = before;
}

static void set_chunk(Kernel *k, int64_t each) {
  int64_t loop = kernel_loop(k), inside = loop > 0 ? domain(k) / loop : 1;
  int64_t chunk = CHUNK_WORK / (each * inside + 1);
  if (chunk < 1) chunk = 1;
  if (chunk > 64) chunk &= ~(int64_t)63; /* whole vectors and cache lines */
  if (k->order == ORDER_COLUMNS && !kernel_keeps_first(k) && chunk < (loop + 15) / 16)
    chunk = (loop + 15) / 16;
  k->chunk = chunk;
  k->parallel = k->kind != KERNEL_SCATTER && k->kind != KERNEL_CALL &&
                domain(k) * each >= PARALLEL_WORK && loop > chunk &&
                !(k->kind == KERNEL_GEMM && provider_info(k->provider)->call);
}

static int64_t scratch_doubles(const Program *p, const Kernel *k) {
  const Node *n = k->nanchor ? k->anchor[0].node : NULL;
  int64_t rounded = kernel_rounded(p, k);
  if (rounded) return (rounded + 1) / 2;
  if (k->kind == KERNEL_CALL) {
    int64_t s = n->in[0]->type.dim[0];
    return s * s + type_count(n->type) + s;
  }
  if (k->kind == KERNEL_GEMM && !provider_info(k->provider)->call && n->attr.i[0])
    return n->type.dim[n->type.rank - 2] * n->type.dim[n->type.rank - 1];
  int64_t reductions = 0;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].cls == ANCHOR_REDUCE) reductions += k->anchor[i].node->op == OP_argmax ? 2 : 1;
  bool columns = k->order == ORDER_COLUMNS;
  if (kernel_keeps_first(k)) return 0;
  if (!reductions || (!columns && (!k->parallel || kernel_rows(k) > 1))) return 0;
  return reductions * kernel_chunks(k) * kernel_rows(k);
}

void kernel_measure(Arena *scratch, Program *p, const Func *f, Kernel *k) {
  Measure m = {.f = f, .k = k, .flat = k->kind == KERNEL_LOOP, .arena = scratch};
  for (int i = 0; i < k->rank; i++) m.flat = m.flat && !k->reduced[i];
  for (int i = 0; i < k->nanchor; i++) {
    note_anchor(&m, &k->anchor[i]);
    m.flat = m.flat && k->anchor[i].cls == ANCHOR_ELEM;
  }
  kernel_reads(f, k, note_load, &m);
  k->flat = m.flat;
  k->flops = domain(k) * m.flops;
  k->bytes = m.bytes;
  for (int i = 0; i < k->nstore; i++) k->bytes += type_bytes(k->store[i].node->type);
  set_chunk(k, m.flops + m.loads + k->nstore);
  int64_t n = scratch_doubles(p, k);
  k->scratch = NULL;
  if (n > 0)
    k->scratch = program_storage(p, ST_TEMP, type_make(DT_F64, 1, &n), "%s.s%s", f->name,
                                 strrchr(k->name, 'k') + 1);
}
