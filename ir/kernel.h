#ifndef MLOC_IR_KERNEL_H
#define MLOC_IR_KERNEL_H

#include "ir/program.h"

/* The loop-level form: `fuse` groups the nodes of a function into kernels, `plan_memory` gives their
   storages bytes, code generators print them and decide nothing.

   A kernel iterates over a domain of `rank` axes, some of them `reduced`. Its anchors are the nodes that it
   computes once and keeps in a local; everything else that an anchor or a store reads is either loaded
   from its home storage or computed in place at the index at hand (views, constants, cheap maps). An
   anchor's own index is canonical: all axes of the domain for ELEM, the kept axes (in order) for ROW and
   REDUCE. The emitter walks a node at an index: at the canonical index an anchor is its local; any other
   node is loaded if it has a home, else expanded (a broadcast drops axes, a slice adds an offset, …).

   LOOP: maps and reductions. Order ROWS: for each kept index the anchors' stages run as loops over the
   reduced axes (softmax: max, then sum of exp, then the result). Order COLUMNS: the reduced axes are the outer
   loops and the accumulators an array over the kept axes, for reductions whose last axis is kept.
   GEMM: anchor[0] is a matmul over domain [batch.., m, n]; further anchors are its epilogue, all ELEM.
   SCATTER: anchor[0] is scatter_add or scatter_max; the domain is that of its update; stores are of
   anchor[0] alone.
   CALL: anchor[0] is a runtime call (solve); its operands have homes. */
typedef enum KernelKind { KERNEL_LOOP, KERNEL_GEMM, KERNEL_SCATTER, KERNEL_CALL } KernelKind;
typedef enum AnchorClass { ANCHOR_ELEM, ANCHOR_ROW, ANCHOR_REDUCE } AnchorClass;
typedef enum LoopOrder { ORDER_ROWS, ORDER_COLUMNS } LoopOrder;
typedef enum Provider { PROVIDER_LOOPS, PROVIDER_BLAS } Provider; /* GEMM: generated loops or library call */

typedef struct Anchor {
  Node *node;
  AnchorClass cls;
  bool keep; /* ELEM needed again after a later reduction of its row: kept in a row buffer, not recomputed */
} Anchor;

typedef struct Store {
  Node *node;
  Storage *dest, *row; /* row: NULL or the counter that picks dest's row */
} Store;

struct Kernel {
  const char *name; /* "fit.gradient.k0" */
  KernelKind kind;
  int rank;
  int64_t dim[MAX_RANK];
  bool reduced[MAX_RANK];
  LoopOrder order;
  Provider provider;
  bool flat;     /* LOOP without reductions whose loads are all at the linear index or scalars: one loop */
  bool parallel; /* enough work for threads; reductions then run in chunks of fixed size */
  int64_t chunk; /* elements (LOOP over everything) or rows a parallel chunk */
  Anchor *anchor;
  int nanchor, anchor_cap;
  Store *store;
  int nstore, store_cap;
  int64_t flops, bytes; /* arithmetic and unavoidable traffic of one call */
};

#endif
