/* Kernels' index algebra, shared by what builds, checks and prints them: at which index a kernel
   reads which node, followed symbolically through views; operands of library calls; storages'
   ranges. */
#include "ir/kernel.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/op_bulk.h"

/* ---- sizes */

int64_t kernel_rows(const Kernel *k) {
  int64_t n = 1;
  for (int i = 0; i < k->rank; i++)
    if (!k->reduced[i]) n *= k->dim[i];
  return n;
}

int64_t kernel_row_size(const Kernel *k) {
  int64_t n = 1;
  for (int i = 0; i < k->rank; i++)
    if (k->reduced[i]) n *= k->dim[i];
  return n;
}

bool kernel_keeps_first(const Kernel *k) {
  if (k->order != ORDER_COLUMNS || !k->rank || k->reduced[0]) return false;
  int first = 0;
  while (first < k->rank && !k->reduced[first]) first++;
  return first < k->rank && (k->dim[0] >= 16 || k->dim[0] >= k->dim[first]);
}

int64_t kernel_loop(const Kernel *k) {
  int first = -1, kept = 0;
  for (int i = k->rank - 1; i >= 0; i--) {
    if (k->reduced[i]) first = i;
    kept += !k->reduced[i];
  }
  int64_t last = k->rank ? k->dim[k->rank - 1] : 1, rows = kernel_rows(k);
  if (k->kind == KERNEL_GEMM || (first < 0 && !k->flat)) return last > 0 ? rows / last : 0;
  if (first < 0) return rows;
  if (k->order == ORDER_COLUMNS) return k->dim[kernel_keeps_first(k) ? 0 : first];
  return kept ? rows : kernel_row_size(k);
}

int64_t kernel_chunks(const Kernel *k) {
  if (!k->parallel || k->chunk <= 0) return 1;
  return (kernel_loop(k) + k->chunk - 1) / k->chunk;
}

/* ---- indices */

static Index index_any(Type t) {
  Index r;
  memset(&r, 0, sizeof r);
  for (int i = 0; i < t.rank; i++) r.axis[i] = t.dim[i] == 1 ? AXIS_ONE : AXIS_ANY;
  return r;
}

/* The operand's axis i runs where the reader's axis `from` does, unless it has size 1. */
static void follow(Index *r, Type t, int i, Index at, int from) {
  if (t.dim[i] != 1) r->axis[i] = at.axis[from];
}

/* Axes of size 1 come and go freely; any other change of shape is a computed index. */
static Index index_reshape(Type to, Type from, Index at) {
  Index r = index_any(from);
  int k = 0;
  for (int i = 0; i < from.rank; i++) {
    if (from.dim[i] == 1) continue;
    while (k < to.rank && to.dim[k] == 1) k++;
    if (k == to.rank || to.dim[k] != from.dim[i]) return index_any(from);
    r.axis[i] = at.axis[k++];
  }
  return r;
}

Index index_of_operand(const Node *n, int k, Index at) {
  Type t = n->in[k]->type;
  Index r = index_any(t);
  switch (n->op) {
  case OP_broadcast:
    for (int i = 0; i < t.rank; i++) follow(&r, t, i, at, (int)n->attr.i[i]);
    return r;
  case OP_reshape: return index_reshape(n->type, t, at);
  case OP_transpose:
    for (int i = 0; i < t.rank; i++) follow(&r, t, (int)n->attr.i[i], at, i);
    return r;
  case OP_slice:
  case OP_pad:
    for (int i = 0; i < t.rank; i++)
      if (t.dim[i] == n->type.dim[i]) follow(&r, t, i, at, i);
    return r;
  case OP_skew:
    for (int i = 0; i < t.rank; i++)
      if (i != n->attr.i[SKEW_AXIS]) follow(&r, t, i, at, i);
    return r;
  case OP_reverse:
  case OP_concat:
    for (int i = 0; i < t.rank; i++) {
      bool moved = false;
      for (int j = 0; j < n->attr.n; j++) moved = moved || n->attr.i[j] == i;
      if (!moved) follow(&r, t, i, at, i);
    }
    return r;
  case OP_gather:
    for (int i = k ? 0 : 1; i < t.rank; i++)
      follow(&r, t, i, at, k ? i : n->in[1]->type.rank + i - 1);
    return r;
  case OP_random: return r;
  case OP_shuffle:
    for (int i = 0; k == 2 && i < t.rank; i++) follow(&r, t, i, at, i);
    return r;
  default:
    for (int i = 0; i < t.rank; i++) follow(&r, t, i, at, i);
    return r;
  }
}

/* The pairs that a walk has seen: an open-addressing set. */
typedef struct Seen {
  struct Pair {
    Node *n;
    Index at;
  } * pair;
  int n, cap;
} Seen;

