/* Inside of the detector: who made an access, and whether something orders it before the thread
 * that runs. */
#ifndef EMU_CHECK_H
#define EMU_CHECK_H

#include "tests/emulator/emu.h"

typedef enum ContextKind { BY_LANES, BY_BLOCK, BY_GRID } ContextKind;

/* Accesses that nothing in their own threads separates: a thread has one context between two of its
 * barriers, __syncwarp and fences. Readers are joined: lanes of one warp, else threads of one
 * block, else of several; then numbers are the greatest of any, so that what is after the joined
 * context is after each of them. */
typedef struct Context {
  uint32_t block, barrier;                /* BY_GRID: of the block that read last */
  uint32_t lanes, clock;                  /* BY_LANES: of the warp */
  uint32_t fences;                        /* that the thread has passed */
  uint32_t others_barrier, others_fences; /* BY_GRID: of the blocks before it */
  uint64_t readers; /* BY_GRID: those, by their numbers modulo 64, all of them in first..last */
  uint32_t first, last;
  uint16_t warp;
  uint8_t kind;
  bool atomic;
} Context;

/* What a block's atomic operation on a ticket makes known to whom sees its result and passes a
 * fence: accesses before each thread's first so many fences, and all of the block's before that
 * barrier. */
typedef struct Release {
  uint32_t block, barrier, least; /* least: the smallest number of fences */
  uint32_t previous;              /* of that block on this ticket: its place from 1, or 0 */
  uint32_t *fences;
} Release;

typedef struct Ticket {
  const void *at;
  Release *release;
  uint32_t n;
  uint32_t *last; /* of each block: its place from 1 */
} Ticket;

/* The thread saw n releases of the ticket at this barrier; fenced: and passed a fence. */
typedef struct Acquire {
  uint32_t ticket, n, thread, barrier;
  bool fenced;
} Acquire;

typedef struct Join {
  uint32_t old, reader, joined;
} Join;

enum { NJOIN = 1 << 12 };

typedef struct Checker {
  Context *context; /* of this launch: number base + 1 is the first */
  uint32_t n, capacity, base;
  Join join[NJOIN]; /* a cache */
  uint32_t seen[EMU_BLOCK]
               [EMU_WARP]; /* the clock up to which a thread is after a lane of its warp */
  bool syncwarps;          /* seen is not all 0 */
  bool fenced;             /* since the last barrier of the block */
  uint32_t fence_barrier;  /* of the last fence before the last barrier; 0: none */
  uint32_t *begun, nbegun; /* blocks of this launch */
  Ticket *ticket;
  uint32_t nticket;
  Acquire *acquire; /* of this block */
  uint32_t nacquire;
} Checker;

/* order.c */
void order_launch(Checker *c, Run *r);
void order_block(Checker *c, Run *r);
void order_barrier(Checker *c, Run *r);
void order_syncwarp(Checker *c, Run *r, unsigned warp, unsigned lanes);
void order_fence(Checker *c, Run *r, Thread *t);
void order_atomic(Checker *c, Run *r, Thread *t, const void *at);
uint32_t order_context(Checker *c, const Run *r, Thread *t, bool atomic); /* the thread's now */
const Context *order_get(const Checker *c,
                         uint32_t context); /* NULL: of no access of this launch */
bool order_before(const Checker *c, const Run *r, const Context *o, const Thread *t);
/* The context of both readers, neither before the other. */
uint32_t order_join(Checker *c, uint32_t old, uint32_t reader);

#endif
