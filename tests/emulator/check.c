/* Accesses of instrumented kernels: are they inside of buffers, and is each after those that it
 * conflicts with? Every byte of a buffer has a cell with its last writer and its readers (check.h);
 * threads run in one order here, but what counts is only what orders them on a device (order.c). */

#include "tests/emulator/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MANY_CONTEXTS = 0x70000000 };

void check_region(Region *r) {
  if (!emu.option.check) return;
  void *cells = mmap(NULL, r->n * sizeof(Cell), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  r->cell = cells == MAP_FAILED ? NULL : cells;
}

void check_launch(Run *r) {
  if (!emu.option.check) return;
  if (!emu.checker) emu.checker = calloc(1, sizeof *emu.checker);
  Checker *c = emu.checker;
  if (c->base + (uint64_t)c->n > MANY_CONTEXTS) { /* numbers begin anew */
    for (int i = 0; i < emu.nregion; i++)
      if (emu.region[i].cell)
        madvise(emu.region[i].cell, emu.region[i].n * sizeof(Cell), MADV_DONTNEED);
    c->base = c->n = 0;
  }
  order_launch(c, r);
}

void check_block(Run *r) {
  if (emu.option.check) order_block(emu.checker, r);
}

void check_barrier(Run *r) {
  if (emu.option.check) order_barrier(emu.checker, r);
}

void check_syncwarp(Run *r, unsigned warp, unsigned lanes) {
  if (emu.option.check) order_syncwarp(emu.checker, r, warp, lanes);
}

void check_fence(void) {
  if (emu.option.check) order_fence(emu.checker, &emu.run, emu.run.current);
}

typedef struct Access {
  const char *at;
  size_t n;
  bool write, atomic;
  const void *pc;      /* behind it, or NULL: */
  const EmuSite *site; /* where it is */
} Access;

static const char *name_of(const Access *a) {
  return a->atomic ? "atomic operation" : a->write ? "store" : "load";
}

/* Where the access is in the text, as far as is known. */
static const EmuSite *site_of(const Access *a, EmuSite *site, char *file, size_t n) {
  return a->site ? a->site : module_site(a->pc, site, file, n);
}

/* The region that is nearest to an address outside of all, and how far it is from its bytes. */
static const Region *nearest(const char *at, size_t *away) {
  const Region *found = NULL;
  for (int i = 0; i < emu.nregion; i++) {
    const Region *r = &emu.region[i];
    size_t d = at < r->base           ? (size_t)(r->base - at)
               : at >= r->base + r->n ? (size_t)(at - r->base - r->n)
                                      : 0;
    if (found && d >= *away) continue;
    found = r;
    *away = d;
  }
  return found;
}

static void outside(const Access *a) {
  EmuSite site;
  char file[256];
  size_t away = 0;
  const Region *r = nearest(a->at, &away);
  run_fail(CUDA_ERROR_ILLEGAL_ADDRESS, site_of(a, &site, file, sizeof file),
           "%s of %zu bytes outside of every buffer at %p: %zu bytes %s one of %zu bytes",
           name_of(a), a->n, (const void *)a->at, away,
           r && a->at < r->base ? "before" : "behind the end of", r ? r->n : 0);
}

static void race(const Access *a, const Region *g, size_t offset, const Context *o, bool wrote) {
  EmuSite site;
  char file[256], who[96];
  if (o->kind == BY_LANES)
    snprintf(who, sizeof who, "thread %u of block %u",
             o->warp * EMU_WARP + (unsigned)__builtin_ctz(o->lanes), o->block);
  else
    snprintf(who, sizeof who,
             o->kind == BY_BLOCK ? "several warps of block %u" : "several blocks, %u of them,",
             o->block);
  run_fail(CUDA_ERROR_LAUNCH_FAILED, site_of(a, &site, file, sizeof file),
           "race: %s of %zu bytes at byte %zu of a %s buffer of %zu bytes, where %s %s; nothing "
           "orders them",
           name_of(a), a->n, offset, g->kind == REGION_SHARED ? "shared" : "global", g->n, who,
           o->atomic ? "changed it atomically"
           : wrote   ? "stored"
                     : "loaded");
}

/* Shared memory is a block's own: what others did there before is nothing to it. */
static const Context *live(const Checker *c, const Region *g, uint32_t context) {
  const Context *o = order_get(c, context);
  return o && g->kind == REGION_SHARED && o->block != emu.run.block ? NULL : o;
}

static void load(Checker *c, const Access *a, const Region *g, size_t at, uint32_t me) {
  Cell *cell = &g->cell[at];
  Run *r = &emu.run;
  if (cell->read == me) return;
  const Context *o = live(c, g, cell->write);
  if (o && !order_before(c, r, o, r->current)) race(a, g, at, o, true);
  o = live(c, g, cell->read);
  cell->read = o && !order_before(c, r, o, r->current) ? order_join(c, cell->read, me) : me;
}

static void store(Checker *c, const Access *a, const Region *g, size_t at, uint32_t me) {
  Cell *cell = &g->cell[at];
  Run *r = &emu.run;
  if (cell->write == me && cell->read == 0) return;
  const Context *o = live(c, g, cell->write);
  if (o && !(a->atomic && o->atomic) && !order_before(c, r, o, r->current)) race(a, g, at, o, true);
  o = live(c, g, cell->read);
  if (o && !order_before(c, r, o, r->current)) race(a, g, at, o, false);
  *cell = (Cell){.write = me};
}

/* The region of the access, if the running kernel may touch it so. */
static const Region *allowed(const Access *a) {
  const Region *g = region_of(a->at, a->n);
  const EmuKernel *k = emu.run.kernel;
  if (g && g->kind == REGION_SHARED && g->base != k->shared && g->base != emu.run.image->shared)
    return NULL;
  return g;
}

/* Returns the region, or NULL for constants. */
static const Region *check(const Access *a) {
  Run *r = &emu.run;
  const Region *g = allowed(a);
  if (!g && !a->write && module_constant(a->at, a->n)) return NULL;
  if (!g) outside(a);
  if (!g->cell) return g;
  uint32_t me = order_context(emu.checker, r, r->current, a->atomic);
  size_t from = (size_t)(a->at - g->base);
  for (size_t i = from; i < from + a->n; i++) (a->write ? store : load)(emu.checker, a, g, i, me);
  return g;
}

void check_access(const void *at, unsigned long n, int write, const void *pc) {
  const char *p = at;
  const Run *r = &emu.run;
  if (!emu.option.check || (p >= r->stacks && p < r->stacks + (size_t)EMU_BLOCK * EMU_STACK))
    return;
  if ((p >= (const char *)&emu.core && p < (const char *)(&emu.core + 1)) ||
      at == (const void *)r->image->core)
    return;
  check(&(Access){.at = at, .n = n, .write = write != 0, .pc = pc});
}

void check_atomic(const void *at, unsigned long n, const EmuSite *site) {
  if (!emu.option.check) return;
  if ((uintptr_t)at % n != 0)
    run_fail(CUDA_ERROR_MISALIGNED_ADDRESS, site, "misaligned atomic operation at %p", at);
  const Access a = {.at = at, .n = n, .write = true, .atomic = true, .site = site};
  if (check(&a)->kind != REGION_SHARED) order_atomic(emu.checker, &emu.run, emu.run.current, at);
}
