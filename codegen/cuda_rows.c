/* CUDA kernels of maps, rows and totals. A map gives every thread its elements. Rows and totals go
   through the stages of ir/kernel.h: in each a team of threads takes a row's elements in turns, and
   joins its accumulators; elements that a later stage needs again stay in registers of the thread
   that computed them. A total's row is everything: each block leaves partial results, and the block
   that is done last combines them in order. */
#include <string.h>

#include "codegen/kernel_cuda.h"
#include "ir/op.h"

typedef struct Rows {
  Emit *e;
  const Launch *l;
  Group group[MAX_RANK];
  int ngroup, nkept, nstage;
  int *store_stage;
  const char *lane, *on; /* thread of the team; NULL: every team has a row */
  const char *half;      /* which half of shared memory a row's single reduction uses; NULL: all */
  int nteam;             /* reductions of the block printed so far */
  const char **kept;     /* by anchor: its registers */
} Rows;

static void stores_of(Rows *r, int stage) {
  Emit *e = r->e;
  bool *now = arena_array(e->arena, bool, e->kernel->nstore);
  for (int i = 0; i < e->kernel->nstore; i++) now[i] = r->store_stage[i] == stage;
  cg_stores(e, e->kernel->store, now, ANCHOR_ELEM);
}

/* Shared memory of what a block does next, with a barrier. */
static const char *team_mem(Rows *r) {
  Emit *e = r->e;
  if (r->l->team <= 32) return "mem";
  int at = 16 * r->nteam++, end = (at + 16) * (r->half ? 2 : 1);
  cuda_barriers(e, 1, 0, at, 16, r->half ? kernel_rows(e->kernel) : 1);
  if (end > e->shared) e->shared = end;
  return r->half ? arena_printf(e->arena, "mem + %s", r->half)
                 : arena_printf(e->arena, "mem + %d", at);
}

static Aff slot(const Emit *e) { return e->slot; }

/* Registers for each ELEM anchor of the stage that a later one needs again. */
static int declare_kept(Rows *r, int stage, int64_t elements) {
  Emit *e = r->e;
  int n = 0;
  for (int i = 0; i < e->kernel->nanchor; i++) {
    const Anchor *a = &e->kernel->anchor[i];
    if (a->stage != stage || !a->keep) continue;
    Bound *b = &e->bound[a->node->id];
    *b = (Bound){.anchor = a, .name = NULL, .at = slot, .depth = e->depth};
    r->kept[i] = emit_name(e, "b");
    text_addf(emit_body(e), "%s %s[%lld];\n", e->target->type[a->node->type.dtype], r->kept[i],
              (long long)elements);
    n++;
  }
  return n;
}

static void write_kept(Rows *r, int stage) {
  Emit *e = r->e;
  for (int i = 0; i < e->kernel->nanchor; i++) {
    const Anchor *a = &e->kernel->anchor[i];
    if (a->stage != stage || !a->keep) continue;
    Pos ix = emit_canonical(e, ANCHOR_ELEM, a->node);
    Val v = emit_node(e, a->node, &ix, 0);
    int depth = 0;
    const char *at = emit_aff(e, e->slot, &depth);
    text_addf(emit_body(e), "%s[%s] = %s;\n", r->kept[i], at, v.text);
  }
}

static void bind_kept(Rows *r, int stage) {
  Emit *e = r->e;
  for (int i = 0; i < e->kernel->nanchor; i++) {
    const Anchor *a = &e->kernel->anchor[i];
    if (a->stage == stage && a->keep) e->bound[a->node->id].name = r->kept[i];
  }
}

static bool keeps(const Kernel *k) {
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].keep) return true;
  return false;
}

/* The team's loop over a row: which elements a thread takes is the same in every stage. */
static ThreadLoop row_loop(const Rows *r) {
  Emit *e = r->e;
  bool grid = r->l->shape == LAUNCH_TOTAL && r->l->ticket;
  ThreadLoop t = {.group = r->group + r->nkept,
                  .ngroup = r->ngroup - r->nkept,
                  .first = grid ? "block * 256 + t" : r->lane,
                  .step = grid ? "blocks * 256" : arena_printf(e->arena, "%d", r->l->team),
                  .on = r->on,
                  .vector = r->l->vector};
  int64_t turn = (int64_t)r->l->team * t.vector;
  if (keeps(e->kernel)) t.turns = (kernel_row_size(e->kernel) + turn - 1) / turn;
  return t;
}

