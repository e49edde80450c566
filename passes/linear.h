#ifndef MLOC_PASSES_LINEAR_H
#define MLOC_PASSES_LINEAR_H

#include "ir/program.h"

/* Rewrites elementwise sums of products with invariant factors, where that makes them read fewer
   arrays, in f's graph and results. varying, dear: by node id, what changes in the loop, and
   elements of the largest value at or below a node that is rather kept than computed again. True if
   anything has changed; nodes that are no longer used stay behind. */
bool linear_collect(Func *f, const bool *varying, const int64_t *dear);

#endif
