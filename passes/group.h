#ifndef MLOC_PASSES_GROUP_H
#define MLOC_PASSES_GROUP_H

#include "ir/kernel.h"
#include "passes/bits.h"

/* A function's nodes on their way into kernels: units are the nodes that are computed once (anchors
   to be), groups the kernels to be. Everything between two units is computed in place. */

typedef struct Read { /* a unit or a param, at an index in the reader's own axes */
  Node *node;
  int unit; /* -1: a param */
  Index at;
} Read;

typedef struct Unit {
  Node *node;
  AnchorClass cls; /* in its group's domain */
  int group, stage;
  /* Its own index space: of the result for maps and products, of the operand for reductions, of the
     update for scatters. Axes of size 1 are left out for maps and reductions. */
  int rank;
  int64_t dim[MAX_RANK];
  bool reduced[MAX_RANK];
  Read *read;
  int nread, cap;
  int64_t flops; /* an element of its space, with what is computed in place */
  bool adds;     /* a sum of products of a library that no one else reads: one kernel with them */
} Unit;

typedef struct Group {
  KernelKind kind;
  Provider provider;
  int rank;
  int64_t dim[MAX_RANK];
  bool reduced[MAX_RANK];
  bool masked; /* some axes are reduced */
  LoopOrder order;
  int *unit, nunit; /* ascending */
  bool gone;        /* merged into another */
} Group;

typedef struct Grouping {
  Program *program;
  Func *func;
  Arena *arena; /* scratch */
  bool *reach;  /* by node id */
  int *unit_of; /* by node id; -1 */
  Unit *unit;
  int nunit, unit_cap;
  Group *group; /* as many as units at most */
  int ngroup;
  uint64_t *need; /* by group, `words` words each: the groups that it needs, transitively */
  int words;
  Storage **unit_home; /* by node id: something for units, for kernel_operand */
} Grouping;

enum {
  CHEAP = 3,               /* flops that are rather done twice than kept */
  HEAVY = 10,              /* flops that a heavy operation counts for */
  PARALLEL_WORK = 1 << 19, /* flops and loads from which threads pay: some 20 us */
  CHUNK_WORK = 1 << 15
};

/* Chooses units and puts each into a group of its own. `fuse`: cheap maps are not units. */
Grouping *grouping_new(Arena *scratch, Program *p, Func *f, bool fuse);
/* Arithmetic of one element of the node alone. */
int64_t node_flops(const Node *n);
/* Where the domain's own axis of a unit's axis is: map[axis] for a unit of class cls. False if it
 * does not fit. */
bool unit_axes(const Unit *u, const Group *g, AnchorClass cls, signed char *map);
/* True if read r of unit u lies at the index that class cls has in g. */
bool read_is_canonical(const Unit *u, AnchorClass ucls, const Read *r, const Group *g,
                       AnchorClass cls);
static inline uint64_t *needs_of(const Grouping *s, int a) {
  return s->need + (size_t)a * (size_t)s->words;
}
static inline bool depends(const Grouping *s, int a, int b) { return bit_get(needs_of(s, a), b); }
void add_dependence(Grouping *s, int a, int b);
/* Work of one run over the group's domain. */
int64_t group_work(const Grouping *s, const Group *g);

/* Forgets the kernels of all functions and the temporaries that were made for them. */
void grouping_drop(Program *p);
/* Makes the function's kernels, homes and temporaries from the groups. */
void grouping_emit(Grouping *s);

/* Fills in what follows from the rest: flat, parallel, chunk, scratch, flops, bytes. */
void kernel_measure(Arena *scratch, Program *p, const Func *f, Kernel *k);

#endif