/* One stage; returns how many reductions it has, whose accumulators are in acc. */
static int stage(Rows *r, int number, CudaAcc *acc) {
  Emit *e = r->e;
  const Kernel *k = e->kernel;
  int nacc = 0, nstore = 0, last = r->ngroup;
  e->stage = number;
  ThreadLoop loop = row_loop(r);
  for (int i = 0; i < k->nanchor; i++) {
    const Anchor *a = &k->anchor[i];
    if (a->stage != number || a->cls != ANCHOR_ROW) continue;
    Pos ix = emit_canonical(e, ANCHOR_ROW, a->node);
    emit_node(e, a->node, &ix, 0);
  }
  int nkept = declare_kept(r, number, loop.turns * loop.vector);
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].stage == number && k->anchor[i].cls == ANCHOR_REDUCE)
      acc[nacc++] = cuda_acc(e, &k->anchor[i]);
  for (int i = 0; i < k->nstore; i++) nstore += r->store_stage[i] == number;
  if (!nacc && !nkept && !nstore) return 0;
  do {
    if (last > r->nkept) cuda_open(e, &loop);
    if (r->l->shape == LAUNCH_TOTAL && loop.vector == 1 && last > r->nkept) cuda_own(e);
    write_kept(r, number);
    for (int i = 0; i < nacc; i++) cuda_take(e, &acc[i]);
    stores_of(r, number);
    e->owns = false;
    if (last > r->nkept) cuda_close(e, &loop);
  } while (last > r->nkept && cuda_tail(e, &loop));
  bind_kept(r, number);
  for (int i = 0; i < nacc; i++) cuda_team(e, &acc[i], r->l->team, team_mem(r));
  return nacc;
}

static void stages(Rows *r) {
  Emit *e = r->e;
  CudaAcc *acc = arena_array(e->arena, CudaAcc, e->kernel->nanchor);
  for (int s = 0; s <= r->nstage; s++) {
    int n = stage(r, s, acc);
    for (int i = 0; i < n; i++) cuda_bind_acc(e, &acc[i]);
  }
}

/* What is stored once a row, by the team's first thread. */
static void finish(Rows *r) {
  Emit *e = r->e;
  const char *first = r->l->team > 1 ? arena_printf(e->arena, "%s == 0", r->lane) : NULL;
  const char *who = first && r->on ? arena_printf(e->arena, "if (%s && %s)", r->on, first)
                    : first        ? arena_printf(e->arena, "if (%s)", first)
                    : r->on        ? arena_printf(e->arena, "if (%s)", r->on)
                                   : "";
  cuda_end_stores(e, r->store_stage, who,
                  r->l->team > 32  ? CUDA_BARRIER
                  : r->l->team > 1 ? "__syncwarp();\n"
                                   : "",
                  r->l->shape == LAUNCH_TOTAL);
}

static void unbind(Emit *e) {
  for (int i = 0; i < e->kernel->nanchor; i++) {
    const Anchor *a = &e->kernel->anchor[i];
    e->bound[a->node->id] = (Bound){.anchor = a};
  }
}

/* Every block: its part of the row. The last: the partial results, in order. */
static void spread_total(Rows *r) {
  Emit *e = r->e;
  int64_t each = r->l->grid;
  CudaAcc *acc = arena_array(e->arena, CudaAcc, e->kernel->nanchor), all;
  int n = stage(r, 0, acc);
  emit_open(e);
  for (int i = 0; i < n; i++) {
    text_addf(emit_body(e), "%s[block] = %s;\n", cuda_partials(e, acc, i, false, each),
              acc[i].name);
    if (acc[i].best)
      text_addf(emit_body(e), "%s[block] = %s;\n", cuda_partials(e, acc, i, true, each),
                acc[i].best);
  }
  emit_close(e, "if (t == 0)");
  int before = e->barriers;
  emit_open(e);
  const char *last = team_mem(r);
  for (int i = 0; i < n; i++) {
    all = cuda_acc(e, acc[i].a);
    emit_open(e);
    const char *j = emit_name(e, "j");
    const char *value = arena_printf(e->arena, "%s[%s]", cuda_partials(e, acc, i, false, each), j);
    const char *best =
        acc[i].best ? arena_printf(e->arena, "%s[%s]", cuda_partials(e, acc, i, true, each), j)
                    : NULL;
    cuda_merge(e, &all, value, best);
    emit_close(e, arena_printf(e->arena, "for (int32_t %s = t; %s < blocks; %s += 256)", j, j, j));
    cuda_team(e, &all, LAUNCH_BLOCK, team_mem(r));
    cuda_bind_acc(e, &all);
  }
  e->stage = r->nstage + 1;
  cuda_end_stores(e, r->store_stage, "if (t == 0)", CUDA_BARRIER, true);
  emit_close(e, arena_printf(e->arena, "if (mlo_last_block((uint32_t *)scratch, blocks, %s, %s))",
                             cuda_replaces(e, r->store_stage, before) ? "true" : "false", last));
}

/* Opens the loop over the kept indices, a team each; *loop is its head. A warp has whole teams and
   leaves the loop by itself: no barrier of the block is in it, and those of its teams that have no
   row read the last one, which is the warp's own. */
