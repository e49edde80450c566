/* Checks kernels and the memory plan without trusting how they were made: reads against homes,
   anchors and stages; stores against results and old values; and the plan by running the schedule
   on a picture of memory in which every byte knows whose value it holds. */
#include <string.h>

#include "ir/kernel.h"
#include "ir/op.h"
#include "ir/provider.h"

/* A run of bytes of one storage that no view cuts. */
typedef struct Piece {
  const Storage *root;
  int64_t lo, hi; /* bytes inside root */
} Piece;

typedef struct Audit {
  const Program *p;
  Arena *arena; /* messages */
  const char *wrong;
  const Func *f;
  const Kernel *k;
  int at; /* index of k */
  Piece *piece;
  int npiece, cap;
  bool *valid; /* by piece: holds what was last written to it */
} Audit;

static void fail(Audit *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(Audit *c, const char *fmt, ...) {
  if (c->wrong) return;
  va_list ap;
  va_start(ap, fmt);
  const char *what = arena_vprintf(c->p->arena, fmt, ap);
  va_end(ap);
  c->wrong = arena_printf(c->p->arena, "%s: %s",
                          c->k   ? c->k->name
                          : c->f ? c->f->name
                                 : "plan",
                          what);
}

/* ---- one function */

static const Anchor *anchor_of(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node == n) return &k->anchor[i];
  return NULL;
}

static bool canonical(const Kernel *k, AnchorClass cls, const Node *n, const Index *at) {
  Index own;
  return kernel_index(k, cls, n, &own) && !memcmp(own.axis, at->axis, (size_t)n->type.rank);
}

static bool stored_before(const Audit *c, const Node *n, const Storage *home) {
  for (int i = 0; i < c->at; i++)
    for (int j = 0; j < c->f->kernel[i]->nstore; j++) {
      const Store *s = &c->f->kernel[i]->store[j];
      if (s->node == n && s->dest == home && !s->row) return true;
    }
  return false;
}

static bool same_bytes(const Storage *a, const Storage *b) {
  return storage_root(a) == storage_root(b) && storage_start(a) == storage_start(b) &&
         a->type.dtype == b->type.dtype && type_count(a->type) == type_count(b->type);
}

/* An old value must not have been overwritten by an earlier kernel, nor at another index by this
 * one. */
static void check_old_value(Audit *c, const Node *n, const Index *at, int stage, const Storage *s) {
  for (int i = 0; i <= c->at; i++)
    for (int j = 0; j < c->f->kernel[i]->nstore; j++) {
      const Store *st = &c->f->kernel[i]->store[j];
      if (!storage_overlap(st->dest, s)) continue;
      const Anchor *a = anchor_of(c->f->kernel[i], st->node);
      bool here = i == c->at && a && !st->row && same_bytes(st->dest, s) &&
                  canonical(c->k, a->cls, n, at) && c->k->kind != KERNEL_SCATTER &&
                  (a->cls != ANCHOR_ELEM || stage <= a->stage);
      if (!here) fail(c, "%%%u reads `%s` after it is overwritten", n->id, s->name);
    }
}

static void check_read(void *ctx, Node *n, const Index *at, int stage) {
  Audit *c = ctx;
  const Anchor *a = anchor_of(c->k, n);
  const Storage *home = c->f->home[n->id];
  if (n->op == OP_param) {
    if (!home)
      fail(c, "%%%u has no storage", n->id);
    else
      check_old_value(c, n, at, stage, home);
  } else if (a) {
    if (!canonical(c->k, a->cls, n, at))
      fail(c, "%%%u is read at another index than its own", n->id);
    if (a->stage + (a->cls == ANCHOR_REDUCE) > stage)
      fail(c, "%%%u is read before its stage", n->id);
  } else if (!home) {
    fail(c, "%%%u has neither a home nor an anchor", n->id);
  } else if (!stored_before(c, n, home)) {
    fail(c, "%%%u is read from `%s` before it is stored", n->id, home->name);
  }
}

