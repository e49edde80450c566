#ifndef MLOC_TESTS_CASES_H
#define MLOC_TESTS_CASES_H

#include "ir/graph.h"

/* Samples of every row of the op table, so that a new row is covered at once: an elementwise row by
   its flags and sample range, a bulk row by the shapes listed in cases.c (a row without any fails
   the tests). */
typedef struct Case {
  Graph *graph;
  Node *node;        /* the op, on params named "p0", "p1", ... */
  Node *param[3];    /* in order; values in value[] */
  double *value[10]; /* by digit: tests may add params of their own, "p9" */
  int nparam;
} Case;

/* Variant number `variant` of the op's cases with floats of type `real`; false when there are no
 * more. */
bool case_make(Arena *a, Op op, int variant, DType real, Case *out);
int case_param_index(const Node *param);

#endif
