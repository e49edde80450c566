/* The update map of a level's optimizer over the level's storages: what differentiate makes the
   level's update of, and what sama differentiates. */
#include "passes/update.h"

Node *level_update(Graph *g, const Level *level, Node **next) {
  const OptimizerInfo *opt = level->optimizer;
  Node *setting[MAX_SETTINGS], *state[MAX_STATE];
  for (int i = 0; i < opt->nstate; i++) state[i] = storage_read(g, level->state[i]);
  for (int i = 0; i < opt->nsetting; i++) {
    const Storage *given = level->setting[i].storage;
    setting[i] = given ? storage_read(g, given) : NULL;
  }
  Node *count = storage_read(g, level->count), *step = ir_add(g, count, ir_num(g, count, 1));
  if (level->started) step = ir_sub(g, step, storage_read(g, level->started));
  Node *t = ir_cast(g, step, level->flat->type.dtype);
  Node *grad = storage_read(g, level->grad), *z = storage_read(g, level->flat);
  return opt->update(g, z, grad, state, setting, t, next);
}