/* A library's kernel: one product, or products and the sum of exactly these, which is stored. */
static void check_library(Audit *c) {
  const Kernel *k = c->k;
  Term term[MAX_TERMS];
  int n = k->nanchor - 1;
  if (n == 0) return;
  Node *sum = k->anchor[n].node;
  bool fits = kernel_terms(sum, term) == n;
  for (int i = 0; fits && i < n; i++) fits = term[i].product == k->anchor[i].node;
  for (int i = 0; i < k->nstore; i++) fits = fits && k->store[i].node == sum;
  if (!fits) fail(c, "%%%u is not the sum of its products", sum->id);
}

static void check_kind(Audit *c) {
  const Kernel *k = c->k;
  static const Emission first[NKERNELKIND] = {
      [KERNEL_GEMM] = EMIT_GEMM, [KERNEL_SCATTER] = EMIT_SCATTER, [KERNEL_CALL] = EMIT_CALL};
  if (k->kind != KERNEL_LOOP &&
      (!k->nanchor || op_info(k->anchor[0].node->op)->emit != first[k->kind]))
    fail(c, "its first anchor is of another kind");
  bool library = k->kind == KERNEL_GEMM && provider_info(k->provider)->call;
  if (library && !c->wrong) check_library(c);
  int64_t rounded = c->wrong ? 0 : kernel_rounded(c->p, k);
  if (rounded && (!k->scratch || type_bytes(k->scratch->type) < rounded * dtype_bytes(DT_F32)))
    fail(c, "rounded operands need scratch memory of %lld floats", (long long)rounded);
  for (int i = k->kind != KERNEL_LOOP; !library && i < k->nanchor; i++)
    if (op_info(k->anchor[i].node->op)->emit > EMIT_REDUCE)
      fail(c, "%%%u cannot be here", k->anchor[i].node->id);
  if ((k->kind == KERNEL_SCATTER || k->kind == KERNEL_CALL) && (k->nanchor > 1 || !k->nstore))
    fail(c, "takes one anchor and stores it");
  for (int i = 0; i < k->nstore; i++) {
    const Store *s = &k->store[i];
    Type t = s->dest->type;
    if (k->kind != KERNEL_LOOP && !anchor_of(k, s->node))
      fail(c, "stores %%%u, which it does not compute", s->node->id);
    if (s->row && t.rank) t = type_make(t.dtype, t.rank - 1, t.dim + 1);
    if (!type_eq(t, s->node->type)) fail(c, "%%%u does not fit `%s`", s->node->id, s->dest->name);
  }
}

static void check_anchors(Audit *c) {
  const Kernel *k = c->k;
  check_kind(c);
  for (int i = 0; i < k->nanchor; i++) {
    const Anchor *a = &k->anchor[i];
    Emission e = op_info(a->node->op)->emit;
    Index at;
    if ((e == EMIT_REDUCE) != (a->cls == ANCHOR_REDUCE))
      fail(c, "%%%u has the wrong class", a->node->id);
    const Node *shape = e == EMIT_SCATTER ? a->node->in[1] : a->node;
    if (e != EMIT_CALL &&
        (!kernel_index(k, a->cls, shape, &at) ||
         (e == EMIT_REDUCE && !kernel_index(k, ANCHOR_ELEM, a->node->in[0], &at))))
      fail(c, "%%%u does not fit the domain", a->node->id);
    for (int o = 0; (e == EMIT_GEMM || e == EMIT_CALL) && o < a->node->nin; o++) {
      Operand operand;
      if (!kernel_operand(c->f->home, a->node->in[o], &operand))
        fail(c, "operand %d of %%%u has no home", o, a->node->id);
      if (operand.node->op != OP_param && anchor_of(k, operand.node))
        fail(c, "operand %d of %%%u is computed beside it", o, a->node->id);
    }
  }
}