static void open_rows(Rows *r, const char **loop) {
  Emit *e = r->e;
  Arena *a = e->arena;
  int team = r->l->team, per = team > 32 ? 1 : LAUNCH_BLOCK / team, warp = per > 1 ? 32 / team : 1;
  int64_t rows = kernel_rows(e->kernel);
  emit_open(e);
  int v = emit_var(e, rows, "i");
  const char *i = e->var[v].name, *base = i;
  if (warp > 1 && team > 1) {
    base = emit_name(e, "w");
    const char *own = arena_printf(a, "%s + t %% 32 / %d", base, team);
    if (rows % warp) {
      r->on = emit_name(e, "on");
      text_addf(emit_body(e), "const bool %s = %s < %lld;\nconst %s %s = %s ? %s : %lld;\n", r->on,
                own, (long long)rows, e->itype, i, r->on, own, (long long)(rows - 1));
    } else {
      text_addf(emit_body(e), "const %s %s = %s;\n", e->itype, i, own);
    }
  }
  const char *thread = team == 1   ? " * 256 + t"
                       : team > 32 ? ""
                                   : arena_printf(a, " * %d + t / 32 * %d", per, warp);
  const char *step = per > 1 ? arena_printf(a, " * %d", per) : "";
  *loop = arena_printf(a, "for (%s %s = block%s; %s < %lld; %s += blocks%s)", e->itype, base,
                       thread, base, (long long)rows, base, step);
  cuda_bind(e, r->group, r->nkept, v);
}

static int block_reductions(const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->nanchor; i++) n += k->anchor[i].cls == ANCHOR_REDUCE;
  return n;
}

static void each_row(Rows *r) {
  Emit *e = r->e;
  const char *loop, *half = NULL;
  if (kernel_rows(e->kernel) == 1 && r->l->team == 1) /* nobody else reads what this replaces */
    text_add(emit_body(e), "if (block != 0 || t != 0) return;\n");
  r->lane = r->l->team == LAUNCH_BLOCK ? "t" : arena_printf(e->arena, "t %% %d", r->l->team);
  if (r->l->team == LAUNCH_BLOCK && block_reductions(e->kernel) == 1) {
    half = r->half = emit_name(e, "h");
    text_addf(emit_body(e), "int32_t %s = 0;\n", half);
  }
  open_rows(r, &loop);
  stages(r);
  finish(r);
  if (half) text_addf(emit_body(e), "%s = 16 - %s;\n", half, half);
  emit_close(e, loop);
}

void cuda_rows(Emit *e, const Launch *l, const bool *merge) {
  const Kernel *k = e->kernel;
  Rows r = {.e = e, .l = l, .lane = "t"};
  r.ngroup = cuda_groups(k, merge, true, r.group);
  while (r.nkept < r.ngroup && !r.group[r.nkept].reduced) r.nkept++;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].stage > r.nstage) r.nstage = k->anchor[i].stage;
  r.store_stage = cuda_store_stages(e);
  r.kept = arena_array(e->arena, const char *, k->nanchor);
  if (l->shape == LAUNCH_ROWS) {
    if (kernel_rows(k)) each_row(&r);
  } else if (l->ticket) {
    spread_total(&r);
  } else {
    stages(&r);
    finish(&r);
  }
  unbind(e);
}

/* What is stored once waits until all blocks have read what it replaces. */
static void map_once(Emit *e, const Launch *l, const int *store_stage) {
  emit_open(e);
  if (l->grid > 1) cuda_barriers(e, 2, 1, 0, 16, 1);
  cuda_end_stores(e, store_stage, "if (t == 0)", CUDA_BARRIER, true);
  if (l->grid == 1) {
    emit_close(e, "");
  } else if (!cuda_replaces(e, store_stage, 0)) {
    emit_close(e, "if (block == 0)");
  } else {
    e->shared = 16;
    e->scratch = true;
    emit_close(e, "if (mlo_last_block((uint32_t *)scratch, blocks, true, mem))");
  }
}

void cuda_map(Emit *e, const Launch *l, const bool *merge) {
  const Kernel *k = e->kernel;
  Group group[MAX_RANK];
  int n = cuda_groups(k, merge, false, group);
  int *store_stage = cuda_store_stages(e);
  bool *now = arena_array(e->arena, bool, k->nstore), once = false;
  for (int i = 0; i < k->nstore; i++) {
    now[i] = store_stage[i] >= 0;
    once = once || !now[i];
  }
  ThreadLoop loop = {.group = group,
                     .ngroup = n,
                     .first = l->grid > 1 ? "block * 256 + t" : "t",
                     .step = l->grid > 1 ? "blocks * 256" : "256",
                     .vector = l->vector};
  if (kernel_rows(k) * kernel_row_size(k) == 0) return;
  if (!n) {
    text_add(emit_body(e), "if (block != 0 || t != 0) return;\n");
    e->alone = true;
    cuda_own(e);
    cg_stores(e, k->store, now, ANCHOR_ELEM);
    return;
  }
  do {
    cuda_open(e, &loop);
    if (loop.vector == 1) cuda_own(e);
    cg_stores(e, k->store, now, ANCHOR_ELEM);
    e->owns = false;
    cuda_close(e, &loop);
  } while (cuda_tail(e, &loop));
  if (once) map_once(e, l, store_stage);
}
