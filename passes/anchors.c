/* Chooses which nodes of a function are computed once (units: results, reductions, products, and
   maps too dear to be done twice), and records at which index each unit reads which others. */
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "passes/group.h"

int64_t node_flops(const Node *n) {
  const OpInfo *info = op_info(n->op);
  if (info->flags & OPF_HEAVY) return HEAVY;
  if (info->emit == EMIT_MAP)
    return n->op == OP_stop || n->op == OP_shift ? 0 : n->op == OP_div || n->op == OP_recip ? 4 : 1;
  if (n->op == OP_random || n->op == OP_shuffle) return 5 * HEAVY;
  if (n->op == OP_gather || n->op == OP_pad || n->op == OP_concat) return 1;
  return info->emit == EMIT_REDUCE || info->emit == EMIT_SCATTER ? 1 : 0;
}

static bool is_bulk(const Node *n) { return op_info(n->op)->emit >= EMIT_REDUCE; }
static bool is_view(const Node *n) { return op_info(n->op)->emit == EMIT_INDEX && n->nin > 0; }

typedef struct Choice {
  Grouping *s;
  bool *unit;    /* by id */
  bool *adds;    /* by id: Unit's */
  int *uses;     /* readers, seen through views */
  int64_t *cost; /* flops to compute it in place */
} Choice;

static void count_uses(Choice *c) {
  Graph *g = c->s->func->graph;
  for (int i = g->nnode - 1; i >= 0; i--) {
    Node *n = g->node[i];
    if (!c->s->reach[i]) continue;
    int through =
        is_view(n) && n->op != OP_random && n->op != OP_shuffle && !c->unit[i] ? c->uses[i] : 1;
    for (int k = 0; k < n->nin; k++) {
      bool again = false;
      for (int j = 0; j < k; j++) again = again || n->in[j] == n->in[k];
      int *u = &c->uses[n->in[k]->id];
      if (!again) *u = *u + through > 1000 ? 1000 : *u + through;
    }
  }
}

/* Library calls read memory: what their operands are views of must have a home. */
static void choose_operands(Choice *c, const Node *n) {
  Emission e = op_info(n->op)->emit;
  if (e != EMIT_GEMM && e != EMIT_CALL) return;
  for (int k = 0; k < n->nin; k++) {
    Operand o;
    kernel_operand(NULL, n->in[k], &o);
    if (o.node->op != OP_param) c->unit[o.node->id] = true;
  }
}

/* What n reads over and over, or behind a branch: kept below the views if that is where the cost
 * is. */
static void choose_repeated(Choice *c, const Node *n) {
  bool more = n->op == OP_broadcast && type_count(n->type) > type_count(n->in[0]->type);
  bool branch = n->op == OP_gather || n->op == OP_concat || n->op == OP_pad || n->op == OP_skew;
  if (!more && !branch) return;
  for (int k = 0; k < n->nin; k++) {
    Operand o;
    uint32_t x = n->in[k]->id;
    if (c->unit[x] || c->cost[x] <= CHEAP) continue;
    kernel_operand(NULL, n->in[k], &o);
    if (c->cost[o.node->id] <= CHEAP) o.node = n->in[k];
    c->unit[o.node->id] = true;
    c->cost[o.node->id] = c->cost[x] = 0;
  }
}

/* Whether what stands between the sum and its products, and these, is read by nothing else. */
static bool read_once(const Choice *c, const Node *n, bool top) {
  bool product = n->op == OP_matmul;
  if (!top && (c->uses[n->id] != 1 || (c->unit[n->id] && !product))) return false;
  for (int k = 0; !product && k < n->nin; k++)
    if (!read_once(c, n->in[k], false)) return false;
  return true;
}

static Provider provider_of(const Node *n) {
  int r = n->type.rank;
  int64_t m = n->type.dim[r - 2], w = n->type.dim[r - 1];
  int64_t k = n->in[0]->type.dim[n->attr.i[0] ? r - 2 : r - 1];
  return provider_choose(m, w, k);
}

/* Sums of a library's products, largest first: the library adds them up where they are stored, so
   that neither it nor who reads the sum passes over more than one array. */