static void check_results(Audit *c) {
  for (int i = 0; i < c->f->nresult; i++) {
    int stores = 0;
    for (int k = 0; k < c->f->nkernel; k++)
      for (int j = 0; j < c->f->kernel[k]->nstore; j++) {
        const Store *s = &c->f->kernel[k]->store[j];
        stores += s->dest == c->f->dest[i] && s->row == c->f->row[i] && s->node == c->f->result[i];
      }
    int same = 0;
    for (int j = 0; j < c->f->nresult; j++)
      same += c->f->dest[j] == c->f->dest[i] && c->f->result[j] == c->f->result[i] &&
              c->f->row[j] == c->f->row[i];
    if (stores != same) fail(c, "result %d is stored %d times", i, stores);
  }
}

static void check_func(Audit *c, const Func *f) {
  c->f = f;
  if (f->nresult && (!f->home || !f->nkernel)) fail(c, "has no kernels");
  for (c->at = 0; c->at < f->nkernel && !c->wrong; c->at++) {
    c->k = f->kernel[c->at];
    check_anchors(c);
    if (!c->wrong) kernel_reads(f, c->k, check_read, c);
  }
  c->k = NULL;
  if (!c->wrong) check_results(c);
}

/* ---- the plan */

static int64_t address(const Piece *q) { return q->root->offset + q->lo; }

static void cut_pieces(Audit *c, const Storage *root) {
  int64_t at = 0, end = type_bytes(root->type);
  while (at < end) {
    int64_t next = end;
    for (int i = 0; i < c->p->nstorage; i++) {
      const Storage *s = c->p->storage[i];
      if (storage_root(s) != root) continue;
      int64_t lo = storage_start(s), hi = lo + type_bytes(s->type);
      if (lo > at && lo < next) next = lo;
      if (hi > at && hi < next) next = hi;
    }
    Piece q = {root, at, next};
    VEC_PUSH(c->arena, c->piece, c->npiece, c->cap, q);
    at = next;
  }
}

static bool covers(const Storage *s, const Piece *q) {
  int64_t lo = storage_start(s);
  return storage_root(s) == q->root && q->lo >= lo && q->hi <= lo + type_bytes(s->type);
}

static void check_offsets(Audit *c) {
  for (int i = 0; i < c->p->nstorage; i++) {
    const Storage *s = c->p->storage[i], *root = storage_root(s);
    if (root->offset < 0 || root->offset % 64)
      fail(c, "`%s` has offset %lld", s->name, (long long)root->offset);
    if (s->offset != root->offset + storage_start(s))
      fail(c, "view `%s` is not inside its base", s->name);
    if (s->offset + type_bytes(s->type) > c->p->arena_bytes)
      fail(c, "`%s` ends behind the arena", s->name);
    if (s == root) cut_pieces(c, s);
  }
}

static bool touch(const Piece *a, const Piece *b) {
  return a->root != b->root && address(a) < address(b) + b->hi - b->lo &&
         address(b) < address(a) + a->hi - a->lo;
}

static void read_storage(Audit *c, const Storage *s) {
  for (int i = 0; i < c->npiece; i++)
    if (covers(s, &c->piece[i]) && !c->valid[i])
      fail(c, "`%s` is read after its bytes were given away", s->name);
}

static void write_storage(Audit *c, const Storage *s, bool whole) {
  for (int i = 0; i < c->npiece; i++) {
    if (!covers(s, &c->piece[i])) continue;
    if (whole) c->valid[i] = true;
    for (int j = 0; j < c->npiece; j++)
      if (touch(&c->piece[i], &c->piece[j])) c->valid[j] = false;
  }
}

/* What is declared dead is read no more, nor are others' values under its bytes: --poison
 * overwrites them. */
static void bury_storage(Audit *c, const Storage *s) {
  for (int i = 0; i < c->npiece; i++) {
    if (!covers(s, &c->piece[i])) continue;
    c->valid[i] = false;
    for (int j = 0; j < c->npiece; j++)
      if (touch(&c->piece[i], &c->piece[j])) c->valid[j] = false;
  }
}