static bool index_eq(const Node *n, const Index *a, const Index *b) {
  return !memcmp(a->axis, b->axis, (size_t)n->type.rank);
}

static int seen_slot(const Seen *s, Node *n, const Index *at) {
  uint32_t h = n->id * 2654435761u;
  for (int i = 0; i < n->type.rank; i++) h = h * 31 + (uint32_t)(at->axis[i] + 2);
  int i = (int)(h & (uint32_t)(s->cap - 1));
  while (s->pair[i].n && !(s->pair[i].n == n && index_eq(n, &s->pair[i].at, at)))
    i = (i + 1) & (s->cap - 1);
  return i;
}

static void seen_grow(Seen *s) {
  Seen old = *s;
  s->cap = old.cap ? 2 * old.cap : 32;
  s->pair = calloc((size_t)s->cap, sizeof *s->pair);
  if (!s->pair) compiler_bug("index_walk", "out of memory");
  for (int i = 0; i < old.cap; i++)
    if (old.pair[i].n) s->pair[seen_slot(s, old.pair[i].n, &old.pair[i].at)] = old.pair[i];
  free(old.pair);
}

/* True if the pair is new. */
static bool seen_add(Seen *s, Node *n, const Index *at) {
  if (2 * s->n >= s->cap) seen_grow(s);
  int i = seen_slot(s, n, at);
  if (s->pair[i].n) return false;
  s->pair[i].n = n;
  s->pair[i].at = *at;
  s->n++;
  return true;
}

static void walk(Seen *seen, Node *n, Index at, IndexVisit visit, void *ctx) {
  if (!seen_add(seen, n, &at) || !visit(ctx, n, &at)) return;
  for (int k = 0; k < n->nin; k++) walk(seen, n->in[k], index_of_operand(n, k, at), visit, ctx);
}

void index_walk(Node *root, Index at, IndexVisit visit, void *ctx) {
  Seen seen = {0};
  walk(&seen, root, at, visit, ctx);
  free(seen.pair);
}

bool kernel_index(const Kernel *k, AnchorClass cls, const Node *n, Index *out) {
  int axis = 0;
  *out = index_any(n->type);
  for (int i = 0; i < n->type.rank; i++) {
    if (n->type.dim[i] == 1) continue;
    while (axis < k->rank && (k->dim[axis] == 1 || (cls != ANCHOR_ELEM && k->reduced[axis])))
      axis++;
    if (axis == k->rank || k->dim[axis] != n->type.dim[i]) return false;
    out->axis[i] = (signed char)axis++;
  }
  for (; axis < k->rank; axis++)
    if (k->dim[axis] != 1 && !(cls != ANCHOR_ELEM && k->reduced[axis])) return false;
  return true;
}

/* ---- what a kernel reads */

typedef struct Reader {
  const Func *f;
  const Kernel *k;
  ReadVisit visit;
  void *ctx;
  Node *self;
  int stage;
} Reader;

static bool is_anchor(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node == n) return true;
  return false;
}

static bool visit_read(void *ctx, Node *n, const Index *at) {
  Reader *r = ctx;
  if (n == r->self) {
    if (n->op == OP_param) r->visit(r->ctx, n, at, r->stage);
    return true;
  }
  /* What cannot be computed in place counts as read, so that the verifier sees it. */
  bool read = n->op == OP_param || r->f->home[n->id] || is_anchor(r->k, n) ||
              op_info(n->op)->emit >= EMIT_REDUCE;
  if (read) r->visit(r->ctx, n, at, r->stage);
  return !read;
}

static void read_call(const Reader *r, const Node *n) {
  for (int k = 0; k < n->nin; k++) {
    Operand o;
    if (!kernel_operand(r->f->home, n->in[k], &o))
      compiler_bug(r->k->name, "operand %d of %%%u has no home", k, n->id);
    Index any = index_any(o.node->type);
    r->visit(r->ctx, o.node, &any, 0);
  }
}

static void read_anchor(Reader *r, const Anchor *a) {
  Index at;
  Node *n = a->node;
  Emission e = op_info(n->op)->emit;
  r->stage = a->stage;
  r->self = NULL;
  if (e == EMIT_GEMM || e == EMIT_CALL) {
    read_call(r, n);
  } else if (e == EMIT_REDUCE) {
    if (kernel_index(r->k, ANCHOR_ELEM, n->in[0], &at)) index_walk(n->in[0], at, visit_read, r);
  } else if (e == EMIT_SCATTER) {
    Index raw;
    for (int i = 0; i < MAX_RANK; i++) raw.axis[i] = (signed char)i;
    for (int k = 0; k < n->nin; k++) {
      at = index_any(n->in[k]->type);
      for (int i = 0; i < n->in[k]->type.rank; i++) follow(&at, n->in[k]->type, i, raw, i);
      index_walk(n->in[k], at, visit_read, r);
    }
  } else if (kernel_index(r->k, a->cls, n, &at)) {
    r->self = n;
    index_walk(n, at, visit_read, r);
  }
}

