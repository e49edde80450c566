#ifndef MLOC_FRONTEND_MLOC_DATA_H
#define MLOC_FRONTEND_MLOC_DATA_H

#include "frontend/sema.h"

/* Lists for the analysis the arrays that the fields would load, then all others of the file. `ctx`
   is the arena. */
SemaProbe data_probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                     SemaArray **array, int *n, const char **error);

/* Prints what check-grad's executable has left in its final.npz. 0, 1 where gradients disagree, or
   EXIT_BUG after a message. */
int data_check_report(Arena *a, const Program *p, const char *file, bool json);

#endif
