#ifndef MLOC_IR_DERIVE_H
#define MLOC_IR_DERIVE_H

#include "ir/graph.h"

/* Reverse mode: result[j] = sum_i <cot[i], d out[i] / d wrt[j]> as new nodes of g, NULL where no
   differentiable path exists (a structural zero). cot[i] has out[i]'s type; NULL: zero. wrt nodes
   are treated as leaves. */
void ir_vjp(Graph *g, Node *const *out, Node *const *cot, int nout, Node *const *wrt, int nwrt,
            Node **result);
/* Forward mode: result[i] = sum_j d out[i] / d wrt[j] tangent[j]; NULL: zero. */
void ir_jvp(Graph *g, Node *const *out, int nout, Node *const *wrt, Node *const *tangent, int nwrt,
            Node **result);
/* Gradient of a scalar. */
void ir_grad(Graph *g, Node *scalar, Node *const *wrt, int nwrt, Node **result);
/* a + b where NULL is zero. */
Node *ir_plus(Graph *g, Node *a, Node *b);
/* mark[id]: the node depends differentiably on one of wrt (`stop`, comparisons, integers cut). */
void ir_active(const Graph *g, Node *const *wrt, int nwrt, bool *mark);

#endif
