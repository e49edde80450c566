#ifndef MLOC_PASSES_UPDATE_H
#define MLOC_PASSES_UPDATE_H

#include "ir/program.h"

/* The optimizer's map Phi at the level's current variables, gradient, states, settings and next step
   number (count + 1, from the last restart on), as nodes of g that read their storages, which must
   have been made: the new variables, before any projection; the new states in next[]. */
Node *level_update(Graph *g, const Level *level, Node **next);

#endif
