/* The next batch is read while the current one is computed with: when a level has drawn, a thread
   of its own computes which rows the draw after that will take, and touches their cache lines, so
   that the level finds them in the cache that the processors share. Nothing is copied and nothing
   depends on whether the thread comes in time. */

#define _GNU_SOURCE
#include "runtime/prefetch.h"

#include "runtime/mlo_random.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>

enum { LINE = 64 };

int64_t rt_cursor_row(const MloCursor *c, const unsigned char *arena, uint32_t seed, int32_t t,
                      int64_t i) {
  int64_t each = c->nrow / c->batch + c->keep;
  int64_t place = (t % each * c->batch + i) % c->nrow;
  if (c->shuffled)
    place = mlo_shuffle(seed, c->stream, (uint32_t)(t / each), (uint32_t)c->nrow, (int32_t)place);
  return c->part ? ((const int32_t *)(const void *)(arena + c->rows))[place] : place;
}

/* Reads the row's lines. Where a processor's own cache does not belong to the shared one, they are
   then moved there; elsewhere the hint does nothing (its code is one of a no-op). */
static void touch(const unsigned char *at, size_t bytes) {
  const unsigned char *end = at + bytes;
  at -= (uintptr_t)at % LINE;
  for (const unsigned char *p = at; p < end; p += LINE) *(const volatile unsigned char *)p;
#if defined(__x86_64__)
  for (const unsigned char *p = at; p < end; p += LINE) __asm__ volatile("cldemote %0" ::"m"(*p));
#endif
}

/* Whether there is something newer to do. */
static bool outdated(RtPrefetch *p, const RtDrawn *d) {
  return atomic_load(&p->quit) || atomic_load(&d->next) != d->taken;
}

static void read_batch(RtPrefetch *p, const RtDrawn *d, const MloCursor *c) {
  uint32_t seed = (uint32_t)(d->taken >> 32);
  for (int64_t i = 0; i < c->batch && !outdated(p, d); i++) {
    size_t row = (size_t)rt_cursor_row(c, p->arena, seed, (int32_t)(uint32_t)d->taken, i);
    for (int k = 0; k < c->nspan; k++)
      touch(p->arena + c->span[k].offset + row * c->span[k].bytes, c->span[k].bytes);
    atomic_fetch_add_explicit(&p->rows, 1, memory_order_relaxed);
  }
}

static void *serve(void *context) {
  RtPrefetch *p = context;
  const MloCursor *c = p->program->cursor, *end = c + p->program->ncursor;
  for (;;) {
    while (sem_wait(&p->wake) != 0) {}
    if (atomic_load(&p->quit)) return NULL;
    for (c = p->program->cursor; c < end;) {
      RtDrawn *d = &p->drawn[c->level];
      uint64_t next = atomic_load(&d->next);
      bool fresh = next != d->taken;
      d->taken = next;
      for (int level = c->level; c < end && c->level == level; c++)
        if (fresh) read_batch(p, d, c);
    }
  }
}

static int processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

void rt_prefetch_begin(RtPrefetch *p, const MloProgram *program, const unsigned char *arena,
                       int nthread) {
  *p = (RtPrefetch){.program = program, .arena = arena};
  if (!program->ncursor || nthread >= processors()) return;
  p->drawn = calloc((size_t)program->ncursor, sizeof *p->drawn);
  if (!p->drawn || sem_init(&p->wake, 0, 0) != 0) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before); /* the thread inherits it: signals are others' */
  p->running = pthread_create(&p->thread, NULL, serve, p) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!p->running) sem_destroy(&p->wake);
}

void rt_prefetch_post(RtPrefetch *p, int level, uint32_t seed, int32_t t) {
  if (!p->running) return;
  atomic_store(&p->drawn[level].next, (uint64_t)seed << 32 | (uint32_t)t);
  sem_post(&p->wake); /* calls the system only where the thread sleeps */
}

void rt_prefetch_end(RtPrefetch *p) {
  if (p->running) {
    atomic_store(&p->quit, true);
    sem_post(&p->wake);
    pthread_join(p->thread, NULL);
    sem_destroy(&p->wake);
  }
  free(p->drawn);
  *p = (RtPrefetch){0};
}
