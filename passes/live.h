#ifndef MLOC_PASSES_LIVE_H
#define MLOC_PASSES_LIVE_H

#include "ir/kernel.h"
#include "passes/bits.h"

/* Liveness of storages over the schedule, kernel by kernel. Items are the storages that own bytes
   and may share them (see storage_permanent). What a step touches is a short list; what lives is a
   bit set of `words` words. */

typedef struct Items { /* ascending, each one once */
  int *item;
  int n, cap;
} Items;

typedef struct Step {
  const Func *func;
  Kernel *kernel; /* NULL: the head or the end of a loop */
  int next, jump; /* successors; -1 */
  int guard;      /* the head of the loop with a condition around it; -1: none */
  Items use, write, kill;
  uint64_t *in; /* hold a value that is read at the step or behind it */
} Step;

typedef struct Live {
  Arena *arena;
  Program *program;
  Storage **item;
  int nitem, words;
  Step *step;
  int nstep, cap;
  int top_head, top_end; /* the steps at which the top level's loop begins and ends; -1: no loop */
  bool *pinned;          /* read or written by a function that the schedule does not call */
  struct ItemSlot *slot; /* hash table of the items */
  int nslot;
  struct Written *written; /* by item: what the call that is being added does to it */
  uint64_t *row;           /* of one set */
  const Func **called;     /* a call each */
  int ncalled, called_cap;
} Live;

Live *live_new(Arena *scratch, Program *p);
int live_item(const Live *l, const Storage *s); /* -1: no item */
bool items_have(const Items *s, int item);
/* Holding a value behind the step. */
uint64_t live_out_word(const Live *l, const Step *s, int word);
bool live_out(const Live *l, const Step *s, int item);
/* The items in use at the step: holding a value on entry or exit, or written. */
void live_busy(const Live *l, const Step *s, uint64_t *busy);

#endif