static void choose_sums(Choice *c) {
  const Graph *g = c->s->func->graph;
  bool *result = arena_array(c->s->arena, bool, g->nnode);
  bool *inside = arena_array(c->s->arena, bool, g->nnode);
  for (int i = 0; i < c->s->func->nresult; i++) result[c->s->func->result[i]->id] = true;
  for (int i = g->nnode - 1; i >= 0; i--) {
    Node *n = g->node[i];
    Term term[MAX_TERMS];
    if (!c->s->reach[i] || (n->op != OP_neg && n->op != OP_add && n->op != OP_sub)) continue;
    int count = inside[i] ? 0 : kernel_terms(n, term);
    bool sum = count && read_once(c, n, true);
    for (int k = 0; k < count; k++)
      sum = sum && !result[term[k].product->id] &&
            provider_info(provider_of(term[k].product))->call &&
            provider_of(term[k].product) == provider_of(term[0].product);
    c->adds[i] = sum;
    c->unit[i] = c->unit[i] || sum;
    for (int k = 0; k < n->nin; k++)
      inside[n->in[k]->id] = inside[n->in[k]->id] || sum || inside[i];
  }
}

static void choose(Choice *c, bool fuse) {
  Graph *g = c->s->func->graph;
  for (int i = 0; i < c->s->func->nresult; i++) c->unit[c->s->func->result[i]->id] = true;
  for (int i = 0; i < g->nnode; i++) {
    if (!c->s->reach[i]) continue;
    if (is_bulk(g->node[i])) c->unit[i] = true;
    choose_operands(c, g->node[i]);
  }
  count_uses(c);
  if (fuse) choose_sums(c);
  for (int i = 0; i < g->nnode; i++) {
    Node *n = g->node[i];
    if (!c->s->reach[i]) continue;
    bool computes = node_flops(n) > 0;
    choose_repeated(c, n);
    int64_t cost = node_flops(n);
    for (int k = 0; k < n->nin; k++) cost += c->unit[n->in[k]->id] ? 0 : c->cost[n->in[k]->id];
    c->cost[i] = cost > 100000 ? 100000 : cost;
    if (computes && (!fuse || (c->uses[i] > 1 && cost > CHEAP))) c->unit[i] = true;
  }
}

/* ---- index spaces */

static void own_space(Unit *u) {
  Node *n = u->node;
  Emission e = op_info(n->op)->emit;
  Type t = e == EMIT_REDUCE ? n->in[0]->type : e == EMIT_SCATTER ? n->in[1]->type : n->type;
  bool squeeze = e != EMIT_GEMM && e != EMIT_SCATTER, any = false;
  if (e == EMIT_CALL) t.rank = 0;
  bool mask[MAX_RANK] = {0};
  for (int k = 0; e == EMIT_REDUCE && k < n->attr.n; k++) {
    mask[n->attr.i[k]] = true;
    any = any || t.dim[n->attr.i[k]] != 1;
  }
  for (int i = 0; i < t.rank; i++) {
    if (squeeze && t.dim[i] == 1 && !(mask[i] && !any)) continue;
    u->reduced[u->rank] = mask[i];
    u->dim[u->rank++] = t.dim[i];
  }
  u->cls = e == EMIT_REDUCE ? ANCHOR_REDUCE : ANCHOR_ELEM;
}

typedef struct ReadCtx {
  Grouping *s;
  Unit *u;
  Node *self;
} ReadCtx;

static bool note_read(void *ctx, Node *n, const Index *at) {
  ReadCtx *c = ctx;
  int unit = c->s->unit_of[n->id];
  if (n != c->self && (unit >= 0 || n->op == OP_param)) {
    Read r = {.node = n, .unit = unit, .at = *at};
    VEC_PUSH(c->s->arena, c->u->read, c->u->nread, c->u->cap, r);
    return false;
  }
  c->u->flops += node_flops(n);
  return true;
}

