/* Pieces that the printers of CUDA kernels share: loops whose elements the threads of a block or a
   grid take in turns, accumulators and what teams do with them, stores at the end. */
#include <string.h>

#include "codegen/kernel_cuda.h"
#include "ir/op.h"

/* ---- loops */

int cuda_groups(const Kernel *k, const bool *merge, bool apart, Group *group) {
  if (apart) return cg_groups(k, merge, group);
  Kernel all = *k;
  memset(all.reduced, 0, sizeof all.reduced);
  return cg_groups(&all, merge, group);
}

int64_t cuda_extent(const Group *group, int n) {
  int64_t all = 1;
  for (int i = 0; i < n; i++) all *= group[i].extent;
  return all;
}

void cuda_bind(Emit *e, const Group *group, int n, int v) {
  int64_t stride = cuda_extent(group, n), all = stride;
  if (n == 1) {
    cg_bind_group(e, group, v);
    return;
  }
  for (int i = 0; i < n; i++) {
    stride /= group[i].extent ? group[i].extent : 1;
    int w = emit_var(e, group[i].extent, group[i].reduced ? "r" : "i");
    text_addf(emit_body(e), "const %s %s = %s", e->itype, e->var[w].name, e->var[v].name);
    if (stride > 1) text_addf(emit_body(e), " / %lld", (long long)stride);
    if (stride * group[i].extent != all)
      text_addf(emit_body(e), " %% %lld", (long long)group[i].extent);
    text_add(emit_body(e), ";\n");
    cg_bind_group(e, &group[i], w);
  }
}

static const char *plus(Emit *e, const char *turn, int vector, const char *lane) {
  return vector > 1 ? arena_printf(e->arena, "%s * %d + %s", turn, vector, lane) : turn;
}

/* Elements in registers: the turns are numbered, so that all of them can be unrolled. */
static void open_turns(Emit *e, ThreadLoop *l) {
  emit_open(e);
  int c = emit_var(e, l->turns, "c");
  l->turn = e->var[c].name;
  e->slot = aff_add(aff_const(0), aff_var(c), l->vector);
  if (l->vector > 1) {
    emit_open(e); /* whether these neighbours are there: a row has all of them or none */
    emit_open(e);
    int u = emit_var(e, l->vector, "u");
    l->lane = e->var[u].name;
    e->slot = aff_add(e->slot, aff_var(u), 1);
  }
  Text *outside = emit_body(e);
  emit_open(e);
  l->var = emit_var(e, cuda_extent(l->group, l->ngroup), "r");
  const char *at = arena_printf(e->arena, "(%s * %s + %s)", l->turn, l->step, l->first);
  text_addf(outside, "const %s %s = %s;\n", e->itype, e->var[l->var].name,
            plus(e, at, l->vector, l->lane));
  cuda_bind(e, l->group, l->ngroup, l->var);
}

/* Groups of neighbouring elements: all but the last axes are the same for all of one, and are known
   outside of the loop over it. */
static void open_quads(Emit *e, ThreadLoop *l) {
  const Group *last = &l->group[l->ngroup - 1];
  int64_t stride = cuda_extent(l->group, l->ngroup) / l->vector;
  emit_open(e);
  l->turn = emit_name(e, "q");
  l->lane = emit_name(e, "u");
  for (int i = 0; i + 1 < l->ngroup; i++) {
    const Group *g = &l->group[i];
    stride /= g->extent;
    int w = emit_var(e, g->extent, g->reduced ? "r" : "i");
    text_addf(emit_body(e), "const %s %s = %s / %lld", e->itype, e->var[w].name, l->turn,
              (long long)stride);
    if (i > 0) text_addf(emit_body(e), " %% %lld", (long long)g->extent);
    text_add(emit_body(e), ";\n");
    cg_bind_group(e, g, w);
  }
  const char *rest = emit_name(e, "q");
  text_addf(emit_body(e), "const %s %s = %s %% %lld;\n", e->itype, rest, l->turn,
            (long long)stride);
  emit_open(e);
  l->var = emit_var(e, last->extent, last->reduced ? "r" : "i");
  text_addf(emit_body(e), "const %s %s = %s;\n", e->itype, e->var[l->var].name,
            plus(e, rest, l->vector, l->lane));
  cg_bind_group(e, last, l->var);
}

