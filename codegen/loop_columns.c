/* LOOP kernels in column order: the last kept axes are lanes, for each of which an array element
   accumulates while the reduced axes run outside, so that rows are read in the order in which they
   lie in memory. Lanes go in blocks that stay in the first-level cache. In parallel, a first axis
   that is kept is shared out; else chunks of the first reduced axis accumulate into scratch memory
   and are combined in order. */
#include <string.h>

#include "codegen/kernel_c.h"
#include "ir/op.h"

enum { LANES = 512, UNROLL = 4 };

typedef struct Column { /* one accumulating array; argmax has one more for the best values */
  const Anchor *a;
  const char *name, *best;
} Column;

typedef struct Columns {
  Emit *e;
  Group group[MAX_RANK];
  int ngroup, nkept; /* the last kept group is the lanes */
  Column *col;
  int ncol;
  bool blocks;
  const char *lo, *hi; /* of the block of lanes */
} Columns;

static const Group *lanes_of(const Columns *c) { return &c->group[c->nkept - 1]; }

static const char *lanes_head(Columns *c, int var, const char *pragma) {
  Emit *e = c->e;
  const char *i = e->var[var].name;
  if (!c->blocks) return cg_for(e, pragma, var);
  return arena_printf(e->arena, "%sfor (%s %s = %s; %s < %s; %s++)", pragma, e->itype, i, c->lo, i,
                      c->hi, i);
}

/* "a3[i5 - lo4]" */
static const char *lane(Columns *c, const char *array, int var) {
  const char *i = c->e->var[var].name;
  return c->blocks ? arena_printf(c->e->arena, "%s[%s - %s]", array, i, c->lo)
                   : arena_printf(c->e->arena, "%s[%s]", array, i);
}

static void declare(Columns *c) {
  Emit *e = c->e;
  int64_t n = lanes_of(c)->extent;
  if (n > LANES) n = LANES;
  for (int i = 0; i < c->ncol; i++) {
    Column *x = &c->col[i];
    const Node *m = x->a->node;
    const char *type = e->target->type[m->in[0]->type.dtype];
    x->name = emit_name(e, "a");
    x->best = m->op == OP_argmax ? emit_name(e, "a") : NULL;
    text_addf(emit_body(e), "%s %s[%lld];\n", x->best ? "int32_t" : type, x->name,
              (long long)(n ? n : 1));
    if (x->best) text_addf(emit_body(e), "%s %s[%lld];\n", type, x->best, (long long)(n ? n : 1));
  }
  emit_open(e);
  int v = emit_var(e, lanes_of(c)->extent, "i");
  for (int i = 0; i < c->ncol; i++) {
    Column *x = &c->col[i];
    if (x->best) text_addf(emit_body(e), "%s = 0;\n", lane(c, x->name, v));
    text_addf(emit_body(e), "%s = %s;\n", lane(c, x->best ? x->best : x->name, v),
              cg_reduce_start(e, x->a->node));
  }
  emit_close(e, lanes_head(c, v, "#pragma omp simd\n"));
}

/* Takes one row (at the present reduced index) into the accumulator. */
static void take(Columns *c, const Column *x, int var) {
  Emit *e = c->e;
  const Node *n = x->a->node;
  Pos ix = emit_canonical(e, ANCHOR_ELEM, n->in[0]);
  Val v = emit_node(e, n->in[0], &ix, 0);
  const char *acc = lane(c, x->name, var);
  if (!x->best) {
    cg_accumulate(e, n, acc, v.text);
    return;
  }
  int depth = 0;
  const char *at = emit_aff(e, ix.e[n->attr.i[0]], &depth), *t = emit_name(e, "t");
  const char *best = lane(c, x->best, var);
  text_addf(emit_body(e), "const bool %s = (%s == 0) | (%s > %s);\n%s = %s ? %s : %s;\n", t, at,
            v.text, best, best, t, v.text, best);
  text_addf(emit_body(e), "%s = %s ? %s : %s;\n", acc, t, at, acc);
}

/* Sums of several rows go in with one addition to memory. */
static void take_rows(Columns *c, const Column *x, int var, int axis, int rows) {
  Emit *e = c->e;
  const Node *n = x->a->node;
  Text sum = {.arena = e->arena};
  Aff first = e->axis[axis];
  for (int u = 0; u < rows; u++) {
    e->axis[axis] = aff_shift(first, u);
    Pos ix = emit_canonical(e, ANCHOR_ELEM, n->in[0]);
    text_addf(&sum, "%s%s%s%s", u ? " + " : "(", u == 2 ? "(" : "",
              n->type.dtype == DT_I32 ? "(uint32_t)" : "", emit_node(e, n->in[0], &ix, 0).text);
  }
  text_add(&sum, rows > 2 ? "))" : ")");
  e->axis[axis] = first;
  emit_add(e, n->type.dtype, lane(c, x->name, var), sum.s);
}

