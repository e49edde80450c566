#ifndef MLOC_IR_KERNEL_H
#define MLOC_IR_KERNEL_H

#include "ir/program.h"

/* The loop-level form: `kernels` and `fuse` group the nodes of a function into kernels,
   `plan_memory` gives their storages bytes, code generators print them and decide nothing.

   A kernel iterates over a domain of `rank` axes, some of them `reduced`. Its anchors are the nodes
   that it computes once and keeps in a local; everything else that an anchor or a store reads is
   either loaded from its home storage or computed in place at the index at hand (views, constants,
   cheap maps). An anchor's own index is canonical: all axes of the domain for ELEM, the kept axes
   (in order) for ROW and REDUCE; axes of size 1 do not count on either side (a LOOP's domain has
   none, an anchor's node may have some). The emitter walks a node at an index: at the canonical
   index an anchor is its local; any other node is loaded if it has a home, else expanded (a
   broadcast drops axes, a slice adds an offset, …). An anchor is read at its canonical index only,
   unless an earlier kernel computed it.

   LOOP: maps and reductions. Order ROWS: for each kept index the anchors' stages run as loops over
   the reduced axes (softmax: max, then sum of exp, then the result). Order COLUMNS: the reduced
   axes are the outer loops and the accumulators an array over the kept axes, for reductions whose
   last axis is kept; ROW anchors then come last and ELEM anchors read no anchor but ELEM. Without
   REDUCE anchors `reduced` marks the axes of the inner loops that ROW anchors stay out of. A
   parallel kernel without kept axes has one stage. GEMM: anchor[0] is a matmul over domain
   [batch.., m, n]. By LOOPS further anchors are its epilogue, all ELEM. By a library anchor[0] is
   all and is stored; or all anchors but the last are matmuls, the last is their sum
   (kernel_terms), and only that is stored: each call adds to what the calls before it left.
   SCATTER: anchor[0] is scatter_add or scatter_max; the domain is that of its update; stores are of
   anchor[0] alone, its first dest is where it accumulates. CALL: anchor[0] is a runtime call
   (solve). Operands of GEMM and CALL are found by kernel_operand.

   Stages. In stage s the ROW anchors of s are computed, then one loop over the reduced axes
   computes the ELEM anchors of s and accumulates the REDUCE anchors of s. An ELEM anchor that a
   later stage reads is taken from its row buffer if `keep`, else loaded if it has a home, else
   computed again. Stores. In one iteration all anchors come before the stores, since a store may
   replace what the same iteration reads; ROW and REDUCE anchors are stored when the row's last loop
   is done. Two storages of one kernel may share bytes (a dying operand and the result of the same
   index): loops may be declared free of carried dependences, pointers not `restrict`. A stored node
   that is no anchor of its kernel is read at the domain's index (a copy out of its home). */
typedef enum KernelKind {
  KERNEL_LOOP,
  KERNEL_GEMM,
  KERNEL_SCATTER,
  KERNEL_CALL,
  NKERNELKIND
} KernelKind;
typedef enum AnchorClass { ANCHOR_ELEM, ANCHOR_ROW, ANCHOR_REDUCE, NANCHORCLASS } AnchorClass;
typedef enum LoopOrder { ORDER_ROWS, ORDER_COLUMNS } LoopOrder;
typedef enum Provider {
  PROVIDER_LOOPS,
  PROVIDER_BLAS,
  NPROVIDER
} Provider; /* who computes a GEMM: rows of the table in ir/provider.h */

typedef struct Anchor {
  Node *node;
  AnchorClass cls;
  int stage; /* anchors are sorted by stage, then ROW, ELEM, REDUCE, then id */
  bool keep; /* ELEM needed again in a later stage: kept in a row buffer (at most ROW_BUFFER
                elements) */
} Anchor;