void cuda_open(Emit *e, ThreadLoop *l) {
  if (l->turns > 0) {
    open_turns(e, l);
    return;
  }
  if (l->vector > 1 && l->ngroup > 1) {
    open_quads(e, l);
    return;
  }
  if (l->vector > 1) {
    emit_open(e);
    l->turn = emit_name(e, "q");
    l->lane = emit_name(e, "u");
  }
  emit_open(e);
  l->var = emit_var(e, cuda_extent(l->group, l->ngroup), l->group[0].reduced ? "r" : "i");
  if (l->vector > 1)
    text_addf(emit_body(e), "const %s %s = %s;\n", e->itype, e->var[l->var].name,
              plus(e, l->turn, l->vector, l->lane));
  cuda_bind(e, l->group, l->ngroup, l->var);
}

bool cuda_tail(Emit *e, ThreadLoop *l) {
  int64_t n = cuda_extent(l->group, l->ngroup);
  if (l->turns > 0 || n % l->vector == 0) return false;
  l->first = arena_printf(e->arena, "%lld + %s", (long long)(n / l->vector * l->vector), l->first);
  l->vector = 1;
  return true;
}

void cuda_close(Emit *e, const ThreadLoop *l) {
  const char *i = e->var[l->var].name, *on = l->on ? l->on : "";
  const char *and = l->on ? " && " : "";
  int64_t n = cuda_extent(l->group, l->ngroup);
  const char *each = arena_printf(e->arena, "#pragma unroll\nfor (%s %s = 0; %s < %d; %s++)",
                                  e->itype, l->lane, l->lane, l->vector, l->lane);
  if (l->turns > 0) {
    if (l->vector > 1) {
      emit_close(e, "");
      emit_close(e, each);
      i = arena_printf(e->arena, "%s * %s + %s", l->turn, l->step, l->first);
    }
    emit_close(
        e, arena_printf(e->arena, "if (%s%s%s < %lld)", on, and, i, (long long)(n / l->vector)));
    emit_close(e, arena_printf(e->arena, "#pragma unroll\nfor (%s %s = 0; %s < %lld; %s++)",
                               e->itype, l->turn, l->turn, (long long)l->turns, l->turn));
    return;
  }
  if (l->vector > 1) {
    emit_close(e, each);
    i = l->turn;
    n /= l->vector;
  }
  const char *end = l->end ? l->end : arena_printf(e->arena, "%lld", (long long)n);
  emit_close(e, arena_printf(e->arena, "for (%s %s = %s; %s%s%s < %s; %s += %s)", e->itype, i,
                             l->first, on, and, i, end, i, l->step));
}

void cuda_own(Emit *e) {
  const Kernel *k = e->kernel;
  int64_t stride = 1;
  e->own = aff_const(0);
  for (int a = k->rank - 1; a >= 0; a--) {
    e->own = aff_add(e->own, e->axis[a], stride);
    stride *= k->dim[a];
  }
  e->owns = true;
}

void cuda_barriers(Emit *e, int barriers, int skip, int from, int n, int64_t rounds) {
  int first = e->barriers + skip, last = e->barriers + barriers;
  Shared s = {from, from + (rounds + 1) % 2 * n, n, first, last};
  if (n) VEC_PUSH(e->arena, e->part, e->npart, e->part_cap, s);
  e->barriers += barriers;
}

/* ---- accumulators */

static DType of(const CudaAcc *c) { return c->a->node->in[0]->type.dtype; }

CudaAcc cuda_acc(Emit *e, const Anchor *a) {
  CudaAcc c = {.a = a, .name = emit_name(e, "a")};
  const char *type = e->target->type[of(&c)], *start = cg_reduce_start(e, a->node);
  if (a->node->op == OP_argmax) {
    c.best = arena_printf(e->arena, "%sn", c.name);
    text_addf(emit_body(e), "int32_t %s = INT32_MAX;\n%s %s = %s;\n", c.name, type, c.best, start);
  } else {
    text_addf(emit_body(e), "%s %s = %s;\n", type, c.name, start);
  }
  return c;
}