static void lanes_loop(Columns *c, int axis, int rows) {
  Emit *e = c->e;
  const Kernel *k = e->kernel;
  int var = cg_open_group(e, lanes_of(c));
  for (int i = 0; i < c->ncol; i++) {
    if (rows > 1)
      take_rows(c, &c->col[i], var, axis, rows);
    else
      take(c, &c->col[i], var);
  }
  bool *now = arena_array(e->arena, bool, k->nstore);
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = e->bound[k->store[i].node->id].anchor;
    now[i] = !a || a->cls == ANCHOR_ELEM;
  }
  cg_stores(e, k->store, now, ANCHOR_ELEM);
  emit_close(e, lanes_head(c, var, "#pragma omp simd\n"));
}

/* Several rows at once where everything is a plain sum. */
static bool unrolls(const Columns *c) {
  const Kernel *k = c->e->kernel;
  const Group *g = &c->group[c->ngroup - 1];
  if (c->ngroup == c->nkept || g->naxis != 1 || g->extent < 2 * UNROLL || c->ncol > 4) return false;
  for (int i = 0; i < c->ncol; i++)
    if (c->col[i].a->node->op != OP_sum) return false;
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = c->e->bound[k->store[i].node->id].anchor;
    if (!a || a->cls == ANCHOR_ELEM) return false;
  }
  return true;
}

/* Both loops of an unrolled axis, [start, start + whole rows) and the rest, behind the opened outer
 * ones. */
static void unrolled_loops(Columns *c, const char *start, const char *end, bool fixed) {
  Emit *e = c->e;
  const Group *g = &c->group[c->ngroup - 1];
  const char *middle = emit_name(e, "m");
  int64_t rest = fixed ? g->extent % UNROLL : 1;
  text_addf(emit_body(e), "const %s %s = %s + (%s - %s) / %d * %d;\n", e->itype, middle, start, end,
            start, UNROLL, UNROLL);
  for (int tail = 0; tail < 2; tail++) {
    if (tail && !rest) break;
    int v = cg_open_group(e, g);
    const char *name = e->var[v].name;
    lanes_loop(c, g->axis[0], tail ? 1 : UNROLL);
    emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s += %d)", e->itype, name,
                               tail ? middle : start, name, tail ? end : middle, name,
                               tail ? 1 : UNROLL));
  }
}

/* The reduced loops, the outermost one from lo to hi (texts; NULL: all of it). */
static void reduced_loops(Columns *c, const char *lo, const char *hi) {
  Emit *e = c->e;
  int var[MAX_RANK], last = c->ngroup - 1;
  bool unroll = unrolls(c), ranged = lo && last == c->nkept;
  for (int g = c->nkept; g < c->ngroup - unroll; g++) var[g] = cg_open_group(e, &c->group[g]);
  if (unroll)
    unrolled_loops(c, ranged ? lo : "0",
                   ranged ? hi : arena_printf(e->arena, "%lld", (long long)c->group[last].extent),
                   !ranged);
  else
    lanes_loop(c, 0, 1);
  for (int g = c->ngroup - 1 - unroll; g >= c->nkept; g--) {
    const char *name = e->var[var[g]].name;
    emit_close(e, g == c->nkept && lo ? arena_printf(e->arena, "for (%s %s = %s; %s < %s; %s++)",
                                                     e->itype, name, lo, name, hi, name)
                                      : cg_for(e, "", var[g]));
  }
}

/* Opens the loops over the kept axes, blocks of lanes last. */
static void open_kept(Columns *c, int *var) {
  Emit *e = c->e;
  for (int g = 0; g + 1 < c->nkept; g++) var[g] = cg_open_group(e, &c->group[g]);
  if (!c->blocks) return;
  int64_t n = lanes_of(c)->extent;
  emit_open(e);
  var[c->nkept - 1] = emit_var(e, (n + LANES - 1) / LANES, "i");
  c->lo = emit_name(e, "lo");
  c->hi = emit_name(e, "hi");
  text_addf(emit_body(e),
            "const %s %s = %s * %d;\nconst %s %s = %s + %d < %lld ? %s + %d : %lld;\n", e->itype,
            c->lo, e->var[var[c->nkept - 1]].name, LANES, e->itype, c->hi, c->lo, LANES,
            (long long)n, c->lo, LANES, (long long)n);
}

static void close_kept(Columns *c, const int *var, bool threads) {
  const char *pragma = "#pragma omp parallel for schedule(static)\n";
  for (int g = c->nkept - 1 - !c->blocks; g >= 0; g--)
    emit_close(c->e, cg_for(c->e, threads && g == 0 ? pragma : "", var[g]));
}

/* ROW anchors and stores, with the accumulators' texts for the lane at hand. */
static void finish_lanes(Columns *c, int var) {
  Emit *e = c->e;
  const Kernel *k = e->kernel;
  bool *rows = arena_array(e->arena, bool, k->nstore);
  e->stage = 1;
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = e->bound[k->store[i].node->id].anchor;
    rows[i] = a && a->cls != ANCHOR_ELEM;
  }
  cg_stores(e, k->store, rows, ANCHOR_ROW);
  emit_close(e, lanes_head(c, var, "#pragma omp simd\n"));
  for (int i = 0; i < c->ncol; i++) e->bound[c->col[i].a->node->id].name = NULL;
  e->stage = 0;
}

