/* fuse: merges groups of units into kernels. Consumers join their producers (elementwise chains,
   reductions with what feeds and follows them, products with their epilogues), then groups over one
   domain join each other. A merge must keep three things: the kernels stay acyclic, units read each
   other at their own index only, and what a loop reads is ready when it starts. */
#include <string.h>

#include "ir/provider.h"
#include "passes/group.h"
#include "passes/passes.h"

enum { MAX_UNITS = 48, SMALL = 1 << 12 };

typedef struct Fusion {
  Grouping *s;
  uint64_t *users;  /* by group: the groups that need it, transitively */
  uint64_t *alive;  /* groups that are not gone */
  uint64_t *before; /* one row */
} Fusion;

static uint64_t *users_of(const Fusion *f, int a) {
  return f->users + (size_t)a * (size_t)f->s->words;
}

/* ---- domains */

static int dims_of(const Group *g, bool kept, int64_t *dim) {
  int n = 0;
  for (int i = 0; i < g->rank; i++)
    if (g->dim[i] != 1 && !(kept && g->reduced[i])) dim[n++] = g->dim[i];
  return n;
}

static bool same_dims(const int64_t *a, int na, const int64_t *b, int nb) {
  return na == nb && !memcmp(a, b, sizeof *a * (size_t)na);
}

static bool same_domain(const Group *a, const Group *b) {
  int64_t da[MAX_RANK], db[MAX_RANK];
  return same_dims(da, dims_of(a, false, da), db, dims_of(b, false, db));
}

static bool same_mask(const Group *a, const Group *b) {
  int64_t da[MAX_RANK], db[MAX_RANK];
  bool ra[MAX_RANK], rb[MAX_RANK];
  int na = 0, nb = 0;
  if (!same_domain(a, b) || a->order != b->order) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != 1) ra[na++] = a->reduced[i];
  for (int i = 0; i < b->rank; i++)
    if (b->dim[i] != 1) rb[nb++] = b->reduced[i];
  (void)da, (void)db;
  return na == nb && !memcmp(ra, rb, (size_t)na * sizeof *ra);
}

/* The domain of a and b together; *rows is the one of both whose units become ROW units, or NULL.
 */
static bool unify(const Group *a, const Group *b, Group *m, const Group **rows) {
  int64_t da[MAX_RANK], db[MAX_RANK], kb[MAX_RANK];
  int na = dims_of(a, false, da), nb = dims_of(b, false, db), nk = dims_of(b, true, kb);
  *rows = NULL;
  if (same_domain(a, b) && (!a->masked || !b->masked || same_mask(a, b))) {
    const Group *lead = a->kind == KERNEL_GEMM || (a->masked && b->kind != KERNEL_GEMM) ? a : b;
    if (a->kind == KERNEL_GEMM || b->kind == KERNEL_GEMM) {
      if (a->masked || b->masked) return false;
      if (b->kind == KERNEL_GEMM) lead = b;
    }
    *m = *lead;
    return true;
  }
  if (a->masked || a->kind == KERNEL_GEMM || b->kind == KERNEL_GEMM) return false;
  *rows = a;
  *m = *b;
  if (b->masked) return same_dims(da, na, kb, nk);
  /* Rows of b's units: a's axes come first in b's. */
  if (na >= nb || !same_dims(da, na, db, na)) return false;
  m->masked = true;
  m->order = ORDER_ROWS;
  int seen = 0;
  for (int i = 0; i < m->rank; i++) {
    m->reduced[i] = m->dim[i] != 1 && seen >= na;
    seen += m->dim[i] != 1;
  }
  return true;
}

/* ---- conditions */

/* Merging a and b is fine unless something needs one and is needed by the other. Bits of groups
   that are gone stay behind in the rows of others. */
static bool acyclic(const Fusion *f, int a, int b) {
  const uint64_t *na = needs_of(f->s, a), *nb = needs_of(f->s, b);
  const uint64_t *ua = users_of(f, a), *ub = users_of(f, b);
  for (int w = 0; w < f->s->words; w++)
    if (((na[w] & ub[w]) | (nb[w] & ua[w])) & f->alive[w]) return false;
  return true;
}

typedef struct Merge {
  const Grouping *s;
  Group m;
  AnchorClass *cls; /* of m's units, in m's order */
  int *stage;
  bool wide; /* no kept axis and work for threads: one stage only */
} Merge;

static int position(const Group *g, int unit) {
  for (int i = 0; i < g->nunit; i++)
    if (g->unit[i] == unit) return i;
  return -1;
}