/* Index of a tensor whose axes, but for those of size 1, are the unit's own in order. */
static Index own_index(const Unit *u, const Node *n) {
  Index at;
  memset(&at, 0, sizeof at);
  int axis = 0;
  for (int i = 0; i < n->type.rank; i++) {
    while (axis < u->rank && u->dim[axis] == 1) axis++;
    at.axis[i] = (signed char)(n->type.dim[i] == 1 ? AXIS_ONE : axis++);
  }
  return at;
}

static void call_reads(Grouping *s, Unit *u) {
  for (int k = 0; k < u->node->nin; k++) {
    Operand o;
    if (!kernel_operand(s->unit_home, u->node->in[k], &o))
      compiler_bug("kernels", "%s: operand %d of %%%u", s->func->name, k, u->node->id);
    Read r = {.node = o.node, .unit = s->unit_of[o.node->id]};
    for (int i = 0; i < MAX_RANK; i++) r.at.axis[i] = AXIS_ANY;
    VEC_PUSH(s->arena, u->read, u->nread, u->cap, r);
  }
}

static void find_reads(Grouping *s, Unit *u) {
  Node *n = u->node;
  Emission e = op_info(n->op)->emit;
  ReadCtx c = {.s = s, .u = u};
  if (e == EMIT_GEMM || e == EMIT_CALL) {
    call_reads(s, u);
  } else if (e == EMIT_REDUCE) {
    u->flops = 1;
    index_walk(n->in[0], own_index(u, n->in[0]), note_read, &c);
  } else if (e == EMIT_SCATTER) {
    Index at;
    u->flops = 1;
    for (int k = 0; k < 2; k++) {
      for (int i = 0; i < MAX_RANK; i++)
        at.axis[i] =
            (signed char)(i < n->in[k]->type.rank && n->in[k]->type.dim[i] == 1 ? AXIS_ONE : i);
      index_walk(n->in[k], at, note_read, &c);
    }
  } else {
    c.self = n;
    index_walk(n, own_index(u, n), note_read, &c);
  }
}

/* ---- groups of one */

static Group group_of(Grouping *s, int unit) {
  const Unit *u = &s->unit[unit];
  Emission e = op_info(u->node->op)->emit;
  Group g = {.rank = u->rank, .nunit = 1};
  memcpy(g.dim, u->dim, sizeof g.dim);
  memcpy(g.reduced, u->reduced, sizeof g.reduced);
  g.kind = e == EMIT_GEMM      ? KERNEL_GEMM
           : e == EMIT_CALL    ? KERNEL_CALL
           : e == EMIT_SCATTER ? KERNEL_SCATTER
                               : KERNEL_LOOP;
  if (e == EMIT_GEMM) g.provider = provider_of(u->node);
  g.masked = e == EMIT_REDUCE;
  if (g.masked && !g.reduced[g.rank - 1]) g.order = ORDER_COLUMNS;
  g.unit = arena_dup(s->arena, &unit, sizeof unit);
  return g;
}

static void take_needs(Grouping *s, int a, int b) {
  uint64_t *to = needs_of(s, a);
  const uint64_t *from = needs_of(s, b);
  for (int w = 0; w < s->words; w++) to[w] |= from[w];
  bit_set(to, b);
}

void add_dependence(Grouping *s, int a, int b) {
  for (int i = 0; i < s->ngroup; i++)
    if (i == a || depends(s, i, a)) take_needs(s, i, b);
}

static void make_groups(Grouping *s) {
  s->ngroup = s->nunit;
  s->group = arena_array(s->arena, Group, s->ngroup);
  s->words = bit_words(s->ngroup);
  s->need = arena_alloc(s->arena, sizeof *s->need * (size_t)s->ngroup * (size_t)s->words);
  for (int i = 0; i < s->nunit; i++) {
    Unit *u = &s->unit[i];
    u->group = i;
    s->group[i] = group_of(s, i);
    for (int k = 0; k < u->nread; k++) {
      int m = u->read[k].unit;
      if (m >= 0 && m != i && !depends(s, i, m)) take_needs(s, i, m);
    }
  }
}

