/* plan_memory gives every storage its own bytes of the arena; reuse lets storages that are never in
   use at the same time share them. Placement is greedy, largest first, into the gap that fits best.
   An elementwise result takes over the bytes of an operand that dies there. Both say after which
   kernel a value is dead. */
#include <stdlib.h>
#include <string.h>

#include "passes/live.h"
#include "passes/passes.h"

enum { ALIGN = ARENA_ALIGN };

typedef struct Pair {
  int a, b;
} Pair;

typedef struct Planner {
  Program *p;
  Arena *arena;
  Live *live;
  uint64_t **clash; /* by item: items that are in use at one time with it */
  int *same;        /* by item: the item whose offset it takes (itself: its own) */
  Pair *pair;       /* operand and result that may share */
  int npair, pair_cap;
  int64_t top;
} Planner;

static int64_t align(int64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }
static int64_t size_of(const Planner *pl, int item) {
  return align(type_bytes(pl->live->item[item]->type));
}

/* ---- taking over a dying operand */

typedef struct Takeover {
  const Func *f;
  const Kernel *k;
  const Storage *operand;
  DType dtype;
  bool ok;
} Takeover;

static void check_read(void *ctx, Node *n, const Index *at, int stage) {
  Takeover *t = ctx;
  Index own;
  (void)stage;
  const Storage *s = t->f->home[n->id];
  if (!s || storage_root(s) != t->operand) return;
  t->ok = t->ok && s == t->operand && s->type.dtype == t->dtype &&
          kernel_index(t->k, ANCHOR_ELEM, n, &own) &&
          !memcmp(own.axis, at->axis, (size_t)n->type.rank);
}

static bool may_take_over(const Step *s, Storage *operand, const Storage *result) {
  const Kernel *k = s->kernel;
  bool elem = false;
  if (k->kind != KERNEL_LOOP || type_bytes(operand->type) != type_bytes(result->type)) return false;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].stage > 0 || k->anchor[i].node->op == OP_param) return false;
  for (int i = 0; i < k->nstore; i++) {
    const Store *st = &k->store[i];
    if (storage_root(st->dest) == operand) return false;
    if (storage_root(st->dest) != result) continue;
    if (st->dest != result || st->row) return false;
    for (int j = 0; j < k->nanchor; j++)
      if (k->anchor[j].node == st->node) elem = k->anchor[j].cls == ANCHOR_ELEM;
  }
  Takeover t = {s->func, k, operand, result->type.dtype, elem};
  kernel_reads(s->func, k, check_read, &t);
  return t.ok;
}

/* Matches operands that die at the step with results that are born there; partner[item] or -1. */
static void match(Planner *pl, const Step *s, int *partner) {
  Live *l = pl->live;
  for (int i = 0; i < l->nitem; i++) partner[i] = -1;
  if (!s->kernel) return;
  for (int a = 0; a < l->nitem; a++) {
    if (!bit_get(s->use, a) || bit_get(s->out, a) || bit_get(s->write, a)) continue;
    for (int b = 0; b < l->nitem; b++) {
      if (!bit_get(s->kill, b) || bit_get(s->in, b) || partner[b] >= 0) continue;
      if (l->item[b] == s->kernel->scratch || !may_take_over(s, l->item[a], l->item[b])) continue;
      partner[a] = b;
      partner[b] = a;
      Pair pair = {a, b};
      VEC_PUSH(pl->arena, pl->pair, pl->npair, pl->pair_cap, pair);
      break;
    }
  }
}

/* ---- clashes */

static void find_clashes(Planner *pl) {
  Live *l = pl->live;
  uint64_t *busy = arena_array(pl->arena, uint64_t, l->words);
  int *partner = arena_array(pl->arena, int, l->nitem);
  for (int i = 0; i < l->nstep; i++) {
    const Step *s = &l->step[i];
    for (int w = 0; w < l->words; w++) busy[w] = s->in[w] | s->out[w] | s->write[w] | s->use[w];
    match(pl, s, partner);
    for (int a = 0; a < l->nitem; a++) {
      if (!bit_get(busy, a)) continue;
      bool had = partner[a] >= 0 && bit_get(pl->clash[a], partner[a]);
      for (int w = 0; w < l->words; w++) pl->clash[a][w] |= busy[w];
      if (partner[a] >= 0 && !had) bit_clear(pl->clash[a], partner[a]);
    }
  }
}

static int leader(const Planner *pl, int i) {
  while (pl->same[i] != i) i = pl->same[i];
  return i;
}

static void clash_with(Planner *pl, int a, int b) {
  bit_set(pl->clash[a], b);
  bit_set(pl->clash[b], a);
}

