/* CUDA kernels in column order: neighbouring threads are lanes, which read neighbouring kept
   indices; the threads of a lane share out the reduced indices, and so do blocks where one would
   have too much. Partial results are joined in order, through shared memory and then through
   scratch memory, by the block that is done last. */
#include "codegen/kernel_cuda.h"
#include "ir/op.h"

typedef struct Columns {
  Emit *e;
  const Launch *l;
  Group group[MAX_RANK];
  int ngroup, nkept;
  CudaAcc *acc;
  int nacc;
  int *store_stage;
  int64_t kept;
  const char *on, *group_name, *lane; /* the index is there; number of lanes' block; index text */
  const char *half;
} Columns;

static int doubles(const Columns *c) {
  int n = 0;
  for (int i = 0; i < c->nacc; i++) n += c->acc[i].best ? 2 : 1;
  return n * LAUNCH_BLOCK;
}

/* "((float *)(mem + h0 + 256))": shared array of accumulator i, one a thread; best: argmax's. */
static const char *shared(const Columns *c, int i, bool best) {
  int at = best ? LAUNCH_BLOCK : 0;
  for (int j = 0; j < i; j++) at += (c->acc[j].best ? 2 : 1) * LAUNCH_BLOCK;
  DType d = c->acc[i].a->node->in[0]->type.dtype;
  if (c->acc[i].best && !best) d = DT_I32;
  return arena_printf(c->e->arena, "((%s *)(mem + %s + %d))", c->e->target->type[d], c->half, at);
}

/* The block's share of the reduced range, each thread's in its accumulators. */
static void accumulate(Columns *c, const char *part) {
  Emit *e = c->e;
  int teams = LAUNCH_BLOCK / c->l->lanes;
  for (int i = 0; i < c->nacc; i++) c->acc[i] = cuda_acc(e, c->acc[i].a);
  ThreadLoop loop = {.group = c->group + c->nkept,
                     .ngroup = c->ngroup - c->nkept,
                     .first = arena_printf(e->arena, "t / %d", c->l->lanes),
                     .step = arena_printf(e->arena, "%d", teams),
                     .on = c->on,
                     .vector = 1};
  if (part) {
    const char *lo = emit_name(e, "lo"), *hi = emit_name(e, "hi");
    int64_t n = kernel_row_size(e->kernel);
    text_addf(emit_body(e),
              "const %s %s = %s * %lld;\nconst %s %s = %s + %lld < %lld ? %s + %lld : %lld;\n",
              e->itype, lo, part, (long long)c->l->part, e->itype, hi, lo, (long long)c->l->part,
              (long long)n, lo, (long long)c->l->part, (long long)n);
    loop.first = arena_printf(e->arena, "%s + t / %d", lo, c->l->lanes);
    loop.end = hi;
  }
  bool *now = arena_array(e->arena, bool, e->kernel->nstore);
  for (int i = 0; i < e->kernel->nstore; i++) now[i] = c->store_stage[i] >= 0;
  if (loop.ngroup)
    cuda_open(e, &loop);
  else
    emit_open(e);
  for (int i = 0; i < c->nacc; i++) cuda_take(e, &c->acc[i]);
  cg_stores(e, e->kernel->store, now, ANCHOR_ELEM);
  if (loop.ngroup)
    cuda_close(e, &loop);
  else
    emit_close(e, arena_printf(e->arena, "if (t / %d == 0 && %s)", c->l->lanes, c->on));
}

/* The accumulators of the block's teams into those of the first one. */
static void join_teams(Columns *c) {
  Emit *e = c->e;
  int lanes = c->l->lanes;
  for (int i = 0; i < c->nacc; i++) {
    text_addf(emit_body(e), "%s[t] = %s;\n", shared(c, i, false), c->acc[i].name);
    if (c->acc[i].best)
      text_addf(emit_body(e), "%s[t] = %s;\n", shared(c, i, true), c->acc[i].best);
  }
  text_add(emit_body(e), CUDA_BARRIER);
  cuda_barriers(e, 1, 0, 0, doubles(c), (c->kept + lanes - 1) / lanes * c->l->parts);
  emit_open(e);
  const char *j = emit_name(e, "j");
  for (int i = 0; i < c->nacc; i++)
    cuda_merge(e, &c->acc[i], arena_printf(e->arena, "%s[%s]", shared(c, i, false), j),
               c->acc[i].best ? arena_printf(e->arena, "%s[%s]", shared(c, i, true), j) : NULL);
  emit_close(e, arena_printf(e->arena, "for (int32_t %s = t + %d; t < %d && %s < 256; %s += %d)", j,
                             lanes, lanes, j, j, lanes));
}

static void end_stores(Columns *c) {
  Emit *e = c->e;
  e->stage = 1;
  for (int i = 0; i < c->nacc; i++) cuda_bind_acc(e, &c->acc[i]);
  cuda_end_stores(e, c->store_stage,
                  arena_printf(e->arena, "if (t < %d && %s)", c->l->lanes, c->on), CUDA_BARRIER,
                  false);
  for (int i = 0; i < c->nacc; i++) e->bound[c->acc[i].a->node->id].name = NULL;
  e->stage = 0;
}

