/* Batches whose last one has fewer rows (`partial = keep`). All batches have the same shape: the
   last one is filled up with rows that do not count. What works row by row need not know; what
   reduces the axis of rows leaves those out, and the number of rows is a value of the step. So one
   program serves both, and means, sums and maxima are those of the rows that there are. */
#include <math.h>

#include "frontend/value.h"

static bool ragged_error(Ops *o, const char *why) {
  if (o->said.hi && o->said.lo == o->at.lo && o->said.hi == o->at.hi) return false;
  o->said = o->at;
  Diag *d =
      ops_error(o, o->at, "E0424", "%s does not work where the last batch has fewer rows", o->what);
  diag_note(o->diags, d, "%s", why);
  diag_help(o->diags, d, "`partial = drop` leaves such a batch out");
  return false;
}

bool ragged_row_by_row(Ops *o, Value x, int axis) {
  if (x.bad || !o->ragged || !x.type.dim[axis].ragged) return true;
  return ragged_error(o, "it reads rows by their place in the batch");
}

bool ragged_reshapes(Ops *o, Value x, int rank, const SDim *dim) {
  SType t = {.rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  for (int i = 0; o->ragged && !x.bad && i < x.type.rank; i++) {
    if (!x.type.dim[i].ragged) continue;
    bool kept = false;
    for (int k = 0; k < rank; k++)
      kept = kept || (dim_eq(x.type.dim[i], dim[k]) &&
                      dim_eq(stype_count(o, x.type, 0, i), stype_count(o, t, 0, k)));
    if (!kept) return ragged_error(o, "it joins the rows with another axis");
  }
  return true;
}

Value ragged_fill(Ops *o, Value x, int axis, double value) {
  if (x.bad || !o->ragged || !x.type.dim[axis].ragged) return x;
  Node *valid = NULL, *count = NULL;
  o->ragged(o->ctx, x.type.dim[axis], &valid, &count);
  if (!valid || !x.node) return x;
  if (valid->type.dim[0] != x.node->type.dim[axis]) {
    ragged_error(o, "it joins the rows with another axis");
    return value_bad();
  }
  int64_t at = axis;
  Type t = x.node->type;
  Node *wide = ir_broadcast(o->g, valid, type_with(t, DT_BOOL), &at);
  Node *fill = ir_const(o->g, t, value);
  Value r = value_new(x.type, ir_select(o->g, wide, x.node, fill));
  r.span = x.span;
  return r;
}
