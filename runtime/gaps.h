#ifndef MLOC_RUNTIME_GAPS_H
#define MLOC_RUNTIME_GAPS_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* What of the arena a run may change: all but the data's fields and the rows of their parts, which
   are the same for every seed. */
typedef struct RtGap {
  size_t at, n;
} RtGap;

/* By place, *n of them; to be freed. Errors: NULL with RT_DATA, where memory ends. */
RtGap *rt_gaps(const MloProgram *p, int *n, RtErr *e);

#endif
