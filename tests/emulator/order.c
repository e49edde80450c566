/* Which accesses of a launch come before which. Within a block: its barriers, and in a warp
 * __syncwarp (a vector of clocks a lane). Between blocks, which run one after the other here but in
 * any order on a device, only this: a fence by the thread that made the access (or, behind a
 * barrier, by any thread of its block), then, in the order of the program or behind a barrier, an
 * atomic operation; the same address changed atomically by the later block, then a fence, both
 * before the later access likewise. That is the release and acquire pattern of C11's and PTX's
 * fences, with barriers between a block's threads. */

#include "tests/emulator/check.h"

#include <stdlib.h>
#include <string.h>

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t most(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void forget_tickets(Checker *c) {
  for (uint32_t i = 0; i < c->nticket; i++) {
    for (uint32_t k = 0; k < c->ticket[i].n; k++) free(c->ticket[i].release[k].fences);
    free(c->ticket[i].release);
    free(c->ticket[i].last);
  }
  c->nticket = 0;
}

void order_launch(Checker *c, Run *r) {
  c->base += c->n;
  c->n = 0;
  c->nbegun = 0;
  c->begun = realloc(c->begun, r->blocks * sizeof *c->begun);
  memset(c->join, 0, sizeof c->join);
  forget_tickets(c);
}

void order_block(Checker *c, Run *r) {
  for (unsigned i = 0; i < r->threads; i++) {
    Thread *t = &r->thread[i];
    t->context = t->atomic = 0;
    t->clock = 1;
    t->fences = t->fences_at_barrier = t->fence_barrier = 0;
  }
  if (c->syncwarps) memset(c->seen, 0, sizeof c->seen);
  c->syncwarps = c->fenced = false;
  c->fence_barrier = c->nacquire = 0;
  c->begun[c->nbegun++] = r->block;
}

/* The thread's accesses from now on differ from those before. */
static void part(Thread *t) { t->context = t->atomic = 0; }

void order_barrier(Checker *c, Run *r) {
  if (c->fenced) c->fence_barrier = r->barrier;
  c->fenced = false;
  for (unsigned i = 0; i < r->threads; i++) {
    part(&r->thread[i]);
    r->thread[i].fences_at_barrier = r->thread[i].fences;
  }
}

void order_syncwarp(Checker *c, Run *r, unsigned warp, unsigned lanes) {
  Thread *t = &r->thread[warp * EMU_WARP];
  uint32_t(*seen)[EMU_WARP] = &c->seen[warp * EMU_WARP], joined[EMU_WARP] = {0};
  c->syncwarps = true;
  for (unsigned i = 0; i < EMU_WARP; i++) {
    if (!(lanes >> i & 1)) continue;
    for (unsigned k = 0; k < EMU_WARP; k++) joined[k] = most(joined[k], seen[i][k]);
    joined[i] = most(joined[i], t[i].clock);
  }
  for (unsigned i = 0; i < EMU_WARP; i++) {
    if (!(lanes >> i & 1)) continue;
    memcpy(seen[i], joined, sizeof joined);
    t[i].clock++;
    part(&t[i]);
  }
}

/* Does what the thread with this entry knows hold for t now? */
static bool reaches(const Acquire *a, const Run *r, const Thread *t) {
  return a->thread == t->index || a->barrier < r->barrier;
}

static void add_acquire(Checker *c, Acquire a) {
  c->acquire = realloc(c->acquire, (c->nacquire + 1) * sizeof a);
  c->acquire[c->nacquire++] = a;
}

static bool has_acquired(const Checker *c, const Run *r, const Thread *t, const Acquire *a) {
  for (uint32_t i = 0; i < c->nacquire; i++) {
    const Acquire *known = &c->acquire[i];
    if (known->fenced && known->ticket == a->ticket && known->n >= a->n && reaches(known, r, t))
      return true;
  }
  return false;
}

void order_fence(Checker *c, Run *r, Thread *t) {
  uint32_t n = c->nacquire;
  t->fences++;
  t->fence_barrier = r->barrier;
  c->fenced = true;
  part(t);
  for (uint32_t i = 0; i < n; i++) {
    Acquire a = c->acquire[i];
    if (a.fenced || !reaches(&a, r, t) || has_acquired(c, r, t, &a)) continue;
    a = (Acquire){
        .ticket = a.ticket, .n = a.n, .thread = t->index, .barrier = r->barrier, .fenced = true};
    add_acquire(c, a);
  }
}

static uint32_t ticket_of(Checker *c, const Run *r, const void *at) {
  for (uint32_t i = 0; i < c->nticket; i++)
    if (c->ticket[i].at == at) return i;
  c->ticket = realloc(c->ticket, (c->nticket + 1) * sizeof *c->ticket);
  c->ticket[c->nticket] = (Ticket){.at = at, .last = calloc(r->blocks, sizeof(uint32_t))};
  return c->nticket++;
}

/* What the running block makes known by t's atomic operation on the ticket. */
static void release(Checker *c, const Run *r, const Thread *t, Ticket *k) {
  Release e = {.block = r->block,
               .barrier = most(c->fence_barrier, t->fence_barrier),
               .previous = k->last[r->block]};
  if (e.barrier == 0) return;
  e.fences = malloc(r->threads * sizeof *e.fences);
  e.least = UINT32_MAX;
  for (unsigned i = 0; i < r->threads; i++) {
    e.fences[i] = i == t->index ? t->fences : r->thread[i].fences_at_barrier;
    e.least = least(e.least, e.fences[i]);
  }
  k->release = realloc(k->release, (k->n + 1) * sizeof e);
  k->release[k->n++] = e;
  k->last[r->block] = k->n;
}

void order_atomic(Checker *c, Run *r, Thread *t, const void *at) {
  uint32_t i = ticket_of(c, r, at);
  if (c->ticket[i].n > 0)
    add_acquire(
        c, (Acquire){.ticket = i, .n = c->ticket[i].n, .thread = t->index, .barrier = r->barrier});
  release(c, r, t, &c->ticket[i]);
}

static uint32_t add_context(Checker *c, Context o) {
  if (c->n == c->capacity) {
    c->capacity = c->capacity ? 2 * c->capacity : 1 << 12;
    c->context = realloc(c->context, c->capacity * sizeof o);
  }
  c->context[c->n++] = o;
  return c->base + c->n;
}

uint32_t order_context(Checker *c, const Run *r, Thread *t, bool atomic) {
  uint32_t *context = atomic ? &t->atomic : &t->context;
  if (!*context)
    *context = add_context(c, (Context){.block = r->block,
                                        .barrier = r->barrier,
                                        .lanes = 1u << t->lane,
                                        .clock = t->clock,
                                        .fences = t->fences,
                                        .warp = (uint16_t)t->warp,
                                        .kind = BY_LANES,
                                        .atomic = atomic});
  return *context;
}

const Context *order_get(const Checker *c, uint32_t context) {
  return context > c->base ? &c->context[context - c->base - 1] : NULL;
}

/* Has the release all accesses of o's threads, all of its block, that these numbers are the
 * greatest of? */
static bool releases(const Release *e, const Context *o, uint32_t barrier, uint32_t fences) {
  if (barrier < e->barrier || fences < e->least) return true;
  if (!o || o->kind != BY_LANES) return false;
  for (unsigned lane = 0; lane < EMU_WARP; lane++)
    if (o->lanes >> lane & 1 && fences >= e->fences[o->warp * EMU_WARP + lane]) return false;
  return true;
}

/* Does t know of the accesses of another block? o: whose they are, NULL: any thread's. */
static bool acquired(const Checker *c, const Run *r, const Thread *t, const Context *o,
                     uint32_t block, uint32_t barrier, uint32_t fences) {
  for (uint32_t i = 0; i < c->nacquire; i++) {
    const Acquire *a = &c->acquire[i];
    if (!a->fenced || !reaches(a, r, t)) continue;
    const Ticket *k = &c->ticket[a->ticket];
    for (uint32_t e = k->last[block]; e; e = k->release[e - 1].previous)
      if (e <= a->n && releases(&k->release[e - 1], o, barrier, fences)) return true;
  }
  return false;
}

static bool lanes_before(const Checker *c, const Context *o, const Thread *t) {
  if (o->warp != t->warp) return false;
  for (unsigned lane = 0; lane < EMU_WARP; lane++)
    if (o->lanes >> lane & 1 && lane != t->lane && c->seen[t->index][lane] < o->clock) return false;
  return true;
}

/* BY_GRID: may the block, which is not the last reader, be one of the readers? */
static bool has_read(const Context *o, uint32_t block) {
  return block >= o->first && block <= o->last && (o->readers >> block % 64 & 1);
}

bool order_before(const Checker *c, const Run *r, const Context *o, const Thread *t) {
  bool own = o->block == r->block;
  bool before =
      own ? o->barrier < r->barrier || (o->kind == BY_LANES && lanes_before(c, o, t))
          : acquired(c, r, t, o->kind == BY_LANES ? o : NULL, o->block, o->barrier, o->fences);
  for (uint32_t i = 0; o->kind == BY_GRID && before && i < c->nbegun; i++) {
    uint32_t block = c->begun[i];
    if (block != r->block && block != o->block && has_read(o, block))
      before = acquired(c, r, t, NULL, block, o->others_barrier, o->others_fences);
  }
  return before;
}

static Context joined(const Context *o, const Context *m) {
  Context j = *m;
  j.fences = most(o->fences, m->fences);
  j.barrier = most(o->barrier, m->barrier);
  j.clock = most(o->clock, m->clock);
  if (o->block != m->block) {
    j = (Context){.block = m->block, .barrier = m->barrier, .fences = m->fences, .kind = BY_GRID};
    j.others_barrier = most(o->barrier, o->others_barrier);
    j.others_fences = most(o->fences, o->others_fences);
    bool grid = o->kind == BY_GRID;
    j.readers = o->readers | (uint64_t)1 << o->block % 64;
    j.first = grid ? least(o->first, o->block) : o->block;
    j.last = grid ? most(o->last, o->block) : o->block;
  } else if (o->kind == BY_GRID) {
    j.kind = BY_GRID;
    j.others_barrier = o->others_barrier;
    j.others_fences = o->others_fences;
    j.readers = o->readers;
    j.first = o->first;
    j.last = o->last;
  } else if (o->kind == BY_BLOCK || o->warp != m->warp || o->barrier != m->barrier) {
    j.kind = BY_BLOCK;
  } else {
    j.lanes |= o->lanes;
  }
  if (j.kind != BY_LANES) j.lanes = j.clock = j.warp = 0;
  return j;
}

uint32_t order_join(Checker *c, uint32_t old, uint32_t reader) {
  Join *cached = &c->join[(old * 0x9e3779b1u ^ reader * 0x85ebca6bu) >> 20 & (NJOIN - 1)];
  if (cached->old == old && cached->reader == reader) return cached->joined;
  Context j = joined(order_get(c, old), order_get(c, reader));
  bool same = memcmp(&j, order_get(c, old), sizeof j) == 0;
  *cached = (Join){old, reader, same ? old : add_context(c, j)};
  return cached->joined;
}
