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

static int rows_in(const SType *t, int *axis) {
  int n = 0;
  for (int i = t->rank - 1; i >= 0; i--)
    if (t->dim[i].ragged) n++, *axis = i;
  return n;
}

/* Rows may become several elements of their axis each, or again rows, with as much before them. */
bool ragged_reshapes(Ops *o, Value x, int rank, const SDim *dim) {
  int from = 0, to = 0;
  SType t = {.rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  if (!o->ragged || x.bad || !rows_in(&x.type, &from)) return true;
  if (stype_same_shape(x.type, t)) return true;
  SDim before = stype_count(o, x.type, 0, from);
  if (rows_in(&x.type, &from) == 1 && rows_in(&t, &to) == 1 &&
      dim_eq(before, stype_count(o, t, 0, to)))
    return true;
  return ragged_error(o, "it joins the rows with an axis before them");
}

/* Which elements of an axis of n there are: all of a row, which has n / rows of them. */
static Node *spread(Ops *o, Node *valid, int64_t n) {
  int64_t rows = valid->type.dim[0];
  if (n == rows) return valid;
  Type t = type_make(DT_BOOL, 2, (int64_t[]){rows, n / rows});
  return ir_reshape(o->g, ir_broadcast(o->g, valid, t, (int64_t[]){0}), 1, &n);
}

Value ragged_fill(Ops *o, Value x, int axis, double value) {
  if (x.bad || !o->ragged || !x.type.dim[axis].ragged) return x;
  Node *valid = NULL, *count = NULL;
  o->ragged(o->ctx, x.type.dim[axis], &valid, &count);
  if (!valid || !x.node) return x;
  int64_t at = axis;
  Type t = x.node->type;
  if (t.dim[axis] % valid->type.dim[0]) {
    ragged_error(o, "its axis is not made of whole rows");
    return value_bad();
  }
  valid = spread(o, valid, t.dim[axis]);
  Node *wide = ir_broadcast(o->g, valid, type_with(t, DT_BOOL), &at);
  Node *fill = ir_const(o->g, t, value);
  Value r = value_new(x.type, ir_select(o->g, wide, x.node, fill));
  r.span = x.span;
  return r;
}