Grouping *grouping_new(Arena *scratch, Program *p, Func *f, bool fuse) {
  Grouping *s = arena_new_of(scratch, Grouping);
  /* A copy is a computation like any other, so that it can go through a temporary. */
  for (int i = 0; i < f->nresult; i++)
    if (f->result[i]->op == OP_param) f->result[i] = ir_stop(f->graph, f->result[i]);
  Storage *unit_home = arena_new_of(scratch, Storage);
  int n = f->graph->nnode;
  s->program = p;
  s->func = f;
  s->arena = scratch;
  s->reach = arena_array(scratch, bool, n);
  s->unit_of = arena_array(scratch, int, n);
  s->unit_home = arena_array(scratch, Storage *, n);
  ir_reach(f->graph, f->result, f->nresult, s->reach);
  Choice c = {.s = s,
              .unit = arena_array(scratch, bool, n),
              .adds = arena_array(scratch, bool, n),
              .uses = arena_array(scratch, int, n),
              .cost = arena_array(scratch, int64_t, n)};
  choose(&c, fuse);
  for (int i = 0; i < n; i++) {
    s->unit_of[i] = -1;
    if (!c.unit[i]) continue;
    Unit u = {.node = f->graph->node[i], .adds = c.adds[i]};
    own_space(&u);
    s->unit_of[i] = s->nunit;
    s->unit_home[i] = unit_home;
    VEC_PUSH(scratch, s->unit, s->nunit, s->unit_cap, u);
  }
  for (int i = 0; i < s->nunit; i++) find_reads(s, &s->unit[i]);
  make_groups(s);
  return s;
}

/* ---- units in domains */

bool unit_axes(const Unit *u, const Group *g, AnchorClass cls, signed char *map) {
  int axis = 0;
  for (int i = 0; i < u->rank; i++) {
    map[i] = AXIS_ONE;
    if (u->dim[i] == 1) continue;
    while (axis < g->rank && (g->dim[axis] == 1 || (cls == ANCHOR_ROW && g->reduced[axis]))) axis++;
    if (axis == g->rank || g->dim[axis] != u->dim[i]) return false;
    map[i] = (signed char)axis++;
  }
  for (; axis < g->rank; axis++)
    if (g->dim[axis] != 1 && !(cls == ANCHOR_ROW && g->reduced[axis])) return false;
  return true;
}

bool read_is_canonical(const Unit *u, AnchorClass ucls, const Read *r, const Group *g,
                       AnchorClass cls) {
  signed char map[MAX_RANK];
  int axis = 0;
  Emission e = op_info(u->node->op)->emit;
  /* Products and calls read memory, of whatever size. */
  if (e == EMIT_GEMM || e == EMIT_CALL || !unit_axes(u, g, ucls, map)) return false;
  for (int i = 0; i < r->node->type.rank; i++) {
    int at = r->at.axis[i];
    if (r->node->type.dim[i] == 1) continue;
    if (at < 0) return false;
    while (axis < g->rank && (g->dim[axis] == 1 || (cls != ANCHOR_ELEM && g->reduced[axis])))
      axis++;
    if (axis == g->rank || map[at] != axis || g->dim[axis] != r->node->type.dim[i]) return false;
    axis++;
  }
  for (; axis < g->rank; axis++)
    if (g->dim[axis] != 1 && !(cls != ANCHOR_ELEM && g->reduced[axis])) return false;
  return true;
}

int64_t group_work(const Grouping *s, const Group *g) {
  int64_t elements = 1, each = 0;
  for (int i = 0; i < g->rank; i++) elements *= g->dim[i];
  for (int i = 0; i < g->nunit; i++) {
    const Unit *u = &s->unit[g->unit[i]];
    each += u->cls == ANCHOR_ROW ? 0 : u->flops + u->nread + 1;
  }
  if (g->kind == KERNEL_GEMM) {
    const Node *n = s->unit[g->unit[0]].node;
    for (int i = 0; i < g->nunit; i++)
      if (op_info(s->unit[g->unit[i]].node->op)->emit == EMIT_GEMM) n = s->unit[g->unit[i]].node;
    each += 2 * n->in[0]->type.dim[n->type.rank - (n->attr.i[0] ? 2 : 1)];
  }
  return elements * each;
}