/* b's group joins a's: all of one clash with whatever clashes with one. */
static void join(Planner *pl, int a, int b) {
  Live *l = pl->live;
  pl->same[b] = a;
  for (int i = 0; i < l->nitem; i++)
    if (bit_get(pl->clash[b], i) && i != a && i != b) clash_with(pl, a, i);
}

static bool groups_clash(const Planner *pl, int a, int b) {
  for (int i = 0; i < pl->live->nitem; i++)
    if (leader(pl, i) == b && bit_get(pl->clash[a], i)) return true;
  return bit_get(pl->clash[b], a);
}

static void join_pairs(Planner *pl) {
  for (int i = 0; i < pl->npair; i++) {
    int a = leader(pl, pl->pair[i].a), b = leader(pl, pl->pair[i].b);
    if (a == b) continue;
    bool pinned = pl->live->pinned[a] || pl->live->pinned[b];
    if (!pinned && size_of(pl, a) == size_of(pl, b) && !groups_clash(pl, a, b) &&
        !groups_clash(pl, b, a))
      join(pl, a, b);
  }
  for (int i = 0; i < pl->npair; i++)
    if (leader(pl, pl->pair[i].a) != leader(pl, pl->pair[i].b)) {
      clash_with(pl, pl->pair[i].a, pl->pair[i].b);
      clash_with(pl, leader(pl, pl->pair[i].a), leader(pl, pl->pair[i].b));
    }
}

/* ---- placement */

typedef struct Range {
  int64_t lo, hi;
} Range;