static void join_units(Merge *m, const Group *a, const Group *b, const Group *rows) {
  Arena *arena = m->s->arena;
  int i = 0, k = 0, n = a->nunit + b->nunit;
  m->m.unit = arena_array(arena, int, n);
  m->cls = arena_array(arena, AnchorClass, n);
  m->stage = arena_array(arena, int, n);
  m->m.nunit = n;
  for (int j = 0; j < n; j++) {
    bool from_a = k == b->nunit || (i < a->nunit && a->unit[i] < b->unit[k]);
    int u = from_a ? a->unit[i++] : b->unit[k++];
    m->m.unit[j] = u;
    m->cls[j] = m->s->unit[u].cls;
    if ((from_a ? a : b) == rows && m->cls[j] == ANCHOR_ELEM) m->cls[j] = ANCHOR_ROW;
  }
}

/* Checks the reads of unit j inside the merged group and finds its stage. */
static bool place_unit(Merge *m, int j) {
  const Unit *u = &m->s->unit[m->m.unit[j]];
  bool loops = m->cls[j] != ANCHOR_ROW;
  for (int k = 0; k < u->nread; k++) {
    int v = u->read[k].unit < 0 ? -1 : position(&m->m, u->read[k].unit);
    if (v < 0) continue;
    if (!read_is_canonical(u, m->cls[j], &u->read[k], &m->m, m->cls[v])) return false;
    if (!loops && m->cls[v] == ANCHOR_ELEM) return false;
    if (loops && m->cls[v] != ANCHOR_ELEM && m->m.order == ORDER_COLUMNS) return false;
    int ready = m->stage[v] + (m->cls[v] == ANCHOR_REDUCE);
    if (ready > m->stage[j]) m->stage[j] = ready;
  }
  return !(loops && m->stage[j] > 0 && (m->m.order == ORDER_COLUMNS || m->wide));
}

static bool any_kept(const Group *g) {
  for (int i = 0; i < g->rank; i++)
    if (!g->reduced[i] && g->dim[i] != 1) return true;
  return false;
}

static bool place(Merge *m) {
  signed char map[MAX_RANK];
  for (int j = 0; j < m->m.nunit; j++) {
    const Unit *u = &m->s->unit[m->m.unit[j]];
    if (!unit_axes(u, &m->m, m->cls[j], map)) return false;
  }
  m->wide = m->m.masked && !any_kept(&m->m) && group_work(m->s, &m->m) >= PARALLEL_WORK;
  for (int j = 0; j < m->m.nunit; j++)
    if (!place_unit(m, j)) return false;
  return true;
}

/* ---- whether it pays */

static bool reads_from(const Grouping *s, const Group *g, int from) {
  for (int i = 0; i < g->nunit; i++) {
    const Unit *u = &s->unit[g->unit[i]];
    for (int k = 0; k < u->nread; k++)
      if (u->read[k].unit >= 0 && s->unit[u->read[k].unit].group == from) return true;
  }
  return false;
}

static bool reads_node(const Grouping *s, const Group *g, const Node *n) {
  for (int i = 0; i < g->nunit; i++) {
    const Unit *u = &s->unit[g->unit[i]];
    for (int k = 0; k < u->nread; k++)
      if (u->read[k].node == n) return true;
  }
  return false;
}

/* Something larger than a scalar that both read. */
static bool share(const Grouping *s, const Group *a, const Group *b) {
  for (int i = 0; i < a->nunit; i++) {
    const Unit *u = &s->unit[a->unit[i]];
    for (int k = 0; k < u->nread; k++)
      if (type_count(u->read[k].node->type) > 1 && reads_node(s, b, u->read[k].node)) return true;
  }
  return false;
}

static int64_t elements(const Group *g) {
  int64_t n = 1;
  for (int i = 0; i < g->rank; i++) n *= g->dim[i];
  return n;
}

static bool pays(const Grouping *s, int a, int b) {
  const Group *x = &s->group[a], *y = &s->group[b];
  if (x->nunit + y->nunit > MAX_UNITS) return false;
  if (reads_from(s, x, b) || reads_from(s, y, a)) return true;
  if (x->kind != KERNEL_LOOP || y->kind != KERNEL_LOOP || !same_domain(x, y)) return false;
  return elements(x) <= SMALL || share(s, x, y);
}

/* ---- merging */

static bool mergeable(const Group *g) {
  return !g->gone &&
         (g->kind == KERNEL_LOOP || (g->kind == KERNEL_GEMM && !provider_info(g->provider)->call));
}

/* Group a, which has taken b in, has what both had in its row of a transitive relation. ia and ib
   are the rows of a and b in the inverse relation: who is in one of them only takes the other's
   row, who is in both has it. */
static void spread(const Grouping *s, uint64_t *row, const uint64_t *ia, const uint64_t *ib, int a,
                   int b) {
  size_t words = (size_t)s->words;
  uint64_t *ra = row + words * (size_t)a, *rb = row + words * (size_t)b;
  int i;
  BITS_EACH(i, w, s->words, ia[w] ^ ib[w]) {
    if (i == a || i == b) continue;
    uint64_t *to = row + words * (size_t)i;
    const uint64_t *from = bit_get(ia, i) ? rb : ra;
    for (size_t v = 0; v < words; v++) to[v] |= from[v];
    bit_set(to, a);
  }
  for (size_t v = 0; v < words; v++) ra[v] |= rb[v];
  bit_clear(ra, a);
  bit_clear(ra, b);
}

