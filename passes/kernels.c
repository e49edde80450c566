/* kernels: every unit of a function becomes a kernel of its own; and what fuse shares with it: from
   groups of units to kernels in an order that respects dependences, homes for what other kernels
   read, stores of results. A result goes straight to its destination where nobody needs the old
   value any more, else through a temporary that is copied at the end, since all reads see values
   from before the call. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/provider.h"
#include "passes/group.h"
#include "passes/passes.h"

/* A read of a value from before the call that a result replaces. */
typedef struct Hazard {
  int unit, read;
} Hazard;

typedef struct Hazards {
  Hazard *hazard;
  int n, cap;
} Hazards;

typedef struct Emit {
  Grouping *s;
  Func *f;
  int *order, norder; /* groups */
  int *rank_of;       /* by group: place in the order */
  Hazards *hazards;   /* by result */
  bool *replaced;     /* by node id: a param whose storage a result overwrites */
  bool *direct;       /* by result: stored by its kernel */
  bool *needs_home;   /* by unit */
  Storage **param;    /* by node id */
  Kernel **kernel;    /* by group */
  int ntemp, kernel_cap;
} Emit;

/* ---- order */

typedef struct RootedResult {
  const Storage *root;
  int result;
} RootedResult;

static int by_root(const void *x, const void *y) {
  const RootedResult *a = x, *b = y;
  if (a->root != b->root) return (uintptr_t)a->root < (uintptr_t)b->root ? -1 : 1;
  return a->result - b->result;
}