enum { ROW_BUFFER = 4096 };

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
  bool flat; /* LOOP without reduced axes, all of whose reads are at the domain's own index or of
                scalars: one loop over all elements will do */
  bool parallel; /* enough work for threads; reductions then run in chunks of fixed size */
  /* Iterations of the parallel loop a chunk. The loop runs over: flat: the elements; no reduced
     axes: all axes but the last; ROWS: the kept axes, where there are none the row's elements;
     COLUMNS: the first axis where kernel_keeps_first, else the first reduced axis; GEMM: batch x m.
     SCATTER and CALL are not parallel. */
  int64_t chunk;
  Anchor *anchor;
  int nanchor, anchor_cap;
  Store *store;
  int nstore, store_cap;
  int64_t flops, bytes; /* arithmetic and unavoidable traffic of one call */
  /* Memory that the kernel needs besides, a storage of its own, or NULL: f64[n]. CALL: the work of
     solve. COLUMNS but those that keep the first axis: 8 bytes for every accumulator (16 for
     argmax) of every kept element and chunk; ROWS in parallel without kept axes: 8 (16) bytes for
     every REDUCE anchor and chunk. GEMM by loops with a transposed left operand: m x n accumulators
     of 8 bytes; by a library with rounded operands: those (kernel_rounded of ir/provider.h). */
  Storage *scratch;
  Storage *
      *dead; /* storages whose value no one needs after this kernel, for --poison; by plan_memory */
  int ndead;
};

int64_t kernel_rows(const Kernel *k);     /* product of the kept axes */
int64_t kernel_row_size(const Kernel *k); /* product of the reduced axes */
/* COLUMNS whose first axis is kept, and long: each index of it is summed by itself, as in pools and
   in sums of windows. */
bool kernel_keeps_first(const Kernel *k);
int64_t kernel_loop(const Kernel *k);   /* iterations of the loop that may be parallel */
int64_t kernel_chunks(const Kernel *k); /* chunks of that loop; 1 if not parallel */

/* Where a library reads an operand: a node with a home seen through reshapes, contiguous slices and
   one exchange of the last two axes. `offset` counts elements from the home's first. */
typedef struct Operand {
  Node *node; /* the node whose home it is */
  bool transposed;
  int64_t offset;
} Operand;
/* True with *out where `n` is such a view of a node that `home` (by id; NULL: any node but a view)
 * has. */
bool kernel_operand(Storage *const *home, Node *n, Operand *out);

/* A sum by add, sub and neg of at least two products, each of which stands in it once: the products
   in order of their ids. The number of them, or 0 where `sum` is no such thing or adds more than
   MAX_TERMS. */
enum { MAX_TERMS = 8 };
typedef struct Term {
  Node *product;
  bool minus;
} Term;
int kernel_terms(Node *sum, Term term[MAX_TERMS]);

/* The index of a read, axis by axis of the node read: an axis of the reader's index space, nothing
   (size 1) or something computed. */
enum { AXIS_ONE = -1, AXIS_ANY = -2 };
typedef struct Index {
  signed char axis[MAX_RANK];
} Index;

/* The index at which n, itself at `at`, reads operand k. Elementwise ops and views only. */
Index index_of_operand(const Node *n, int k, Index at);

/* Walks what `reader` reads: calls visit(ctx, node, index) for each distinct pair once; the walk
   goes on into the node's operands if visit says so. `root` is an operand or the node itself, at
   index `at`. */
typedef bool (*IndexVisit)(void *ctx, Node *n, const Index *at);
void index_walk(Node *root, Index at, IndexVisit visit, void *ctx);

/* Axes that a kernel's anchor iterates over: index of `n` at an anchor's position; ELEM: all axes
   of the domain, else the kept ones. False if the shapes do not fit. */
bool kernel_index(const Kernel *k, AnchorClass cls, const Node *n, Index *out);

/* Calls visit for every node that the kernel loads or takes from an anchor, with the index in the
   domain's axes, the anchor or store that reads and its stage. Operands of GEMM and CALL are
   visited at AXIS_ANY. */
typedef void (*ReadVisit)(void *ctx, Node *n, const Index *at, int stage);
void kernel_reads(const Func *f, const Kernel *k, ReadVisit visit, void *ctx);

/* The storage that owns s's bytes, and s's first byte in it. */
const Storage *storage_root(const Storage *s);
int64_t storage_start(const Storage *s);
bool storage_overlap(const Storage *a, const Storage *b); /* by base and range, not by plan */
/* Lives for the whole run. */
bool storage_permanent(const Storage *s);

/* Checks what `kernels`, `fuse` and `plan_memory` establish: every result stored once, every read
   has a home or an anchor, no value overwritten before its last read in any order of the schedule.
   NULL or a message. */
const char *kernel_verify(const Program *p);

#endif
