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
  for (int i = 0; i < s->use.n; i++) {
    int a = s->use.item[i];
    if (!s->kernel || live_out(l, s, a) || items_have(&s->write, a)) continue;
    for (int k = 0; k < s->kill.n; k++) {
      int b = s->kill.item[k];
      if (bit_get(s->in, b) || partner[b] >= 0) continue;
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

static void clash_with(Planner *pl, int a, int b) {
  bit_set(pl->clash[a], b);
  bit_set(pl->clash[b], a);
}

/* Two items clash that are both in use at a step, unless they are partners there. Those that were
   both in use at the step before, and no partners, clash already. */
static void find_clashes(Planner *pl) {
  Live *l = pl->live;
  uint64_t *busy = arena_array(pl->arena, uint64_t, l->words);
  uint64_t *before = arena_array(pl->arena, uint64_t, l->words);
  int *partner = arena_array(pl->arena, int, l->nitem), a, b;
  for (int i = 0; i < l->nitem; i++) partner[i] = -1;
  for (int i = 0; i < l->nstep; i++) {
    const Step *s = &l->step[i];
    live_busy(l, s, busy);
    match(pl, s, partner);
    BITS_EACH(a, v, l->words, busy[v] & ~before[v]) {
      BITS_EACH(b, w, l->words, busy[w]) {
        if (partner[a] != b) clash_with(pl, a, b);
      }
    }
    memcpy(before, busy, sizeof *busy * (size_t)l->words);
    for (int k = 0; k < s->use.n; k++) {
      a = s->use.item[k];
      b = partner[a];
      if (b < 0) continue;
      bit_clear(before, a);
      bit_clear(before, b);
      partner[a] = partner[b] = -1;
    }
  }
}

static int leader(const Planner *pl, int i) {
  while (pl->same[i] != i) i = pl->same[i] = pl->same[pl->same[i]];
  return i;
}

/* b's group joins a's: all of one clash with whatever clashes with one. */
static void join(Planner *pl, int a, int b) {
  int i;
  pl->same[b] = a;
  BITS_EACH(i, w, pl->live->words, pl->clash[b][w]) {
    if (i != a && i != b) clash_with(pl, a, i);
  }
}

static bool groups_clash(const Planner *pl, int a, int b) {
  int i;
  BITS_EACH(i, w, pl->live->words, pl->clash[a][w]) {
    if (leader(pl, i) == b) return true;
  }
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

/* By leader, the leaders of groups that clash with its own: groups_clash both ways, for all at
 * once. */
static uint64_t **group_clashes(const Planner *pl) {
  Live *l = pl->live;
  uint64_t **group = arena_array(pl->arena, uint64_t *, l->nitem);
  int i;
  for (int a = 0; a < l->nitem; a++)
    if (pl->same[a] == a) group[a] = arena_array(pl->arena, uint64_t, l->words);
  for (int a = 0; a < l->nitem; a++) {
    if (pl->same[a] != a) continue;
    BITS_EACH(i, w, l->words, pl->clash[a][w]) {
      bit_set(group[a], leader(pl, i));
      bit_set(group[leader(pl, i)], a);
    }
  }
  return group;
}

/* The smallest gap between what clashes that holds the item, above the permanent storages. placed:
   n items by offset. */
static int64_t best_gap(const Planner *pl, int item, const uint64_t *clash, const int *placed,
                        int n, int64_t base) {
  int64_t at = base, best = -1, gap = INT64_MAX, size = size_of(pl, item);
  for (int i = 0; i < n; i++) {
    if (!bit_get(clash, placed[i])) continue;
    int64_t lo = pl->live->item[placed[i]]->offset, hi = lo + size_of(pl, placed[i]);
    if (lo - at >= size && lo - at < gap) {
      best = at;
      gap = lo - at;
    }
    if (hi > at) at = hi;
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
  uint64_t **clash = group_clashes(pl);
  for (int i = 0; i < l->nitem; i++)
    if (pl->same[i] == i) order[n++] = (Sized){size_of(pl, i), i};
  qsort(order, (size_t)n, sizeof *order, largest_first);
  for (int i = 0; i < n; i++) {
    int item = order[i].item, k = i;
    int64_t at = best_gap(pl, item, clash[item], placed, i, base);
    l->item[item]->offset = at;
    for (; k > 0 && l->item[placed[k - 1]]->offset > at; k--) placed[k] = placed[k - 1];
    placed[k] = item;
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

/* What is in use at one of the kernel's steps, and whose bytes nobody needs after any of them.
   next: the other items of a group, around. */
static void find_dead(Planner *pl, Kernel *k, Step *const *step, int n, uint64_t *busy,
                      uint64_t *out, const int *next) {
  Live *l = pl->live;
  int cap = 0, i;
  memset(out, 0, sizeof *out * (size_t)l->words);
  memset(busy, 0, sizeof *busy * (size_t)l->words);
  for (int j = 0; j < n; j++) {
    live_busy(l, step[j], l->row);
    for (int w = 0; w < l->words; w++) busy[w] |= l->row[w];
    for (int w = 0; w < l->words; w++) out[w] |= live_out_word(l, step[j], w);
  }
  BITS_EACH(i, w, l->words, busy[w] & ~out[w]) {
    bool lives = l->pinned[i];
    for (int j = next[i]; j != i && !lives; j = next[j]) lives = bit_get(out, j);
    if (!lives) VEC_PUSH(pl->p->arena, k->dead, k->ndead, cap, l->item[i]);
  }
}

/* Rings of the items that share an offset. */
static int *group_rings(Planner *pl) {
  int n = pl->live->nitem, *next = arena_array(pl->arena, int, n);
  for (int i = 0; i < n; i++) next[i] = i;
  for (int i = 0; i < n; i++) {
    int first = leader(pl, i);
    if (first == i) continue;
    next[i] = next[first];
    next[first] = i;
  }
  return next;
}

static void find_all_dead(Planner *pl) {
  Live *l = pl->live;
  Step **step = arena_array(pl->arena, Step *, l->nstep);
  for (int i = 0; i < pl->p->nfunc; i++)
    for (int k = 0; k < pl->p->func[i]->nkernel; k++) {
      pl->p->func[i]->kernel[k]->dead = NULL;
      pl->p->func[i]->kernel[k]->ndead = 0;
    }
  uint64_t *busy = arena_array(pl->arena, uint64_t, l->words);
  uint64_t *out = arena_array(pl->arena, uint64_t, l->words);
  int *next = group_rings(pl);
  for (int i = 0; i < l->nstep; i++) step[i] = &l->step[i];
  qsort(step, (size_t)l->nstep, sizeof *step, by_kernel);
  for (int i = 0, n; i < l->nstep; i += n) {
    for (n = 1; i + n < l->nstep && step[i + n]->kernel == step[i]->kernel; n++) continue;
    if (step[i]->kernel) find_dead(pl, step[i]->kernel, step + i, n, busy, out, next);
  }
}

/* Values that a round of the top level's loop leaves to the next. What the loop reads only was
 * made before it, and is made again before a resumed run enters the loop. */
static void find_carried(Live *l) {
  for (int i = 0; i < l->nitem; i++) l->item[i]->carried = false;
  for (int k = l->top_head; k >= 0 && k < l->top_end; k++)
    for (int i = 0; i < l->step[k].write.n; i++) {
      int item = l->step[k].write.item[i];
      if (bit_get(l->step[l->top_head].in, item)) l->item[item]->carried = true;
    }
}

static void record(Planner *pl) {
  Live *l = pl->live;
  find_carried(l);
  for (int i = 0; i < pl->p->nstorage; i++) {
    pl->p->storage[i]->born = 0;
    pl->p->storage[i]->dies = l->nstep;
  }
  for (int i = 0; i < l->nitem; i++) l->item[i]->born = l->item[i]->dies = -1;
  uint64_t *busy = arena_array(pl->arena, uint64_t, l->words);
  uint64_t *before = arena_array(pl->arena, uint64_t, l->words);
  for (int k = 0, i; k <= l->nstep; k++) { /* one step further, nothing is in use */
    memset(busy, 0, sizeof *busy * (size_t)l->words);
    if (k < l->nstep) live_busy(l, &l->step[k], busy);
    BITS_EACH(i, w, l->words, busy[w] ^ before[w]) {
      if (bit_get(before, i))
        l->item[i]->dies = k - 1;
      else if (l->item[i]->born < 0)
        l->item[i]->born = k;
    }
    memcpy(before, busy, sizeof *busy * (size_t)l->words);
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
    if (share) pl.clash[i] = arena_array(scratch, uint64_t, l->words);
    pl.same[i] = i;
  }
  for (int i = 0; i < p->nstorage; i++)
    if (!p->storage[i]->base && storage_permanent(p->storage[i])) own_bytes(&pl, p->storage[i]);
  if (share) {
    find_clashes(&pl);
    for (int i = 0; i < l->nitem; i++)
      for (int k = 0; l->pinned[i] && k < l->nitem; k++) clash_with(&pl, i, k);
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
