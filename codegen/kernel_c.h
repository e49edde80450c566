#ifndef MLOC_CODEGEN_KERNEL_C_H
#define MLOC_CODEGEN_KERNEL_C_H

#include "codegen/expr.h"

/* A domain axis or several neighbouring ones as one loop. */
typedef struct Group {
  int64_t extent;
  int axis[MAX_RANK], naxis;
  bool reduced;
} Group;

/* Kinds of kernels: each writes its statements into scope 0 of e. `merge[k]`: the k-th and next of
   the axes longer than 1 may be one loop. */
void cg_loop_rows(Emit *e, const bool *merge);
void cg_loop_columns(Emit *e, const bool *merge);
/* A loop for each axis of a kernel that may be printed by cg_loop_nest; their number, 0: it may
 * not. */
int cg_nest_start(const Kernel *k, Nest *nest);
/* Splits loops as a dry run's indices asked for; false if nothing is to be split (any more). */
bool cg_nest_refine(const Emit *dry, Nest *nest, int *n);
void cg_loop_nest(Emit *e);
void cg_gemm_loops(Emit *e);
void cg_gemm_call(Emit *e);
void cg_scatter(Emit *e);
void cg_call(Emit *e);

/* ---- shared pieces (loop_parts.c) */

/* Splits the domain into loops, kept ones first, outermost first; axes of length 1 have none. */
int cg_groups(const Kernel *k, const bool *merge, Group *group);
/* Opens a loop over the group: scope and variable; axes get their index in e->axis. Returns the
 * variable. */
int cg_open_group(Emit *e, const Group *g);
/* Gives the group's axes their index: variable v of the scope at present. */
void cg_bind_group(Emit *e, const Group *g, int v);
/* "for (int32_t i = 0; i < 10; i++)" behind an optional pragma line. */
const char *cg_for(Emit *e, const char *pragma, int var);
/* By plan: the two share bytes of the arena. */
bool cg_overlap(const Storage *a, const Storage *b);
/* Stores those of `store` (the kernel's, in number) that now[] marks at their canonical index of
   class cls: first all values, then all stores, since a store may replace what the same iteration
   reads. */
void cg_stores(Emit *e, const Store *store, const bool *now, AnchorClass cls);
/* The linear system of a CALL kernel: "true, 10, 1, p0 + 0, p1 + 0, p2", what each target's solver
   is called with, matrix to result; the parameters of result and work. */
typedef struct SolveCall {
  const char *arguments;
  int x, work;
} SolveCall;
SolveCall cg_solve_call(Emit *e);
const char *cg_reduce_start(Emit *e, const Node *n);
/* Statement(s) that take v into the accumulator named acc (text of an lvalue). */
void cg_accumulate(Emit *e, const Node *n, const char *acc, const char *v);

#endif