void cuda_merge(Emit *e, const CudaAcc *c, const char *value, const char *best) {
  if (c->best)
    text_addf(emit_body(e), "mlo_argmax_%s(&%s, &%s, %s, %s);\n", dtype_name(of(c)), c->best,
              c->name, best, value);
  else
    cg_accumulate(e, c->a->node, c->name, value);
}

void cuda_take(Emit *e, const CudaAcc *c) {
  const Node *n = c->a->node;
  Pos ix = emit_canonical(e, ANCHOR_ELEM, n->in[0]);
  Val v = emit_node(e, n->in[0], &ix, 0);
  int depth = 0;
  cuda_merge(e, c, c->best ? emit_aff(e, ix.e[n->attr.i[0]], &depth) : v.text, v.text);
}

void cuda_team(Emit *e, const CudaAcc *c, int team, const char *mem) {
  const char *type = dtype_name(of(c));
  if (team == 1) return;
  if (c->best)
    text_addf(emit_body(e), "mlo_team_argmax_%s(&%s, &%s, %d, %s);\n", type, c->best, c->name, team,
              mem);
  else
    text_addf(emit_body(e), "%s = mlo_team_%s_%s(%s, %d, %s);\n", c->name,
              c->a->node->op == OP_sum ? "sum" : "max", type, c->name, team, mem);
}

void cuda_bind_acc(Emit *e, const CudaAcc *c) {
  Bound *b = &e->bound[c->a->node->id];
  b->name = c->name;
  b->depth = e->depth;
}

const char *cuda_partials(Emit *e, const CudaAcc *acc, int i, bool best, int64_t each) {
  int before = best;
  for (int j = 0; j < i; j++) before += acc[j].best ? 2 : 1;
  DType d = acc[i].best && !best ? DT_I32 : of(&acc[i]);
  e->scratch = true;
  return arena_printf(e->arena, "((%s *)(scratch + %lld))", e->target->type[d],
                      (long long)(LAUNCH_PARTIALS + before * each * 8));
}

/* ---- stores */

int *cuda_store_stages(Emit *e) {
  const Kernel *k = e->kernel;
  int *stage = arena_array(e->arena, int, k->nstore);
  bool reduced = false;
  for (int i = 0; i < k->rank; i++) reduced = reduced || (k->reduced[i] && k->dim[i] != 1);
  for (int i = 0; i < k->nstore; i++) {
    const Anchor *a = e->bound[k->store[i].node->id].anchor;
    bool once = a && a->cls != ANCHOR_ELEM && (reduced || a->cls == ANCHOR_REDUCE);
    stage[i] = once ? -1 : a && a->cls == ANCHOR_ELEM ? a->stage : 0;
  }
  return stage;
}

bool cuda_replaces(const Emit *e, const int *stage, int barriers) {
  const Kernel *k = e->kernel;
  for (int i = 0; i < k->nstore; i++)
    for (int j = 0; stage[i] < 0 && j < e->nparam; j++)
      if (e->param[j].load && e->param[j].last[0] >= barriers &&
          cg_overlap(e->param[j].s, k->store[i].dest))
        return true;
  return false;
}

void cuda_end_stores(Emit *e, const int *stage, const char *who, const char *order, bool first) {
  bool *now = arena_array(e->arena, bool, e->kernel->nstore), any = false;
  for (int i = 0; i < e->kernel->nstore; i++) any |= now[i] = stage[i] < 0;
  if (!any) return;
  Text *before = emit_body(e);
  emit_open(e);
  e->own = aff_const(0);
  e->owns = first;
  cg_stores(e, e->kernel->store, now, ANCHOR_ROW);
  e->owns = false;
  if (cuda_replaces(e, stage, e->barriers)) {
    text_add(before, order);
    if (!strcmp(order, CUDA_BARRIER)) cuda_barriers(e, 1, 0, 0, 0, 1);
    for (int i = 0; i < e->kernel->nstore; i++)
      if (now[i]) emit_param(e, e->kernel->store[i].dest, e->kernel->store[i].row, true);
  }
  emit_close(e, who);
}
