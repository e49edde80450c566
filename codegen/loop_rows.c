/* LOOP kernels in row order: loops over the kept axes; in their body, stage after stage, loops over
   the reduced axes with accumulators (softmax: max; sum of exp; quotient). A kernel without reduced
   axes is the kept loops alone. A reduction over everything with `parallel` runs in chunks of fixed
   size whose partial results are combined in order, so that its bits do not depend on the number of
   threads. */
#include <string.h>

#include "codegen/kernel_c.h"
#include "ir/op.h"

enum { MAX_CHUNKS = 4096, QUARTERS_FROM = 256, LIGHT = 16, CACHED = 1 << 20 };

typedef struct Rows {
  Emit *e;
  Group group[MAX_RANK];
  int ngroup, nkept;
  int nstage;
  int *store_stage; /* by store; -1: after the stages, at the row's index */
  bool *lent;       /* by store: the destination's row is a row buffer until its own stage */
} Rows;

/* Names of a reduction's accumulators: the value, and for argmax the best value so far, for a float
   maximum whether a NaN was seen. */
typedef struct Acc {
  const Anchor *a;
  const char *name, *extra;
  bool nan; /* extra is the flag of a float maximum */
} Acc;

static Acc acc_declare(Rows *r, const Anchor *a) {
  Emit *e = r->e;
  const Node *n = a->node;
  DType d = n->in[0]->type.dtype;
  Acc c = {.a = a, .name = emit_name(e, "a")};
  Text *b = emit_body(e);
  c.nan = n->op == OP_reduce_max && dtype_is_float(d);
  c.extra = arena_printf(e->arena, "%sn", c.name);
  if (n->op == OP_argmax) {
    text_addf(b, "int32_t %s = 0;\n%s %s = %s;\n", c.name, e->target->type[d], c.extra,
              cg_reduce_start(e, n));
  } else {
    text_addf(b, "%s %s = %s;\n", e->target->type[d], c.name, cg_reduce_start(e, n));
    if (c.nan) text_addf(b, "int %s = 0;\n", c.extra);
  }
  return c;
}

/* argmax: the first of equal maxima; the first element stands whatever it is, as in the reference.
 */
static void acc_take(Rows *r, const Acc *c) {
  Emit *e = r->e;
  const Node *n = c->a->node;
  Pos ix = emit_canonical(e, ANCHOR_ELEM, n->in[0]);
  Val v = emit_node(e, n->in[0], &ix, 0);
  Text *b = emit_body(e);
  if (n->op == OP_argmax) {
    int depth = 0;
    const char *at = emit_aff(e, ix.e[n->attr.i[0]], &depth);
    text_addf(b, "if (%s == 0 || %s > %s) {\n%s = %s;\n%s = %s;\n}\n", at, v.text, c->extra,
              c->extra, v.text, c->name, at);
  } else if (c->nan) {
    text_addf(b, "%s = %s > %s ? %s : %s;\n%s |= %s != %s;\n", c->name, v.text, c->name, v.text,
              c->name, c->extra, v.text, v.text);
  } else {
    cg_accumulate(e, n, c->name, v.text);
  }
}

static void acc_end(Rows *r, const Acc *c) {
  if (c->nan)
    text_addf(emit_body(r->e), "if (%s) %s = %s;\n", c->extra, c->name,
              r->e->target->nan[c->a->node->type.dtype]);
}

static const char *simd_clauses(Rows *r, const Acc *acc, int n) {
  Text t = {.arena = r->e->arena};
  text_add(&t, "#pragma omp simd");
  for (int i = 0; i < n; i++) {
    Op op = acc[i].a->node->op;
    if (op == OP_argmax) return "";
    text_addf(&t, " reduction(%s:%s)", op == OP_sum ? "+" : "max", acc[i].name);
    if (acc[i].nan) text_addf(&t, " reduction(|:%s)", acc[i].extra);
  }
  text_add(&t, "\n");
  return t.s;
}

/* One row buffer for each ELEM anchor that a later stage needs again. */
typedef struct Kept {
  const Anchor *a;
  Bound bound;
} Kept;

/* Offset in a row buffer: the reduced axes in order. */
static Aff kept_offset(const Emit *e) {
  const Kernel *k = e->kernel;
  Aff at = aff_const(0);
  int64_t n = 1;
  for (int x = k->rank - 1; x >= 0; x--) {
    if (!k->reduced[x]) continue;
    at = aff_add(at, e->axis[x], n);
    n *= k->dim[x];
  }
  return at;
}

/* Whether a kernel reads bytes of a storage. */
typedef struct Clash {
  const Emit *e;
  const Storage *s;
  bool found;
} Clash;

