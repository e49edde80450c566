#ifndef MLOC_RUNTIME_SPLIT_H
#define MLOC_RUNTIME_SPLIT_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* Writes the row numbers of each part of the source's split, ascending, into the arena. The
   source's fields have been loaded. The sizes of the parts add up to at most its rows. */
bool rt_split(const MloSource *source, unsigned char *arena, RtErr *e);

#endif