static bool overlap_planned(const Storage *a, const Storage *b) {
  return storage_root(a) != storage_root(b) && a->offset < b->offset + type_bytes(b->type) &&
         b->offset < a->offset + type_bytes(a->type);
}

/* A result over a dying operand: the same elements, read at their own index only. */
static void run_read(void *ctx, Node *n, const Index *at, int stage) {
  Audit *c = ctx;
  const Storage *s = c->f->home[n->id];
  (void)stage;
  if (!s || (anchor_of(c->k, n) && n->op != OP_param)) return;
  read_storage(c, s);
  for (int i = 0; i < c->k->nstore; i++) {
    const Store *st = &c->k->store[i];
    if (!overlap_planned(st->dest, s)) continue;
    const Anchor *a = anchor_of(c->k, st->node);
    bool fine = a && a->cls == ANCHOR_ELEM && c->k->kind == KERNEL_LOOP &&
                st->dest->offset == s->offset &&
                type_bytes(st->dest->type) == type_bytes(s->type) && a->stage == 0 &&
                canonical(c->k, ANCHOR_ELEM, n, at);
    if (!fine) fail(c, "`%s` is overwritten by `%s` while it is read", s->name, st->dest->name);
  }
  if (c->k->scratch && overlap_planned(c->k->scratch, s))
    fail(c, "`%s` is overwritten by scratch while it is read", s->name);
}

static void run_kernel(Audit *c) {
  const Kernel *k = c->k;
  kernel_reads(c->f, k, run_read, c);
  for (int i = 0; i < k->nstore; i++) {
    write_storage(c, k->store[i].dest, !k->store[i].row);
    for (int j = 0; j < i; j++)
      if (overlap_planned(k->store[i].dest, k->store[j].dest))
        fail(c, "`%s` and `%s` overlap", k->store[i].dest->name, k->store[j].dest->name);
    if (k->scratch && overlap_planned(k->scratch, k->store[i].dest))
      fail(c, "`%s` overlaps scratch", k->store[i].dest->name);
  }
  if (k->scratch) write_storage(c, k->scratch, true);
  for (int i = 0; i < k->ndead; i++) bury_storage(c, k->dead[i]);
}

static void run_call(Audit *c, const Func *f) {
  c->f = f;
  for (int i = 0; i < f->nkernel && !c->wrong; i++) {
    c->k = f->kernel[i];
    run_kernel(c);
  }
  c->k = NULL;
}

/* Loops run twice, so that what one round leaves to the next is seen; what may be skipped must hold
 * both ways. */
static void run_stmts(Audit *c, const Stmt *s) {
  for (; s && !c->wrong; s = s->next) {
    if (s->kind == STMT_CALL) run_call(c, s->func);
    if (s->kind == STMT_REPORT) {
      bool *before = arena_array(c->arena, bool, c->npiece);
      memcpy(before, c->valid, sizeof *before * (size_t)c->npiece);
      run_stmts(c, s->body);
      for (int i = 0; i < c->npiece; i++) c->valid[i] = c->valid[i] && before[i];
    }
    for (int round = 0; round < 2 && (s->kind == STMT_REPEAT || s->kind == STMT_WHILE); round++) {
      if (s->cond) read_storage(c, s->cond);
      run_stmts(c, s->body);
    }
    if (s->kind == STMT_WHILE && s->cond) read_storage(c, s->cond);
  }
}

static void check_plan(Audit *c) {
  c->f = NULL;
  check_offsets(c);
  if (c->wrong) return;
  c->valid = arena_array(c->arena, bool, c->npiece);
  for (int i = 0; i < c->npiece; i++) c->valid[i] = true;
  run_stmts(c, c->p->schedule);
}

const char *kernel_verify(const Program *p) {
  Arena *scratch = arena_new();
  Audit c = {.p = p, .arena = scratch};
  for (int i = 0; i < p->nfunc && !c.wrong && (p->facts & F_FUSED); i++) check_func(&c, p->func[i]);
  if (!c.wrong && (p->facts & F_PLANNED)) check_plan(&c);
  arena_free(scratch);
  return c.wrong;
}