/* The results that overwrite a param, as entries of `sorted` that share its root and overlap. */
static void note_read(Emit *e, const RootedResult *sorted, int unit, int read) {
  const Read *r = &e->s->unit[unit].read[read];
  const Storage *s = r->unit < 0 ? e->param[r->node->id] : NULL;
  if (!s) return;
  RootedResult key = {storage_root(s), 0};
  int lo = 0, hi = e->f->nresult;
  while (lo < hi) {
    int mid = lo + (hi - lo) / 2;
    if (by_root(&sorted[mid], &key) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  for (; lo < e->f->nresult && sorted[lo].root == key.root; lo++) {
    int i = sorted[lo].result;
    Hazards *h = &e->hazards[i];
    Hazard hazard = {unit, read};
    if (!storage_overlap(s, e->f->dest[i])) continue;
    VEC_PUSH(e->s->arena, h->hazard, h->n, h->cap, hazard);
    e->replaced[r->node->id] = true;
  }
}

static void find_hazards(Emit *e) {
  Grouping *s = e->s;
  int n = e->f->nresult;
  RootedResult *sorted = arena_array(s->arena, RootedResult, n);
  e->hazards = arena_array(s->arena, Hazards, n);
  e->replaced = arena_array(s->arena, bool, e->f->graph->nnode);
  for (int i = 0; i < n; i++) sorted[i] = (RootedResult){storage_root(e->f->dest[i]), i};
  qsort(sorted, (size_t)n, sizeof *sorted, by_root);
  for (int j = 0; j < s->nunit; j++)
    for (int k = 0; k < s->unit[j].nread; k++) note_read(e, sorted, j, k);
}

static int unit_of_result(const Emit *e, int i) { return e->s->unit_of[e->f->result[i]->id]; }

/* Where possible, who reads an old value goes before who replaces it. */
static void order_readers_first(Emit *e) {
  Grouping *s = e->s;
  for (int i = 0; i < e->f->nresult; i++) {
    int writer = s->unit[unit_of_result(e, i)].group;
    for (int j = 0; j < e->hazards[i].n; j++) {
      int reader = s->unit[e->hazards[i].hazard[j].unit].group;
      if (reader != writer && !depends(s, reader, writer) && !depends(s, writer, reader))
        add_dependence(s, writer, reader);
    }
  }
}

/* A topological order: sweeps over the groups take what is ready. `from`: the words before it hold
   nothing that the group waits for. */
static void order_groups(Emit *e) {
  Grouping *s = e->s;
  uint64_t *waiting = arena_array(s->arena, uint64_t, s->words);
  int *from = arena_array(s->arena, int, s->ngroup);
  e->order = arena_array(s->arena, int, s->ngroup);
  e->rank_of = arena_array(s->arena, int, s->ngroup);
  for (int g = 0; g < s->ngroup; g++)
    if (!s->group[g].gone) bit_set(waiting, g);
  for (bool more = true; more;) {
    int g;
    more = false;
    BITS_EACH(g, w, s->words, waiting[w]) {
      const uint64_t *need = needs_of(s, g);
      while (from[g] < s->words && !(need[from[g]] & waiting[from[g]])) from[g]++;
      if (from[g] < s->words) continue;
      bit_clear(waiting, g);
      more = true;
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
  for (int j = 0; j < e->hazards[i].n; j++) {
    const Unit *u = &e->s->unit[e->hazards[i].hazard[j].unit];
    const Read *r = &u->read[e->hazards[i].hazard[j].read];
    if (u->group == w->group ? !safe_inside(e, i, u, r)
                             : e->rank_of[u->group] > e->rank_of[w->group])
      return false;
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
    if (e->replaced[u->read[k].node->id]) return true;
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
        (how == EMIT_GEMM && provider_info(g->provider)->call && g->nunit == 1))
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

static int by_address(const void *x, const void *y) {
  uintptr_t a = (uintptr_t) * (Storage *const *)x, b = (uintptr_t) * (Storage *const *)y;
  return a < b ? -1 : a > b;
}

/* A name that new_temp or kernel_measure gives. */
static bool made_for(const Func *f, const Storage *s) {
  size_t len = strlen(f->name);
  return s && s->kind == ST_TEMP && !strncmp(s->name, f->name, len) && s->name[len] == '.' &&
         (s->name[len + 1] == 't' || s->name[len + 1] == 's') &&
         isdigit((unsigned char)s->name[len + 2]);
}

typedef struct StorageSet {
  Storage **s;
  int n, cap;
} StorageSet;

static bool in_set(const StorageSet *set, Storage *s) {
  return set->n && bsearch(&s, set->s, (size_t)set->n, sizeof s, by_address);
}

static void collect_made(Arena *arena, const Func *f, StorageSet *made) {
  for (int k = 0; k < f->nkernel; k++) {
    const Kernel *x = f->kernel[k];
    if (made_for(f, x->scratch)) VEC_PUSH(arena, made->s, made->n, made->cap, x->scratch);
    for (int j = 0; j < x->nstore; j++)
      if (made_for(f, x->store[j].dest))
        VEC_PUSH(arena, made->s, made->n, made->cap, x->store[j].dest);
  }
}

void grouping_drop(Program *p) {
  Arena *scratch = arena_new();
  StorageSet made = {0}, dest = {0};
  int n = 0;
  for (int i = 0; i < p->nfunc; i++) {
    Func *f = p->func[i];
    collect_made(scratch, f, &made);
    for (int j = 0; j < f->nresult; j++) VEC_PUSH(scratch, dest.s, dest.n, dest.cap, f->dest[j]);
    f->nkernel = 0;
  }
  if (made.n) {
    qsort(made.s, (size_t)made.n, sizeof *made.s, by_address);
    if (dest.n) qsort(dest.s, (size_t)dest.n, sizeof *dest.s, by_address);
    for (int i = 0; i < p->nstorage; i++)
      if (!in_set(&made, p->storage[i]) || in_set(&dest, p->storage[i]))
        p->storage[n++] = p->storage[i];
    program_keep_storages(p, n);
  }
  arena_free(scratch);
}

void grouping_emit(Grouping *s) {
  Func *f = s->func;
  Program *p = s->program;
  Emit e = {.s = s, .f = f};
  e.param = arena_array(s->arena, Storage *, f->graph->nnode);
  for (int i = 0; i < f->graph->nnode; i++) {
    const Node *n = f->graph->node[i];
    if (n->op == OP_param && s->reach[i]) e.param[i] = program_find(p, n->attr.sym);
  }
  find_hazards(&e);
  order_readers_first(&e);
  order_groups(&e);
  find_homes(&e);
  e.kernel = arena_array(s->arena, Kernel *, s->ngroup);
  f->kernel = arena_array(p->arena, Kernel *, e.norder + f->nresult);
  for (int i = 0; i < e.norder; i++) make_kernel(&e, e.order[i], i);
  set_homes(&e);
  copy_results(&e);
  for (int i = 0; i < f->nkernel; i++) kernel_measure(s->arena, p, f, f->kernel[i]);
}

bool pass_kernels(Program *p) {
  grouping_drop(p);
  for (int i = 0; i < p->nfunc; i++) {
    Arena *scratch = arena_new();
    grouping_emit(grouping_new(scratch, p, p->func[i], false));
    arena_free(scratch);
  }
  return true;
}
