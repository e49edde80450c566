/* kernels: every unit of a function becomes a kernel of its own; and what fuse shares with it: from
   groups of units to kernels in an order that respects dependences, homes for what other kernels
   read, stores of results. A result goes straight to its destination where nobody needs the old
   value any more, else through a temporary that is copied at the end, since all reads see values
   from before the call. */
#include <ctype.h>
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "passes/group.h"
#include "passes/passes.h"

typedef struct Emit {
  Grouping *s;
  Func *f;
  int *order, norder; /* groups */
  int *rank_of;       /* by group: place in the order */
  bool *direct;       /* by result: stored by its kernel */
  bool *needs_home;   /* by unit */
  Storage **param;    /* by node id */
  Kernel **kernel;    /* by group */
  int ntemp, kernel_cap;
} Emit;

/* ---- order */

/* True if result i overwrites what unit u's read k wants from before the call. */
static bool overwrites(const Emit *e, int i, const Read *r) {
  return r->unit < 0 && e->param[r->node->id] &&
         storage_overlap(e->param[r->node->id], e->f->dest[i]);
}

static int unit_of_result(const Emit *e, int i) { return e->s->unit_of[e->f->result[i]->id]; }

/* Where possible, who reads an old value goes before who replaces it. */
static void order_readers_first(Emit *e) {
  Grouping *s = e->s;
  for (int i = 0; i < e->f->nresult; i++) {
    int writer = s->unit[unit_of_result(e, i)].group;
    for (int j = 0; j < s->nunit; j++) {
      const Unit *u = &s->unit[j];
      for (int k = 0; k < u->nread; k++)
        if (u->group != writer && overwrites(e, i, &u->read[k]) && !depends(s, u->group, writer))
          add_dependence(s, writer, u->group);
    }
  }
}

/* A topological order; among the ready ones, the group with the earliest unit. */
static void order_groups(Emit *e) {
  Grouping *s = e->s;
  bool *done = arena_array(s->arena, bool, s->ngroup);
  e->order = arena_array(s->arena, int, s->ngroup);
  e->rank_of = arena_array(s->arena, int, s->ngroup);
  for (bool more = true; more;) {
    more = false;
    for (int g = 0; g < s->ngroup; g++) {
      bool ready = !s->group[g].gone && !done[g];
      for (int h = 0; ready && h < s->ngroup; h++)
        ready = !depends(s, g, h) || s->group[h].gone || done[h] || h == g;
      if (!ready) continue;
      done[g] = more = true;
      e->rank_of[g] = e->norder;
      e->order[e->norder++] = g;
    }
  }
}

/* ---- hazards */

/* The same elements in the same order, so that one index is one address in both. */
static bool same_memory(const Storage *a, const Storage *b) {
  return storage_root(a) == storage_root(b) && storage_start(a) == storage_start(b) &&
         a->type.dtype == b->type.dtype && type_count(a->type) == type_count(b->type);
}

/* Result i, stored by its own kernel, is overwritten only behind the last read of the old value
   there. Units that read one are never computed again: see is_kept. */
static bool safe_inside(const Emit *e, int i, const Unit *reader, const Read *r) {
  const Unit *u = &e->s->unit[unit_of_result(e, i)];
  const Group *g = &e->s->group[u->group];
  if (g->kind != KERNEL_LOOP && g->kind != KERNEL_GEMM) return false;
  if (e->f->row[i] || !same_memory(e->param[r->node->id], e->f->dest[i])) return false;
  if (u->cls == ANCHOR_ELEM && reader->stage > u->stage) return false;
  return read_is_canonical(reader, reader->cls, r, g, u->cls);
}

static bool is_direct(const Emit *e, int i) {
  const Unit *w = &e->s->unit[unit_of_result(e, i)];
  for (int j = 0; j < e->s->nunit; j++) {
    const Unit *u = &e->s->unit[j];
    for (int k = 0; k < u->nread; k++) {
      if (!overwrites(e, i, &u->read[k])) continue;
      if (u->group == w->group ? !safe_inside(e, i, u, &u->read[k])
                               : e->rank_of[u->group] > e->rank_of[w->group])
        return false;
    }
  }
  return true;
}

/* ---- homes */

