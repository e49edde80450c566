#ifndef MLOC_PASSES_LIVE_H
#define MLOC_PASSES_LIVE_H

#include "ir/kernel.h"

/* Liveness of storages over the schedule, kernel by kernel. Items are the storages that own bytes
   and may share them (see storage_permanent); sets of items are bit sets of `words` words. */

typedef struct Step {
  const Func *func;
  Kernel *kernel; /* NULL: the head or the end of a loop */
  int next, jump; /* successors; -1 */
  uint64_t *use, *write, *kill, *in, *out;
} Step;

typedef struct Live {
  Arena *arena;
  Program *program;
  Storage **item;
  int nitem, words;
  Step *step;
  int nstep, cap;
  int top_head, top_end; /* the steps at which the top level's loop begins and ends; -1: no loop */
  bool *pinned; /* read or written by a function that the schedule does not call */
} Live;

Live *live_new(Arena *scratch, Program *p);
int live_item(const Live *l, const Storage *s); /* -1: no item */
/* In use at the step: holding a value on entry or exit, or written. */
bool live_busy(const Live *l, const Step *s, int item);

static inline bool bit_get(const uint64_t *set, int i) { return set[i / 64] >> (i % 64) & 1; }
static inline void bit_set(uint64_t *set, int i) { set[i / 64] |= (uint64_t)1 << (i % 64); }
static inline void bit_clear(uint64_t *set, int i) { set[i / 64] &= ~((uint64_t)1 << (i % 64)); }

#endif