static void clash_with_read(void *ctx, Node *n, const Index *at, int stage) {
  Clash *c = ctx;
  const Storage *home = emit_home(c->e, n);
  (void)at, (void)stage;
  c->found = c->found || (home && cg_overlap(home, c->s));
}

static bool only_stored(const Emit *e, int store) {
  const Kernel *k = e->kernel;
  Clash c = {.e = e, .s = k->store[store].dest};
  kernel_reads(e->func, k, clash_with_read, &c);
  for (int i = 0; i < k->nstore; i++)
    c.found = c.found || (i != store && cg_overlap(k->store[i].dest, c.s));
  return !c.found;
}

typedef struct LastRead {
  const Node *node;
  int stage;
} LastRead;

static void note_last_read(void *ctx, Node *n, const Index *at, int stage) {
  LastRead *l = ctx;
  (void)at;
  if (n == l->node && stage > l->stage) l->stage = stage;
}

/* A later stage's store whose destination can hold the anchor's row until nothing reads it anymore
   but that stage, contiguous and touched by nothing else; -1: none. What the last stage writes is
   then in the cache already. */
static int find_lender(const Rows *r, const Anchor *a) {
  const Kernel *k = r->e->kernel;
  LastRead last = {.node = a->node, .stage = a->stage + 1};
  bool reduced = false;
  for (int x = 0; x < k->rank; x++) {
    if (k->dim[x] == 1) continue;
    if (reduced && !k->reduced[x]) return -1;
    reduced = k->reduced[x];
  }
  kernel_reads(r->e->func, k, note_last_read, &last);
  for (int i = 0; i < k->nstore; i++) {
    const Store *s = &k->store[i];
    if (r->lent[i] || s->row || r->store_stage[i] < last.stage) continue;
    if (s->dest->type.dtype == a->node->type.dtype && only_stored(r->e, i)) return i;
  }
  return -1;
}

static const char *lent_row(Rows *r, int store) {
  Emit *e = r->e;
  const Store *s = &e->kernel->store[store];
  for (int x = 0; x < e->kernel->rank; x++)
    if (e->kernel->reduced[x]) e->axis[x] = aff_const(0);
  Pos ix = emit_canonical(e, ANCHOR_ELEM, s->node);
  int depth = 0, p = emit_param(e, s->dest, NULL, true);
  r->lent[store] = true;
  return arena_printf(e->arena, "p%d + %s", p,
                      emit_aff(e, emit_linear(s->node->type, &ix), &depth));
}

static Kept kept_declare(Rows *r, const Anchor *a) {
  Emit *e = r->e;
  Kept b = {.a = a, .bound = {.anchor = a, .name = emit_name(e, "b"), .at = kept_offset}};
  const char *type = e->target->element[a->node->type.dtype];
  int lender = find_lender(r, a);
  b.bound.depth = e->depth;
  if (lender >= 0)
    text_addf(emit_body(e), "%s *%s = %s;\n", type, b.bound.name, lent_row(r, lender));
  else
    text_addf(emit_body(e), "%s %s[%lld];\n", type, b.bound.name,
              (long long)(kernel_row_size(e->kernel) + !kernel_row_size(e->kernel)));
  return b;
}

static void kept_write(Rows *r, const Kept *b) {
  Emit *e = r->e;
  Pos ix = emit_canonical(e, ANCHOR_ELEM, b->a->node);
  Val v = emit_node(e, b->a->node, &ix, 0);
  int depth = 0;
  const char *offset = emit_aff(e, kept_offset(e), &depth);
  text_addf(emit_body(e), "%s[%s] = %s;\n", b->bound.name, offset, v.text);
}

/* The reduced loops of one stage; [lo, hi) restricts the outermost one, NULL: all of it. */
static void stage_loops(Rows *r, int stage, const Acc *acc, int nacc, const Kept *kept, int nkept,
                        const char *lo, const char *hi) {
  Emit *e = r->e;
  const Kernel *k = e->kernel;
  int var[MAX_RANK];
  for (int g = r->nkept; g < r->ngroup; g++) var[g] = cg_open_group(e, &r->group[g]);
  for (int i = 0; i < nkept; i++) kept_write(r, &kept[i]);
  for (int i = 0; i < nacc; i++) acc_take(r, &acc[i]);
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) now[i] = r->store_stage[i] == stage;
  cg_stores(e, k->store, now, ANCHOR_ELEM);
  for (int g = r->ngroup - 1; g >= r->nkept; g--) {
    const char *pragma = g == r->ngroup - 1 ? simd_clauses(r, acc, nacc) : "";
    const char *name = e->var[var[g]].name;
    emit_close(e, g == r->nkept && lo ? arena_printf(e->arena, "%sfor (%s %s = %s; %s < %s; %s++)",
                                                     pragma, e->itype, name, lo, name, hi, name)
                                      : cg_for(e, pragma, var[g]));
  }
}

