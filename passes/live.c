/* Liveness of storages: the schedule becomes a graph of steps, one a kernel, with edges around
   loops and past bodies that may be skipped; a backward dataflow says where each storage holds a
   value that is still read. Writes of a part keep the rest alive, but a call that replaces all
   parts without reading the old value ends its life at the first of them. A device may make rounds
   of a loop whose condition is false, in which nothing but a library's products writes: what the
   next round or what comes behind the loop reads stays whole in all of its body. */
#include "passes/live.h"

#include <stdlib.h>
#include <string.h>

typedef struct ItemSlot {
  const Storage *root;
  int item;
} ItemSlot;

typedef struct Written {
  int first;     /* step; -1: not written */
  int64_t bytes; /* by the whole call */
  bool read;     /* the old value is */
} Written;

static int slot_of(const Live *l, const Storage *root) {
  uint64_t h = (uint64_t)(uintptr_t)root * 0x9e3779b97f4a7c15u;
  int i = (int)(h >> 40) & (l->nslot - 1);
  while (l->slot[i].root && l->slot[i].root != root) i = (i + 1) & (l->nslot - 1);
  return i;
}

static void find_items(Live *l) {
  Program *p = l->program;
  l->item = arena_array(l->arena, Storage *, p->nstorage);
  for (l->nslot = 16; l->nslot < 2 * p->nstorage; l->nslot *= 2) continue;
  l->slot = arena_array(l->arena, ItemSlot, l->nslot);
  for (int i = 0; i < p->nstorage; i++) {
    Storage *s = p->storage[i];
    if (s->base || storage_permanent(s)) continue;
    l->slot[slot_of(l, s)] = (ItemSlot){s, l->nitem};
    l->item[l->nitem++] = s;
  }
}

int live_item(const Live *l, const Storage *s) {
  const ItemSlot *x = &l->slot[slot_of(l, storage_root(s))];
  return x->root ? x->item : -1;
}

