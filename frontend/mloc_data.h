#ifndef MLOC_FRONTEND_MLOC_DATA_H
#define MLOC_FRONTEND_MLOC_DATA_H

#include "frontend/sema.h"

/* Lists for the analysis the arrays that the fields would load, then all others of the file. `ctx`
   is the arena. */
SemaProbe data_probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                     SemaArray **array, int *n, const char **error);

/* One array of an executable's final.npz: its elements, or NULL after a message. */
void *data_result(Arena *a, const char *file, const Storage *s);

#endif