/* Light sums over long rows would wait for one chain of additions: four quarters of the row go at
   once, each with an accumulator of its own. Elements that are left over go to the first. Where the
   data come from memory rather than from a cache, one stream is faster. */
static bool in_quarters(const Rows *r, int stage, const Acc *acc, int nacc, int nkept) {
  const Kernel *k = r->e->kernel;
  const Group *g = &r->group[r->nkept];
  int64_t elements = kernel_rows(k) * kernel_row_size(k);
  if (r->ngroup != r->nkept + 1 || g->naxis != 1 || g->extent < QUARTERS_FROM || nkept || !nacc ||
      nacc > 2)
    return false;
  if (k->flops > LIGHT * elements || k->bytes > CACHED) return false;
  for (int i = 0; i < nacc; i++)
    if (acc[i].a->node->op != OP_sum) return false;
  for (int i = 0; i < k->nstore; i++)
    if (r->store_stage[i] == stage) return false;
  return true;
}

static void stage_quarters(Rows *r, const Acc *acc, int nacc) {
  Emit *e = r->e;
  const Group *g = &r->group[r->nkept];
  int64_t quarter = g->extent / 4;
  Acc all[8];
  for (int q = 0; q < 4; q++)
    for (int i = 0; i < nacc; i++) all[q * nacc + i] = q ? acc_declare(r, acc[i].a) : acc[i];
  for (int tail = 0; tail < (g->extent % 4 ? 2 : 1); tail++) {
    int v = cg_open_group(e, g);
    const char *name = e->var[v].name;
    Aff at = e->axis[g->axis[0]];
    for (int q = 0; q < (tail ? 1 : 4); q++) {
      e->axis[g->axis[0]] = aff_shift(at, q * quarter);
      for (int i = 0; i < nacc; i++) acc_take(r, &all[q * nacc + i]);
    }
    emit_close(e, arena_printf(e->arena, "%sfor (%s %s = %lld; %s < %lld; %s++)",
                               simd_clauses(r, all, (tail ? 1 : 4) * nacc), e->itype, name,
                               (long long)(tail ? 4 * quarter : 0), name,
                               (long long)(tail ? g->extent : quarter), name));
  }
  for (int i = 0; i < nacc; i++) {
    cg_accumulate(e, acc[i].a->node, all[i].name, all[nacc + i].name);
    cg_accumulate(e, acc[i].a->node, all[2 * nacc + i].name, all[3 * nacc + i].name);
    cg_accumulate(e, acc[i].a->node, all[i].name, all[2 * nacc + i].name);
  }
}

/* The stage over everything in chunks: partial results in arrays, combined in order. */
static void stage_chunks(Rows *r, int stage, Acc *acc, int nacc, const Kept *kept, int nkept) {
  Emit *e = r->e;
  const Group *outer = &r->group[r->nkept];
  int64_t inner = 1;
  for (int g = r->nkept + 1; g < r->ngroup; g++) inner *= r->group[g].extent;
  int64_t per = (e->kernel->chunk ? e->kernel->chunk : 1 << 14) / (inner ? inner : 1);
  if (per < (outer->extent + MAX_CHUNKS - 1) / MAX_CHUNKS)
    per = (outer->extent + MAX_CHUNKS - 1) / MAX_CHUNKS;
  if (per < 1) per = 1;
  int64_t chunks = (outer->extent + per - 1) / per;
  const char *lo = emit_name(e, "lo"), *hi = emit_name(e, "hi");
  Acc *part = arena_array(e->arena, Acc, nacc);
  for (int i = 0; i < nacc; i++)
    text_addf(emit_body(e), "%s %sp[%lld];\n", e->target->type[acc[i].a->node->type.dtype],
              acc[i].name, (long long)(chunks ? chunks : 1));
  emit_open(e);
  int c = emit_var(e, chunks, "c");
  const char *cn = e->var[c].name;
  text_addf(emit_body(e),
            "const %s %s = %s * %lld;\nconst %s %s = %s + %lld < %lld ? %s + %lld : %lld;\n",
            e->itype, lo, cn, (long long)per, e->itype, hi, lo, (long long)per,
            (long long)outer->extent, lo, (long long)per, (long long)outer->extent);
  for (int i = 0; i < nacc; i++) part[i] = acc_declare(r, acc[i].a);
  stage_loops(r, stage, part, nacc, kept, nkept, lo, hi);
  for (int i = 0; i < nacc; i++) {
    acc_end(r, &part[i]);
    text_addf(emit_body(e), "%sp[%s] = %s;\n", acc[i].name, cn, part[i].name);
  }
  emit_close(e, cg_for(e, "#pragma omp parallel for schedule(static)\n", c));
  for (int i = 0; i < nacc; i++) {
    emit_open(e);
    int j = emit_var(e, chunks, "c");
    cg_accumulate(e, acc[i].a->node, acc[i].name,
                  arena_printf(e->arena, "%sp[%s]", acc[i].name, e->var[j].name));
    emit_close(e, cg_for(e, "", j));
  }
}