static Storage *new_temp(Emit *e, Type type) {
  Program *p = e->s->program;
  while (program_find(p, arena_printf(p->arena, "%s.t%d", e->f->name, e->ntemp))) e->ntemp++;
  return program_storage(p, ST_TEMP, type, "%s.t%d", e->f->name, e->ntemp++);
}

static bool reads_overwritten(const Emit *e, const Unit *u) {
  for (int k = 0; k < u->nread; k++)
    for (int i = 0; i < e->f->nresult; i++)
      if (overwrites(e, i, &u->read[k])) return true;
  return false;
}

/* An ELEM unit that a later stage reads, and that is dear or could not be computed again: it stays
   in a row buffer if its row is short, else at home. */
static bool is_kept(const Emit *e, const Unit *u) {
  const Group *g = &e->s->group[u->group];
  if (u->cls != ANCHOR_ELEM || (u->flops <= CHEAP && !reads_overwritten(e, u))) return false;
  for (int i = 0; i < g->nunit; i++) {
    const Unit *v = &e->s->unit[g->unit[i]];
    for (int k = 0; k < v->nread; k++)
      if (v->read[k].node == u->node && v->stage > u->stage) return true;
  }
  return false;
}

static int64_t row_size(const Group *g) {
  int64_t n = 1;
  for (int i = 0; i < g->rank; i++)
    if (g->reduced[i]) n *= g->dim[i];
  return n;
}

static void find_homes(Emit *e) {
  Grouping *s = e->s;
  e->needs_home = arena_array(s->arena, bool, s->nunit);
  for (int i = 0; i < s->nunit; i++) {
    const Unit *u = &s->unit[i];
    const Group *g = &s->group[u->group];
    for (int k = 0; k < u->nread; k++) {
      int v = u->read[k].unit;
      if (v >= 0 && s->unit[v].group != u->group) e->needs_home[v] = true;
    }
    Emission how = op_info(u->node->op)->emit;
    if (how == EMIT_CALL || how == EMIT_SCATTER ||
        (how == EMIT_GEMM && provider_info(g->provider)->call))
      e->needs_home[i] = true;
    if (is_kept(e, u) && row_size(g) > ROW_BUFFER) e->needs_home[i] = true;
  }
  e->direct = arena_array(s->arena, bool, e->f->nresult);
  for (int i = 0; i < e->f->nresult; i++) {
    e->direct[i] = is_direct(e, i);
    if (!e->direct[i]) e->needs_home[unit_of_result(e, i)] = true;
  }
}

static void add_store(Program *p, Kernel *k, Node *n, Storage *dest, Storage *row) {
  Store st = {n, dest, row};
  VEC_PUSH(p->arena, k->store, k->nstore, k->store_cap, st);
}

static void set_homes(Emit *e) {
  Func *f = e->f;
  Program *p = e->s->program;
  f->home = arena_array(p->arena, Storage *, f->graph->nnode);
  memcpy(f->home, e->param, sizeof *f->home * (size_t)f->graph->nnode);
  for (int i = 0; i < f->nresult; i++) {
    const Unit *u = &e->s->unit[unit_of_result(e, i)];
    Node *n = u->node;
    if (!e->direct[i]) continue;
    add_store(p, e->kernel[u->group], n, f->dest[i], f->row[i]);
    if (!f->row[i] && !f->home[n->id] && e->needs_home[unit_of_result(e, i)])
      f->home[n->id] = f->dest[i];
  }
  for (int i = 0; i < e->s->nunit; i++) {
    Node *n = e->s->unit[i].node;
    if (!e->needs_home[i] || f->home[n->id]) continue;
    f->home[n->id] = new_temp(e, n->type);
    Kernel *k = e->kernel[e->s->unit[i].group];
    add_store(p, k, n, f->home[n->id], NULL);
    if (k->kind == KERNEL_SCATTER ||
        k->kind == KERNEL_CALL) { /* the first dest is where it works */
      Store first = k->store[0];
      k->store[0] = k->store[k->nstore - 1];
      k->store[k->nstore - 1] = first;
    }
  }
}

/* ---- kernels */

static int class_order(AnchorClass c) { return c == ANCHOR_ROW ? 0 : c == ANCHOR_ELEM ? 1 : 2; }