static void take_dependences(Fusion *f, int a, int b) {
  memcpy(f->before, needs_of(f->s, a), sizeof *f->before * (size_t)f->s->words);
  spread(f->s, f->s->need, users_of(f, a), users_of(f, b), a, b);
  spread(f->s, f->users, f->before, needs_of(f->s, b), a, b);
  bit_clear(f->alive, b);
}

/* Merges group b into a if it may and pays. */
static bool try_merge(Fusion *f, int a, int b) {
  Grouping *s = f->s;
  Group *x = &s->group[a], *y = &s->group[b];
  const Group *rows;
  Merge m = {.s = s};
  if (a == b || !mergeable(x) || !mergeable(y) ||
      (x->kind == KERNEL_GEMM && y->kind == KERNEL_GEMM))
    return false;
  if (!pays(s, a, b) || !acyclic(f, a, b)) return false;
  for (int turn = 0; turn < 2; turn++) {
    const Group *p = turn ? y : x, *q = turn ? x : y;
    if (!unify(p, q, &m.m, &rows)) continue;
    join_units(&m, x, y, rows);
    if (!place(&m)) continue;
    y->gone = true;
    *x = m.m;
    x->gone = false;
    for (int j = 0; j < m.m.nunit; j++) {
      Unit *u = &s->unit[m.m.unit[j]];
      u->group = a;
      u->cls = m.cls[j];
      u->stage = m.stage[j];
    }
    take_dependences(f, a, b);
    return true;
  }
  return false;
}

/* Sums of a library's products take these in. Nothing but the sum reads them, so no cycle can
   arise. */
static void merge_sums(Fusion *f) {
  Grouping *s = f->s;
  for (int i = 0; i < s->nunit; i++) {
    Unit *u = &s->unit[i];
    for (int k = 0; u->adds && k < u->nread; k++) {
      int a = s->unit[u->read[0].unit].group, b = k ? s->unit[u->read[k].unit].group : u->group;
      Merge m = {.s = s, .m = s->group[a]};
      join_units(&m, &s->group[a], &s->group[b], NULL);
      s->group[a] = m.m;
      s->group[b].gone = true;
      for (int j = 0; j < m.m.nunit; j++) s->unit[m.m.unit[j]].group = a;
      take_dependences(f, a, b);
    }
  }
}

/* Units in order: each joins the latest group that it reads from and fits. */
static void merge_producers(Fusion *f) {
  Grouping *s = f->s;
  for (int i = 0; i < s->nunit; i++) {
    const Unit *u = &s->unit[i];
    for (int best = i; best >= 0;) {
      int next = -1;
      for (int k = 0; k < u->nread; k++) {
        int v = u->read[k].unit;
        int g = v < 0 ? -1 : s->unit[v].group;
        if (g < best && g > next) next = g;
      }
      if (next >= 0 && try_merge(f, next, u->group)) break;
      best = next;
    }
  }
}

static bool merge_pairs(Fusion *f) {
  bool changed = false;
  int a, b;
  BITS_EACH(a, v, f->s->words, f->alive[v]) {
    if (f->s->group[a].gone) continue;
    BITS_EACH(b, w, f->s->words, f->alive[w])
    if (b > a) changed = try_merge(f, a, b) || changed;
  }
  return changed;
}

static Fusion fusion_new(Grouping *s) {
  Fusion f = {.s = s};
  size_t words = (size_t)s->words;
  f.users = arena_alloc(s->arena, sizeof *f.users * (size_t)s->ngroup * words);
  f.alive = arena_array(s->arena, uint64_t, s->words);
  f.before = arena_array(s->arena, uint64_t, s->words);
  for (int i = s->ngroup - 1; i >= 0; i--) {
    bit_set(f.alive, i);
    const uint64_t *from = users_of(&f, i);
    for (int k = 0; k < s->unit[i].nread; k++) {
      int m = s->unit[i].read[k].unit;
      if (m < 0 || m == i || bit_get(users_of(&f, m), i)) continue;
      uint64_t *to = users_of(&f, m);
      for (size_t w = 0; w < words; w++) to[w] |= from[w];
      bit_set(to, i);
    }
  }
  return f;
}

bool pass_fuse(Program *p) {
  grouping_drop(p);
  for (int i = 0; i < p->nfunc; i++) {
    Arena *scratch = arena_new();
    Fusion f = fusion_new(grouping_new(scratch, p, p->func[i], true));
    merge_sums(&f);
    merge_producers(&f);
    while (merge_pairs(&f)) continue;
    grouping_emit(f.s);
    arena_free(scratch);
  }
  return true;
}
