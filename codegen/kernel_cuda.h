#ifndef MLOC_CODEGEN_KERNEL_CUDA_H
#define MLOC_CODEGEN_KERNEL_CUDA_H

#include "codegen/kernel_c.h"
#include "ir/launch.h"

/* Kernels as CUDA C, a function for each launch shape: statements into scope 0 of e, run by all
   threads of a block. In the text are known: `block` and `blocks` (of the grid; one block does all
   by itself), `t` (the thread), `mem` (shared memory) and `scratch`. Barriers stand only where
   removing one would be wrong; shared memory that a loop writes again has two halves, taken in
   turns, where no other barrier is in between. */
void cuda_map(Emit *e, const Launch *l, const bool *merge);
void cuda_rows(Emit *e, const Launch *l, const bool *merge); /* TOTAL too */
void cuda_columns(Emit *e, const Launch *l, const bool *merge);
void cuda_gemm(Emit *e, const Launch *l); /* DOTS and TILES */
void cuda_scatter(Emit *e);
void cuda_solve(Emit *e);

/* ---- shared pieces (cuda_parts.c) */

/* A loop over groups of axes, whose elements threads take in turns: `first`, `first` + `step`, ..
   in units of `vector` neighbouring ones. */
typedef struct ThreadLoop {
  const Group *group;
  int ngroup;
  const char *first, *step;
  const char *end; /* NULL: all */
  const char *on;  /* only where this holds; NULL: always */
  int vector;
  int64_t
      turns; /* above 0: no more than so many turns, unrolled, of which e->slot tells the element */
  int var;   /* of the elements, once it is open */
  const char *turn, *lane;
} ThreadLoop;

void cuda_open(Emit *e, ThreadLoop *l);
/* What is left over when groups of `vector` have been taken: a loop of its own; false: nothing is.
 */
bool cuda_tail(Emit *e, ThreadLoop *l);
void cuda_close(Emit *e, const ThreadLoop *l);
/* All axes of the domain that are longer than 1, kept ones first where `apart`. */
int cuda_groups(const Kernel *k, const bool *merge, bool apart, Group *group);
int64_t cuda_extent(const Group *group, int n);
/* Binds n groups to the linear variable v of the scope at present. */
void cuda_bind(Emit *e, const Group *group, int n, int v);

#define CUDA_BARRIER "__syncthreads();\n"

/* The element at the present index is this thread's own: number own % 256 (vector 1). */
void cuda_own(Emit *e);
/* The text that is printed next has so many barriers, which all threads pass. It writes shared
   memory, `n` doubles from `from`, behind `skip` of them, and reads it behind the last; in every
   second one of the rounds of a loop around it, the n doubles behind those. */
void cuda_barriers(Emit *e, int barriers, int skip, int from, int n, int64_t rounds);

/* Accumulators of a reduction in a thread. */
typedef struct CudaAcc {
  const Anchor *a;
  const char *name, *best; /* best: argmax */
} CudaAcc;
CudaAcc cuda_acc(Emit *e, const Anchor *a); /* declares and starts it */
void cuda_take(Emit *e, const CudaAcc *c);  /* the element at the present index */
void cuda_merge(Emit *e, const CudaAcc *c, const char *value, const char *best); /* another one's */
void cuda_team(Emit *e, const CudaAcc *c, int team, const char *mem); /* all threads' of a team */
void cuda_bind_acc(Emit *e, const CudaAcc *c);
/* "(float *)(scratch + 16384 + ...)": partial results of accumulator i, an array; best: argmax's.
 */
const char *cuda_partials(Emit *e, const CudaAcc *acc, int i, bool best, int64_t each);

/* Which stores belong to a stage's loop (-1: to the end). */
int *cuda_store_stages(Emit *e);
/* Whether a store of the end replaces what was read behind so many barriers, or more. */
bool cuda_replaces(const Emit *e, const int *stage, int barriers);
/* The stores of the end, by the threads for which `who` ("if (t == 0)") holds. Where one replaces
   what the kernel reads, `order` comes before them: a barrier. first: that is thread 0 alone. */
void cuda_end_stores(Emit *e, const int *stage, const char *who, const char *order, bool first);

#endif