static bool anchor_before(const Anchor *a, const Anchor *b) {
  bool pa = op_info(a->node->op)->emit == EMIT_GEMM, pb = op_info(b->node->op)->emit == EMIT_GEMM;
  if (pa != pb) return pa;
  if (a->stage != b->stage) return a->stage < b->stage;
  if (a->cls != b->cls) return class_order(a->cls) < class_order(b->cls);
  return a->node->id < b->node->id;
}

static void make_kernel(Emit *e, int group, int number) {
  const Group *g = &e->s->group[group];
  Program *p = e->s->program;
  Kernel *k = arena_new_of(p->arena, Kernel);
  k->name = arena_printf(p->arena, "%s.k%d", e->f->name, number);
  k->kind = g->kind;
  k->rank = g->rank;
  memcpy(k->dim, g->dim, sizeof k->dim);
  memcpy(k->reduced, g->reduced, sizeof k->reduced);
  k->order = g->order;
  k->provider = g->provider;
  for (int i = 0; i < g->nunit; i++) {
    const Unit *u = &e->s->unit[g->unit[i]];
    Anchor a = {.node = u->node, .cls = u->cls, .stage = u->stage};
    a.keep = is_kept(e, u) && row_size(g) <= ROW_BUFFER;
    VEC_PUSH(p->arena, k->anchor, k->nanchor, k->anchor_cap, a);
    for (int j = k->nanchor - 1; j > 0 && anchor_before(&k->anchor[j], &k->anchor[j - 1]); j--) {
      Anchor t = k->anchor[j];
      k->anchor[j] = k->anchor[j - 1];
      k->anchor[j - 1] = t;
    }
  }
  e->kernel[group] = k;
  e->f->kernel[e->f->nkernel++] = k;
}

/* Results that could not go straight: one copy each, at the end. */
static void copy_results(Emit *e) {
  Func *f = e->f;
  Program *p = e->s->program;
  for (int i = 0; i < f->nresult; i++) {
    if (e->direct[i]) continue;
    Kernel *k = arena_new_of(p->arena, Kernel);
    k->name = arena_printf(p->arena, "%s.k%d", f->name, f->nkernel);
    Type t = f->result[i]->type;
    for (int a = 0; a < t.rank; a++)
      if (t.dim[a] != 1) k->dim[k->rank++] = t.dim[a];
    add_store(p, k, f->result[i], f->dest[i], f->row[i]);
    f->kernel[f->nkernel++] = k;
  }
}

static void drop_old(Program *p, Func *f) {
  int n = 0;
  size_t len = strlen(f->name);
  for (int i = 0; i < p->nstorage; i++) {
    Storage *s = p->storage[i];
    bool named = s->kind == ST_TEMP && !strncmp(s->name, f->name, len) && s->name[len] == '.' &&
                 (s->name[len + 1] == 't' || s->name[len + 1] == 's') &&
                 isdigit((unsigned char)s->name[len + 2]);
    bool mine = false;
    for (int k = 0; named && k < f->nkernel; k++) {
      mine = mine || s == f->kernel[k]->scratch;
      for (int j = 0; j < f->kernel[k]->nstore; j++)
        mine = mine || s == f->kernel[k]->store[j].dest;
    }
    for (int j = 0; j < f->nresult; j++) mine = mine && s != f->dest[j];
    if (!mine) p->storage[n++] = s;
  }
  program_keep_storages(p, n);
  f->nkernel = 0;
}

void grouping_emit(Grouping *s) {
  Func *f = s->func;
  Program *p = s->program;
  Emit e = {.s = s, .f = f};
  drop_old(p, f);
  e.param = arena_array(s->arena, Storage *, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    if (n->op == OP_param && s->reach[i]) e.param[i] = program_find(p, n->attr.sym);
  }
  order_readers_first(&e);
  order_groups(&e);
  find_homes(&e);
  e.kernel = arena_array(s->arena, Kernel *, s->ngroup);
  f->kernel = arena_array(p->arena, Kernel *, e.norder + f->nresult);
  for (int i = 0; i < e.norder; i++) make_kernel(&e, e.order[i], i);
  set_homes(&e);
  copy_results(&e);
  for (int i = 0; i < f->nkernel; i++) kernel_measure(p, f, f->kernel[i]);
}

bool pass_kernels(Program *p) {
  for (int i = 0; i < p->nfunc; i++) {
    Arena *scratch = arena_new();
    grouping_emit(grouping_new(scratch, p, p->func[i], false));
    arena_free(scratch);
  }
  return true;
}
