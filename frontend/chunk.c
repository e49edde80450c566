/* Metrics over all rows of a source, batch by batch. While such an expression is lowered, the axis
   that counts rows has the size of a batch. What reduces that axis gives the part of one batch: it
   is kept aside, to be added up (or maximized) over all batches, and the expression goes on with a
   read of the finished accumulator. Everything else must treat rows one by one, or it is an error.
 */
#include <string.h>

#include "frontend/value.h"
#include "ir/program.h"

Value chunk_error(Ops *o, const char *why) {
  Span *said = &o->chunk->said;
  if (said->hi && said->lo == o->at.lo && said->hi == o->at.hi) return value_bad();
  *said = o->at;
  Diag *d = ops_error(o, o->at, "E0336", "%s of the rows of `%s` cannot be computed batch by batch",
                      o->what, o->chunk->source);
  diag_note(o->diags, d, "%s", why);
  diag_help(o->diags, d, "leave `on %s` out: the metric is then of one batch", o->chunk->source);
  return value_bad();
}

static int rows_in(const SType *t, int *axis) {
  int n = 0;
  for (int i = t->rank - 1; i >= 0; i--)
    if (t->dim[i].chunk) n++, *axis = i;
  return n;
}

bool chunk_row_by_row(Ops *o, Value x, int axis) {
  if (!o->chunk || x.bad || !x.type.dim[axis].chunk) return true;
  chunk_error(o, "it combines rows of different batches");
  return false;
}

bool chunk_one_axis(Ops *o, Value x, int axis) {
  int at = axis;
  if (x.bad) return false;
  if (rows_in(&x.type, &at) == 1 && dim_eq(x.type.dim[axis], o->chunk->rows)) return true;
  chunk_error(o, arena_printf(o->arena, "%s mixes rows of different batches", value_str(o, x)));
  return false;
}

bool chunk_reshapes(Ops *o, Value x, int rank, const SDim *dim) {
  int from = 0, to = 0;
  SType t = {.rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  if (!o->chunk || x.bad || !rows_in(&x.type, &from)) return true;
  SDim before = stype_count(o, x.type, 0, from);
  if (rows_in(&t, &to) == 1 && rows_in(&x.type, &from) == 1 &&
      dim_eq(before, stype_count(o, t, 0, to)))
    return true;
  chunk_error(o, "rows of different batches would meet in one row");
  return false;
}

bool chunk_finished(const Ops *o, const Node *n) {
  size_t k = strlen(o->chunk->name);
  bool found = false;
  if (!n) return false;
  bool *mark = arena_array(o->arena, bool, o->g->nnode);
  Node *root = o->g->node[n->id];
  ir_reach(o->g, &root, 1, mark);
  for (int i = 0; i < o->g->nnode; i++) {
    const Node *p = o->g->node[i];
    if (mark[i] && p->op == OP_param)
      found = found ||
              (!strncmp(p->attr.sym, o->chunk->name, k) && !strncmp(p->attr.sym + k, ".part", 5));
  }
  return found;
}

Value chunk_total(Ops *o, Value part, bool max) {
  Chunk *c = o->chunk;
  if (part.bad) return part;
  if (chunk_finished(o, part.node))
    return chunk_error(o,
                       "it needs what is known only after the last batch, as a mean over all rows");
  const char *name = arena_printf(o->arena, "%s.part%d", c->name, c->npart);
  Partial p = {name, part.node, max};
  VEC_PUSH(o->arena, c->part, c->npart, c->cap, p);
  Type t;
  bool known = part.node && stype_concrete(part.type, &t);
  Value r = value_new(part.type, known ? ir_param(o->g, name, t) : NULL);
  r.span = part.span;
  return r;
}