static void stage(Rows *r, int number) {
  Emit *e = r->e;
  const Kernel *k = e->kernel;
  Acc *acc = arena_array(e->arena, Acc, k->nanchor);
  Kept *kept = arena_array(e->arena, Kept, k->nanchor);
  int nacc = 0, nkept = 0, nstore = 0;
  e->stage = number;
  bool chunks = k->parallel && r->nkept == 0 && r->ngroup > 0;
  for (int i = 0; i < k->nanchor; i++) {
    const Anchor *a = &k->anchor[i];
    if (a->stage != number) continue;
    if (a->cls == ANCHOR_REDUCE) acc[nacc++].a = a;
    if (a->keep && r->ngroup > r->nkept) kept[nkept++] = kept_declare(r, a);
    if (a->cls != ANCHOR_ROW) continue;
    Pos ix = emit_canonical(e, ANCHOR_ROW, a->node);
    emit_node(e, a->node, &ix, 0);
  }
  for (int i = 0; i < k->nstore; i++) nstore += r->store_stage[i] == number;
  if (!nacc && !nkept && !nstore) return;
  for (int i = 0; i < nacc; i++) chunks = chunks && acc[i].a->node->op != OP_argmax;
  for (int i = 0; i < nacc; i++) acc[i] = acc_declare(r, acc[i].a);
  if (chunks)
    stage_chunks(r, number, acc, nacc, kept, nkept);
  else if (in_quarters(r, number, acc, nacc, nkept))
    stage_quarters(r, acc, nacc);
  else
    stage_loops(r, number, acc, nacc, kept, nkept, NULL, NULL);
  for (int i = 0; i < nacc; i++) {
    acc_end(r, &acc[i]);
    Bound *b = &e->bound[acc[i].a->node->id];
    b->name = acc[i].name;
    b->depth = e->depth;
  }
  for (int i = 0; i < nkept; i++) e->bound[kept[i].a->node->id] = kept[i].bound;
}

static void place_stores(Rows *r) {
  const Kernel *k = r->e->kernel;
  r->store_stage = arena_array(r->e->arena, int, k->nstore);
  r->lent = arena_array(r->e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = r->e->bound[k->store[i].node->id].anchor;
    r->store_stage[i] = !a ? 0 : a->cls == ANCHOR_ELEM ? a->stage : -1;
  }
}

static void unbind(Rows *r) {
  for (int i = 0; i < r->e->kernel->nanchor; i++) {
    const Anchor *a = &r->e->kernel->anchor[i];
    r->e->bound[a->node->id] = (Bound){.anchor = a};
  }
}

void cg_loop_rows(Emit *e, const bool *merge) {
  const Kernel *k = e->kernel;
  Rows r = {.e = e};
  int var[MAX_RANK];
  bool *rows = arena_array(e->arena, bool, k->nstore);
  r.ngroup = cg_groups(k, merge, r.group);
  while (r.nkept < r.ngroup && !r.group[r.nkept].reduced) r.nkept++;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].stage > r.nstage) r.nstage = k->anchor[i].stage;
  place_stores(&r);
  for (int g = 0; g < r.nkept; g++) var[g] = cg_open_group(e, &r.group[g]);
  for (int s = 0; s <= r.nstage; s++) stage(&r, s);
  for (int i = 0; i < k->nstore; i++) rows[i] = r.store_stage[i] < 0;
  cg_stores(e, k->store, rows, ANCHOR_ROW);
  for (int g = r.nkept - 1; g >= 0; g--) {
    bool inner = g == r.nkept - 1 && r.ngroup == r.nkept, threads = g == 0 && k->parallel;
    const char *pragma = inner && threads ? "#pragma omp parallel for simd schedule(simd:static)\n"
                         : threads        ? "#pragma omp parallel for schedule(static)\n"
                         : inner          ? "#pragma omp simd\n"
                                          : "";
    emit_close(e, cg_for(e, pragma, var[g]));
  }
  unbind(&r);
}