static int range_order(const void *x, const void *y) {
  const Range *a = x, *b = y;
  return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* By leader, the leaders of groups that clash with its own: groups_clash both ways, for all at
 * once. */
static uint64_t **group_clashes(const Planner *pl) {
  Live *l = pl->live;
  uint64_t **group = arena_array(pl->arena, uint64_t *, l->nitem);
  for (int i = 0; i < l->nitem; i++) group[i] = arena_array(pl->arena, uint64_t, l->words);
  for (int a = 0; a < l->nitem; a++)
    for (int i = 0; pl->same[a] == a && i < l->nitem; i++) {
      if (!bit_get(pl->clash[a], i)) continue;
      bit_set(group[a], leader(pl, i));
      bit_set(group[leader(pl, i)], a);
    }
  return group;
}

/* The smallest gap between what clashes that holds the item, above the permanent storages. r: room
 * for n. */
static int64_t best_gap(const Planner *pl, int item, const uint64_t *clash, const int *placed,
                        int n, Range *r, int64_t base) {
  int nr = 0;
  for (int i = 0; i < n; i++) {
    int64_t lo = pl->live->item[placed[i]]->offset;
    if (bit_get(clash, placed[i])) r[nr++] = (Range){lo, lo + size_of(pl, placed[i])};
  }
  qsort(r, (size_t)nr, sizeof *r, range_order);
  int64_t at = base, best = -1, gap = INT64_MAX, size = size_of(pl, item);
  for (int i = 0; i < nr; i++) {
    if (r[i].lo - at >= size && r[i].lo - at < gap) {
      best = at;
      gap = r[i].lo - at;
    }
    if (r[i].hi > at) at = r[i].hi;
  }
  return best >= 0 ? best : at;
}

typedef struct Sized {
  int64_t size;
  int item;
} Sized;

static int largest_first(const void *x, const void *y) {
  const Sized *a = x, *b = y;
  if (a->size != b->size) return a->size > b->size ? -1 : 1;
  return a->item - b->item;
}

static void share_bytes(Planner *pl) {
  Live *l = pl->live;
  int64_t base = pl->top;
  int *placed = arena_array(pl->arena, int, l->nitem), n = 0;
  Sized *order = arena_array(pl->arena, Sized, l->nitem);
  Range *range = arena_array(pl->arena, Range, l->nitem);
  uint64_t **clash = group_clashes(pl);
  for (int i = 0; i < l->nitem; i++)
    if (pl->same[i] == i) order[n++] = (Sized){size_of(pl, i), i};
  qsort(order, (size_t)n, sizeof *order, largest_first);
  for (int i = 0; i < n; i++) {
    int item = order[i].item;
    int64_t at = best_gap(pl, item, clash[item], placed, i, range, base);
    l->item[item]->offset = at;
    placed[i] = item;
    if (at + order[i].size > pl->top) pl->top = at + order[i].size;
  }
  for (int i = 0; i < l->nitem; i++) l->item[i]->offset = l->item[leader(pl, i)]->offset;
}

static void own_bytes(Planner *pl, Storage *s) {
  s->offset = pl->top;
  pl->top += align(type_bytes(s->type));
}

/* ---- what is dead after which kernel */

static int by_kernel(const void *x, const void *y) {
  const Step *const *a = x, *const *b = y;
  if ((*a)->kernel != (*b)->kernel)
    return (uintptr_t)(*a)->kernel < (uintptr_t)(*b)->kernel ? -1 : 1;
  return *a < *b ? -1 : *a > *b;
}

/* What is in use at one of the kernel's steps, and whose bytes nobody needs after any of them. */
static void find_dead(Planner *pl, Kernel *k, Step *const *step, int n) {
  Live *l = pl->live;
  Arena *scratch = arena_new();
  bool *lives = arena_array(scratch, bool, l->nitem); /* by leader */
  int cap = 0;
  for (int j = 0; j < n; j++)
    for (int i = 0; i < l->nitem; i++)
      if (bit_get(step[j]->out, i)) lives[leader(pl, i)] = true;
  for (int i = 0; i < l->nitem; i++) {
    bool busy = false;
    for (int j = 0; j < n; j++) busy = busy || live_busy(l, step[j], i);
    if (busy && !l->pinned[i] && !lives[leader(pl, i)])
      VEC_PUSH(pl->p->arena, k->dead, k->ndead, cap, l->item[i]);
  }
  arena_free(scratch);
}

static void find_all_dead(Planner *pl) {
  Live *l = pl->live;
  Step **step = arena_array(pl->arena, Step *, l->nstep);
  for (int i = 0; i < pl->p->nfunc; i++)
    for (int k = 0; k < pl->p->func[i]->nkernel; k++) {
      pl->p->func[i]->kernel[k]->dead = NULL;
      pl->p->func[i]->kernel[k]->ndead = 0;
    }
  for (int i = 0; i < l->nstep; i++) step[i] = &l->step[i];
  qsort(step, (size_t)l->nstep, sizeof *step, by_kernel);
  for (int i = 0, n; i < l->nstep; i += n) {
    for (n = 1; i + n < l->nstep && step[i + n]->kernel == step[i]->kernel; n++) continue;
    if (step[i]->kernel) find_dead(pl, step[i]->kernel, step + i, n);
  }
}

/* Values that a round of the top level's loop leaves to the next. What the loop reads only was
 * made before it, and is made again before a resumed run enters the loop. */
static void find_carried(Live *l) {
  for (int i = 0; i < l->nitem; i++) {
    l->item[i]->carried = false;
    if (l->top_head < 0 || !bit_get(l->step[l->top_head].in, i)) continue;
    for (int k = l->top_head; k < l->top_end; k++)
      if (bit_get(l->step[k].write, i)) l->item[i]->carried = true;
  }
}

static void record(Planner *pl) {
  Live *l = pl->live;
  find_carried(l);
  for (int i = 0; i < pl->p->nstorage; i++) {
    pl->p->storage[i]->born = 0;
    pl->p->storage[i]->dies = l->nstep;
  }
  for (int i = 0; i < l->nitem; i++) {
    l->item[i]->born = l->item[i]->dies = -1;
    for (int k = 0; k < l->nstep; k++) {
      if (!live_busy(l, &l->step[k], i)) continue;
      if (l->item[i]->born < 0) l->item[i]->born = k;
      l->item[i]->dies = k;
    }
  }
  find_all_dead(pl);
}

static void plan(Program *p, bool share) {
  Arena *scratch = arena_new();
  Planner pl = {.p = p, .arena = scratch, .live = live_new(scratch, p)};
  Live *l = pl.live;
  pl.clash = arena_array(scratch, uint64_t *, l->nitem);
  pl.same = arena_array(scratch, int, l->nitem);
  for (int i = 0; i < l->nitem; i++) {
    pl.clash[i] = arena_array(scratch, uint64_t, l->words);
    pl.same[i] = i;
  }
  for (int i = 0; i < p->nstorage; i++)
    if (!p->storage[i]->base && storage_permanent(p->storage[i])) own_bytes(&pl, p->storage[i]);
  if (share) {
    find_clashes(&pl);
    for (int i = 0; i < l->nitem; i++)
      for (int k = 0; k < l->nitem; k++)
        if (l->pinned[i]) clash_with(&pl, i, k);
    join_pairs(&pl);
    share_bytes(&pl);
  } else {
    for (int i = 0; i < l->nitem; i++) own_bytes(&pl, l->item[i]);
  }
  for (int i = 0; i < p->nstorage; i++)
    if (p->storage[i]->base)
      p->storage[i]->offset = storage_root(p->storage[i])->offset + storage_start(p->storage[i]);
  p->arena_bytes = pl.top;
  record(&pl);
  arena_free(scratch);
}

bool pass_plan_memory(Program *p) { return plan(p, false), true; }
bool pass_reuse(Program *p) { return plan(p, true), true; }