void kernel_reads(const Func *f, const Kernel *k, ReadVisit visit, void *ctx) {
  Reader r = {.f = f, .k = k, .visit = visit, .ctx = ctx};
  for (int i = 0; i < k->nanchor; i++) read_anchor(&r, &k->anchor[i]);
  for (int i = 0; i < k->nstore; i++) {
    Index at;
    if (is_anchor(k, k->store[i].node)) continue;
    r.self = NULL;
    r.stage = 0;
    if (kernel_index(k, ANCHOR_ELEM, k->store[i].node, &at))
      index_walk(k->store[i].node, at, visit_read, &r);
  }
}

/* ---- operands of calls */

static bool is_exchange(const Node *n) {
  int r = n->type.rank;
  for (int i = 0; i < r - 2; i++)
    if (n->attr.i[i] != i) return false;
  return r >= 2 && n->attr.i[r - 2] == r - 1;
}

/* A transpose that moves axes of size 1 only leaves memory as it is. */
static bool moves_nothing(const Node *n) {
  int64_t last = -1;
  for (int i = 0; i < n->type.rank; i++) {
    if (n->type.dim[i] == 1) continue;
    if (n->attr.i[i] < last) return false;
    last = n->attr.i[i];
  }
  return true;
}

/* Offset of a slice that is one run of memory, -1 if it is not. */
static int64_t run_of_slice(const Node *n) {
  int64_t stride[MAX_RANK], off = 0;
  bool inside = false; /* behind the first axis that is not a single element */
  type_strides(n->in[0]->type, stride);
  for (int i = 0; i < n->type.rank; i++) {
    if (inside && n->type.dim[i] != n->in[0]->type.dim[i]) return -1;
    inside = inside || n->type.dim[i] != 1;
    off += n->attr.i[i] * stride[i];
  }
  return off;
}

bool kernel_operand(Storage *const *home, Node *n, Operand *out) {
  *out = (Operand){0};
  bool reshaped = false;
  for (;;) {
    if (n->op == OP_param || (home && home[n->id])) break;
    if (n->op == OP_stop || n->op == OP_shift) {
      n = n->in[0];
    } else if (n->op == OP_reshape || (n->op == OP_transpose && moves_nothing(n))) {
      reshaped = true;
      n = n->in[0];
    } else if (n->op == OP_transpose && is_exchange(n) && !reshaped) {
      out->transposed = !out->transposed;
      n = n->in[0];
    } else if (n->op == OP_slice && run_of_slice(n) >= 0) {
      out->offset += run_of_slice(n);
      reshaped = true;
      n = n->in[0];
    } else {
      if (home) return false;
      break;
    }
  }
  out->node = n;
  return true;
}

/* ---- sums of products */

/* Adds the terms of n to the n0 that are there; -1: no. */
static int add_terms(Node *n, bool minus, Term *term, int n0) {
  if (n0 < 0) return -1;
  if (n->op == OP_neg) return add_terms(n->in[0], !minus, term, n0);
  if (n->op == OP_add || n->op == OP_sub) {
    int n1 = add_terms(n->in[0], minus, term, n0);
    return add_terms(n->in[1], minus != (n->op == OP_sub), term, n1);
  }
  if (n->op != OP_matmul || n0 == MAX_TERMS) return -1;
  int at = n0;
  for (; at > 0 && term[at - 1].product->id > n->id; at--) term[at] = term[at - 1];
  if (at > 0 && term[at - 1].product == n) return -1;
  term[at] = (Term){n, minus};
  return n0 + 1;
}

int kernel_terms(Node *sum, Term term[MAX_TERMS]) {
  int n = add_terms(sum, false, term, 0);
  return n < 2 ? 0 : n;
}

/* ---- storages */

const Storage *storage_root(const Storage *s) {
  while (s->base) s = s->base;
  return s;
}

int64_t storage_start(const Storage *s) {
  int64_t at = 0;
  for (; s->base; s = s->base) at += s->base_offset * dtype_bytes(s->base->type.dtype);
  return at;
}

bool storage_overlap(const Storage *a, const Storage *b) {
  if (storage_root(a) != storage_root(b)) return false;
  int64_t x = storage_start(a), y = storage_start(b);
  return x < y + type_bytes(b->type) && y < x + type_bytes(a->type);
}

bool storage_permanent(const Storage *s) {
  s = storage_root(s);
  return s->kind != ST_TEMP && s->kind != ST_GRAD && s->kind != ST_ADJOINT;
}