/* The block's sums to scratch memory; the last block of these lanes adds up all parts. */
static void join_parts(Columns *c, const char *part) {
  Emit *e = c->e;
  int64_t all = c->l->parts * c->kept;
  CudaAcc *acc = c->acc;
  emit_open(e);
  for (int i = 0; i < c->nacc; i++)
    for (int best = 0; best <= (acc[i].best != NULL); best++)
      text_addf(emit_body(e), "%s[%s * %lld + %s] = %s;\n", cuda_partials(e, acc, i, best, all),
                part, (long long)c->kept, c->lane, best ? acc[i].best : acc[i].name);
  emit_close(e, arena_printf(e->arena, "if (t < %d && %s)", c->l->lanes, c->on));
  int before = e->barriers;
  emit_open(e);
  cuda_barriers(e, 2, 1, 2 * doubles(c), 16, 1);
  CudaAcc *sum = arena_array(e->arena, CudaAcc, c->nacc);
  for (int i = 0; i < c->nacc; i++) sum[i] = cuda_acc(e, acc[i].a);
  emit_open(e);
  const char *j = emit_name(e, "j");
  const char *at = arena_printf(e->arena, "%s * %lld + %s", j, (long long)c->kept, c->lane);
  for (int i = 0; i < c->nacc; i++)
    cuda_merge(
        e, &sum[i], arena_printf(e->arena, "%s[%s]", cuda_partials(e, acc, i, false, all), at),
        acc[i].best ? arena_printf(e->arena, "%s[%s]", cuda_partials(e, acc, i, true, all), at)
                    : NULL);
  emit_close(e, arena_printf(e->arena, "for (int32_t %s = 0; t < %d && %s && %s < %lld; %s++)", j,
                             c->l->lanes, c->on, j, (long long)c->l->parts, j));
  c->acc = sum;
  end_stores(c);
  bool together = c->l->lanes > 1 || cuda_replaces(e, c->store_stage, before);
  emit_close(e, arena_printf(e->arena,
                             "if (mlo_last_block((uint32_t *)scratch + %s, %lld, %s, mem + %d))",
                             c->group_name, (long long)c->l->parts, together ? "true" : "false",
                             2 * doubles(c)));
}

/* One block of lanes and, where there are several, one part of the reduced range. */
static void one(Columns *c, const char *w) {
  Emit *e = c->e;
  int lanes = c->l->lanes;
  const char *part = c->l->parts > 1 ? emit_name(e, "part") : NULL;
  c->group_name = w;
  if (part) {
    c->group_name = emit_name(e, "g");
    text_addf(emit_body(e), "const %s %s = %s %% %lld;\nconst %s %s = %s / %lld;\n", e->itype, part,
              w, (long long)c->l->parts, e->itype, c->group_name, w, (long long)c->l->parts);
  }
  int v = emit_var(e, c->kept, "i");
  const char *own = arena_printf(e->arena, "%s * %d + t %% %d", c->group_name, lanes, lanes);
  c->on = emit_name(e, "on");
  c->lane = e->var[v].name;
  text_addf(emit_body(e), "const bool %s = %s < %lld;\nconst %s %s = %s ? %s : %lld;\n", c->on, own,
            (long long)c->kept, e->itype, c->lane, c->on, own, (long long)(c->kept - 1));
  cuda_bind(e, c->group, c->nkept, v);
  accumulate(c, part);
  join_teams(c);
  if (part)
    join_parts(c, part);
  else
    end_stores(c);
}

void cuda_columns(Emit *e, const Launch *l, const bool *merge) {
  const Kernel *k = e->kernel;
  Columns c = {.e = e, .l = l, .acc = arena_array(e->arena, CudaAcc, k->nanchor)};
  c.ngroup = cuda_groups(k, merge, true, c.group);
  while (c.nkept < c.ngroup && !c.group[c.nkept].reduced) c.nkept++;
  c.kept = kernel_rows(k);
  c.store_stage = cuda_store_stages(e);
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].cls == ANCHOR_REDUCE)
      c.acc[c.nacc++] =
          (CudaAcc){.a = &k->anchor[i], .best = k->anchor[i].node->op == OP_argmax ? "" : NULL};
  if (c.kept == 0) return;
  int64_t groups = (c.kept + l->lanes - 1) / l->lanes;
  e->shared = 2 * doubles(&c) + 16;
  c.half = emit_name(e, "h");
  text_addf(emit_body(e), "int32_t %s = 0;\n", c.half);
  emit_open(e);
  const char *w = emit_name(e, "w");
  one(&c, w);
  text_addf(emit_body(e), "%s = %d - %s;\n", c.half, doubles(&c), c.half);
  emit_close(e, arena_printf(e->arena, "for (%s %s = block; %s < %lld; %s += blocks)", e->itype, w,
                             w, (long long)(groups * l->parts), w));
  for (int i = 0; i < k->nanchor; i++)
    e->bound[k->anchor[i].node->id] = (Bound){.anchor = &k->anchor[i]};
}