/* Where the item is or would be. */
static int items_at(const Items *s, int item) {
  int lo = 0, hi = s->n;
  while (lo < hi) {
    int mid = lo + (hi - lo) / 2;
    if (s->item[mid] < item)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

bool items_have(const Items *s, int item) {
  int at = items_at(s, item);
  return at < s->n && s->item[at] == item;
}

static void items_add(Live *l, Items *s, int item) {
  int at = items_at(s, item);
  if (item < 0 || (at < s->n && s->item[at] == item)) return;
  VEC_PUSH(l->arena, s->item, s->n, s->cap, item);
  memmove(s->item + at + 1, s->item + at, sizeof *s->item * (size_t)(s->n - 1 - at));
  s->item[at] = item;
}

static int add_step(Live *l, const Func *f, Kernel *k, int guard) {
  Step s = {.func = f, .kernel = k, .next = l->nstep + 1, .jump = -1, .guard = guard};
  VEC_PUSH(l->arena, l->step, l->nstep, l->cap, s);
  return l->nstep - 1;
}

/* ---- one call */

typedef struct UseCtx {
  Live *l;
  Step *step;
} UseCtx;

static void note_use(void *ctx, Node *n, const Index *at, int stage) {
  UseCtx *c = ctx;
  (void)at, (void)stage;
  const Kernel *k = c->step->kernel;
  for (int i = 0; i < k->nanchor; i++)
    if (k->anchor[i].node == n && n->op != OP_param) return;
  const Storage *s = c->step->func->home[n->id];
  if (s) items_add(c->l, &c->step->use, live_item(c->l, s));
}

static int64_t stored_bytes(const Kernel *k, const Storage *root) {
  int64_t n = 0;
  for (int i = 0; i < k->nstore; i++) {
    const Storage *d = k->store[i].dest;
    bool twice = false;
    for (int j = 0; j < i; j++) twice = twice || k->store[j].dest == d;
    if (!twice && !k->store[i].row && storage_root(d) == root) n += type_bytes(d->type);
  }
  return n;
}

/* Reads of old values anywhere in the call: params, since homes hold new values. */
static void note_old_reads(Live *l, const Func *f) {
  Arena *scratch = arena_new();
  bool *mark = arena_array(scratch, bool, f->graph->nnode);
  ir_reach(f->graph, f->result, f->nresult, mark);
  for (int i = 0; i < f->graph->nnode; i++) {
    if (!mark[i] || f->graph->node[i]->op != OP_param || !f->home[i]) continue;
    int item = live_item(l, f->home[i]);
    if (item >= 0) l->written[item].read = true;
  }
  arena_free(scratch);
}

/* Kills items at the first step of the call that writes them, if the call replaces them wholly and
 * unread. */
static void kill_in_call(Live *l, const Func *f, int from, int to) {
  for (int i = from; i < to; i++) {
    const Step *s = &l->step[i];
    for (int k = 0; k < s->use.n; k++) l->written[s->use.item[k]] = (Written){-1, 0, false};
    for (int k = 0; k < s->write.n; k++) l->written[s->write.item[k]] = (Written){-1, 0, false};
  }
  for (int i = from; i < to; i++) {
    const Step *s = &l->step[i];
    for (int k = 0; k < s->use.n; k++) {
      Written *w = &l->written[s->use.item[k]];
      w->read = w->read || w->first < 0;
    }
    for (int k = 0; k < s->write.n; k++) {
      Written *w = &l->written[s->write.item[k]];
      if (w->first < 0) w->first = i;
      w->bytes += stored_bytes(s->kernel, l->item[s->write.item[k]]);
    }
  }
  note_old_reads(l, f);
  for (int i = from; i < to; i++)
    for (int k = 0; k < l->step[i].write.n; k++) {
      int item = l->step[i].write.item[k];
      const Written *w = &l->written[item];
      if (w->first == i && !w->read && w->bytes >= type_bytes(l->item[item]->type))
        items_add(l, &l->step[i].kill, item);
    }
}

static void add_call(Live *l, const Func *f, int guard) {
  int from = l->nstep;
  VEC_PUSH(l->arena, l->called, l->ncalled, l->called_cap, f);
  for (int i = 0; i < f->nkernel; i++) {
    int at = add_step(l, f, f->kernel[i], guard);
    Step *s = &l->step[at];
    UseCtx c = {l, s};
    kernel_reads(f, s->kernel, note_use, &c);
    for (int k = 0; k < s->kernel->nstore; k++)
      items_add(l, &s->write, live_item(l, s->kernel->store[k].dest));
    if (!s->kernel->scratch) continue;
    items_add(l, &s->write, live_item(l, s->kernel->scratch));
    items_add(l, &s->kill, live_item(l, s->kernel->scratch));
  }
  kill_in_call(l, f, from, l->nstep);
}

/* ---- the schedule */

static void add_stmts(Live *l, const Stmt *first, int guard) {
  for (const Stmt *s = first; s; s = s->next) {
    if (s->kind == STMT_CALL) {
      add_call(l, s->func, guard);
      continue;
    }
    if (s->kind != STMT_REPEAT && s->kind != STMT_WHILE && s->kind != STMT_REPORT)
      compiler_bug("plan_memory", "a step or a solve is left in the schedule");
    int head = add_step(l, NULL, NULL, guard);
    bool guards = s->kind == STMT_WHILE && !stmt_is_top_loop(l->program, s);
    if (s->cond) items_add(l, &l->step[head].use, live_item(l, s->cond));
    add_stmts(l, s->body, guards ? head : guard);
    int end = add_step(l, NULL, NULL, guard);
    if (s->kind != STMT_REPORT) l->step[end].next = head;
    if (stmt_is_top_loop(l->program, s)) {
      l->top_head = head;
      l->top_end = end;
    }
    l->step[head].jump = end + 1;
  }
}

static int by_address(const void *x, const void *y) {
  uintptr_t a = (uintptr_t) * (const Func *const *)x, b = (uintptr_t) * (const Func *const *)y;
  return a < b ? -1 : a > b;
}

static void pin(Live *l, const Func *f, const Items *s) {
  for (int i = 0; i < s->n; i++) {
    const Storage *x = l->item[s->item[i]];
    bool own = x->kind == ST_TEMP && !strncmp(x->name, f->name, strlen(f->name));
    l->pinned[s->item[i]] = l->pinned[s->item[i]] || !own;
  }
}

/* Functions for other uses than the run: what they share with it keeps its bytes for itself. */
static void add_others(Live *l) {
  int end = l->nstep, n = l->ncalled;
  const Func **called = arena_dup(l->arena, l->called, sizeof *called * (size_t)n);
  if (n) qsort(called, (size_t)n, sizeof *called, by_address);
  for (int i = 0; i < l->program->nfunc; i++) {
    const Func *f = l->program->func[i];
    if (n && bsearch(&f, called, (size_t)n, sizeof f, by_address)) continue;
    int from = l->nstep;
    add_call(l, f, -1);
    for (int k = from; k < l->nstep; k++) {
      pin(l, f, &l->step[k].use);
      pin(l, f, &l->step[k].write);
    }
  }
  if (end > 0) l->step[end - 1].next = l->step[end - 1].next == end ? -1 : l->step[end - 1].next;
  for (int i = 0; i < end; i++)
    if (l->step[i].jump == end) l->step[i].jump = -1;
  if (l->nstep > end) l->step[l->nstep - 1].next = -1;
}

uint64_t live_out_word(const Live *l, const Step *s, int w) {
  uint64_t out = 0;
  if (s->next >= 0 && s->next < l->nstep) out |= l->step[s->next].in[w];
  if (s->jump >= 0 && s->jump < l->nstep) out |= l->step[s->jump].in[w];
  for (int g = s->guard; g >= 0; g = l->step[g].guard) out |= l->step[g].in[w];
  return out;
}

bool live_out(const Live *l, const Step *s, int item) {
  return live_out_word(l, s, item / 64) >> (item % 64) & 1;
}

static bool flow(Live *l, Step *s) {
  for (int w = 0; w < l->words; w++) l->row[w] = live_out_word(l, s, w);
  for (int k = 0; k < s->kill.n; k++) bit_clear(l->row, s->kill.item[k]);
  for (int k = 0; k < s->use.n; k++) bit_set(l->row, s->use.item[k]);
  size_t size = sizeof *l->row * (size_t)l->words;
  if (!memcmp(s->in, l->row, size)) return false;
  memcpy(s->in, l->row, size);
  return true;
}

void live_busy(const Live *l, const Step *s, uint64_t *busy) {
  for (int w = 0; w < l->words; w++) busy[w] = s->in[w] | live_out_word(l, s, w);
  for (int k = 0; k < s->use.n; k++) bit_set(busy, s->use.item[k]);
  for (int k = 0; k < s->write.n; k++) bit_set(busy, s->write.item[k]);
}

Live *live_new(Arena *scratch, Program *p) {
  Live *l = arena_new_of(scratch, Live);
  l->arena = scratch;
  l->program = p;
  find_items(l);
  l->words = bit_words(l->nitem);
  l->pinned = arena_array(scratch, bool, l->nitem);
  l->top_head = l->top_end = -1;
  l->written = arena_array(scratch, Written, l->nitem);
  l->row = arena_array(scratch, uint64_t, l->words);
  add_stmts(l, p->schedule, -1);
  add_others(l);
  for (int i = 0; i < l->nstep; i++) l->step[i].in = arena_array(scratch, uint64_t, l->words);
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = l->nstep - 1; i >= 0; i--) changed = flow(l, &l->step[i]) || changed;
  }
  return l;
}