static void bind(Columns *c, const Column *x, const char *text) {
  Bound *b = &c->e->bound[x->a->node->id];
  b->name = text;
  b->depth = c->e->depth;
}

/* Without chunks: all reduced indices for one kept index after the other, in parallel where the
   first axis is kept. */
static void whole(Columns *c) {
  Emit *e = c->e;
  int var[MAX_RANK];
  open_kept(c, var);
  declare(c);
  reduced_loops(c, NULL, NULL);
  int v = cg_open_group(e, lanes_of(c));
  for (int i = 0; i < c->ncol; i++) bind(c, &c->col[i], lane(c, c->col[i].name, v));
  finish_lanes(c, v);
  close_kept(c, var, e->kernel->parallel && kernel_keeps_first(e->kernel));
}

/* "((float *)p4)[...]" for column i of chunk `chunk` at the present kept index. */
static const char *partial(Columns *c, int i, int64_t kept, Aff chunk) {
  Emit *e = c->e;
  int p = emit_param(e, e->kernel->scratch, NULL, true), depth = 0;
  Aff at = aff_add(aff_const(i * kept), chunk, c->ncol * kept);
  for (int a = e->kernel->rank - 1, stride = 1; a >= 0; a--) {
    if (e->kernel->reduced[a]) continue;
    at = aff_add(at, e->axis[a], stride);
    stride *= (int)e->kernel->dim[a];
  }
  return arena_printf(e->arena, "((%s *)p%d)[%s]", e->target->type[c->col[i].a->node->type.dtype],
                      p, emit_aff(e, at, &depth));
}

static void parallel(Columns *c) {
  Emit *e = c->e;
  const Kernel *k = e->kernel;
  const Group *first = &c->group[c->nkept];
  int64_t kept = kernel_rows(k), per = k->chunk * (first->extent / k->dim[first->axis[0]]);
  int64_t chunks = (first->extent + per - 1) / per;
  int var[MAX_RANK];
  emit_open(e);
  int chunk = emit_var(e, chunks, "c");
  const char *lo = emit_name(e, "lo"), *hi = emit_name(e, "hi");
  text_addf(emit_body(e),
            "const %s %s = %s * %lld;\nconst %s %s = %s + %lld < %lld ? %s + %lld : %lld;\n",
            e->itype, lo, e->var[chunk].name, (long long)per, e->itype, hi, lo, (long long)per,
            (long long)first->extent, lo, (long long)per, (long long)first->extent);
  open_kept(c, var);
  declare(c);
  reduced_loops(c, lo, hi);
  int v = cg_open_group(e, lanes_of(c));
  for (int i = 0; i < c->ncol; i++)
    text_addf(emit_body(e), "%s = %s;\n", partial(c, i, kept, aff_var(chunk)),
              lane(c, c->col[i].name, v));
  emit_close(e, lanes_head(c, v, "#pragma omp simd\n"));
  close_kept(c, var, false);
  emit_close(e, cg_for(e, "#pragma omp parallel for schedule(static)\n", chunk));
  open_kept(c, var);
  v = cg_open_group(e, lanes_of(c));
  for (int i = 0; i < c->ncol; i++) {
    const Node *n = c->col[i].a->node;
    const char *acc = emit_name(e, "a");
    text_addf(emit_body(e), "%s %s = %s;\n", e->target->type[n->type.dtype], acc,
              cg_reduce_start(e, n));
    emit_open(e);
    int j = emit_var(e, chunks, "c");
    cg_accumulate(e, n, acc, partial(c, i, kept, aff_var(j)));
    emit_close(e, cg_for(e, "", j));
    bind(c, &c->col[i], acc);
  }
  finish_lanes(c, v);
  close_kept(c, var, false);
}

void cg_loop_columns(Emit *e, const bool *merge) {
  const Kernel *k = e->kernel;
  Columns c = {.e = e, .col = arena_array(e->arena, Column, k->nanchor)};
  c.ngroup = cg_groups(k, merge, c.group);
  while (c.nkept < c.ngroup && !c.group[c.nkept].reduced) c.nkept++;
  if (!c.nkept) {
    cg_loop_rows(e, merge);
    return;
  }
  c.blocks = lanes_of(&c)->extent > LANES;
  bool chunks = k->parallel && k->scratch && k->chunk > 0 && c.ngroup > c.nkept;
  for (int i = 0; i < k->nanchor; i++) {
    if (k->anchor[i].cls != ANCHOR_REDUCE) continue;
    chunks = chunks && k->anchor[i].node->op != OP_argmax;
    c.col[c.ncol++].a = &k->anchor[i];
  }
  if (chunks)
    parallel(&c);
  else
    whole(&c);
}
