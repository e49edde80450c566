#ifndef MLOC_IR_EVAL_H
#define MLOC_IR_EVAL_H

#include "ir/graph.h"

/* The reference evaluator: for tests and constant folding only. Values are doubles, rounded to the
   node's element type after every operation. */
typedef const double *(*EvalParam)(void *ctx, const Node *param); /* values of a param node */

/* Evaluates roots; out[i] points to fresh arena memory with type_count elements. */
void ir_eval(Arena *a, const Graph *g, Node *const *root, int n, EvalParam param, void *ctx,
             const double **out);

#endif
