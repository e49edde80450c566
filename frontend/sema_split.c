/* Splits of data sources: `split = parts(tr = 0.6, va = 0.4, by = y, seed = 7);`. How many rows a
   part has follows from the shares and the number of rows alone, so that programs compile before
   any data are read; which rows they are, the runtime finds when it has loaded them
   (runtime/split.c). */
#include <math.h>
#include <string.h>

#include "frontend/sema_internal.h"

static void split_error(Sema *s, SData *d, Span at, const char *text, const char *help) {
  d->bad_rows = true;
  Diag *g = diag_error(s->diags, at, "E0422", "%s", text);
  if (help) diag_help(s->diags, g, "%s", help);
}

static void read_by(Sema *s, SData *d, const AstExpr *e) {
  const SField *f = e->kind == EX_NAME ? data_field(d, e->text) : NULL;
  if (e->kind == EX_ERROR || (f && f->bad)) {
    d->bad_rows = true;
  } else if (!f) {
    split_error(s, d, e->span, "`by` names a field of the source", NULL);
  } else if (f->type.dtype != DT_I32 || f->type.rank != 1 || f->row_axis != 0) {
    split_error(s, d, e->span,
                arena_printf(s->arena, "`%s` is %s, not one integer for each row", f->name,
                             stype_str(&s->ops, f->type)),
                "`by` takes labels: every label is divided as the shares say");
  } else {
    d->by = f;
  }
}

static void read_seed(Sema *s, SData *d, const AstExpr *e) {
  Value v;
  if (!sema_number(s, e, &v))
    d->bad_rows = true;
  else if (v.lit != LIT_INT || !(v.num >= 0 && v.num <= 2147483647))
    split_error(s, d, e->span, "the seed of a split is an integer from 0 to 2147483647", NULL);
  else
    d->split_seed = (int64_t)v.num;
}

static void read_part(Sema *s, SData *d, const AstArg *a) {
  Value v;
  bool twice = data_field(d, a->name) != NULL;
  for (int i = 0; i < d->npart; i++) twice = twice || !strcmp(d->part[i].name, a->name);
  if (twice) {
    diag_error(s->diags, a->name_span, "E0102", "`%s` is a field or a part already", a->name);
    d->bad_rows = true;
  }
  if (!sema_number(s, a->value, &v)) {
    d->bad_rows = true;
  } else if (!(v.num > 0 && v.num <= 1)) {
    split_error(s, d, a->value->span, "the share of a part is above 0 and at most 1", NULL);
  } else {
    SPart p = {.name = a->name, .span = a->name_span, .share = v.num};
    VEC_PUSH(s->arena, d->part, d->npart, d->part_cap, p);
  }
}

/* Sizes by largest remainder: they add up to all rows where the shares add up to 1. */
static void share_out(Sema *s, const SData *d, double sum, int64_t *size) {
  double rows = (double)d->row.value, *left = arena_array(s->arena, double, d->npart);
  int64_t open = fabs(sum - 1) <= 1e-9 ? d->row.value : (int64_t)floor(rows * sum + 0.5);
  for (int i = 0; i < d->npart; i++) {
    double exact = d->part[i].share * rows;
    size[i] = (int64_t)floor(exact + 1e-9);
    left[i] = exact - (double)size[i];
    open -= size[i];
  }
  for (; open > 0; open--) {
    int most = 0;
    for (int i = 1; i < d->npart; i++)
      if (left[i] > left[most]) most = i;
    size[most]++;
    left[most]--;
  }
}

static void read_arguments(Sema *s, SData *d) {
  const AstExpr *e = d->split;
  for (const AstArg *a = e->arg; a; a = a->next) {
    if (a->value->kind == EX_ERROR)
      d->bad_rows = true;
    else if (!a->name)
      split_error(s, d, a->value->span, "parts are given by name",
                  "write `parts(tr = 0.8, va = 0.2)`");
    else if (!strcmp(a->name, "by"))
      read_by(s, d, a->value);
    else if (!strcmp(a->name, "seed"))
      read_seed(s, d, a->value);
    else
      read_part(s, d, a);
  }
}

void sema_split(Sema *s, Symbol *y) {
  SData *d = y->data;
  const AstExpr *e = d->split;
  double sum = 0;
  if (e->kind == EX_ERROR || e->kind != EX_CALL || e->a->kind != EX_NAME ||
      strcmp(e->a->text, "parts")) {
    if (e->kind != EX_ERROR)
      split_error(s, d, e->span, "this is not a split", "write `parts(tr = 0.8, va = 0.2)`");
    d->bad_rows = true;
    return;
  }
  read_arguments(s, d);
  for (int i = 0; i < d->npart; i++) sum += d->part[i].share;
  if (!d->bad_rows && !d->npart)
    split_error(s, d, e->span, "a split has parts", "write `parts(tr = 0.8, va = 0.2)`");
  if (!d->bad_rows && sum > 1 + 1e-9)
    split_error(s, d, e->span, arena_printf(s->arena, "the shares add up to %.9g, above 1", sum),
                NULL);
  int64_t *size = arena_array(s->arena, int64_t, d->npart);
  if (!d->bad_rows && d->row.value >= 0) share_out(s, d, sum, size);
  for (int i = 0; i < d->npart; i++) {
    SPart *p = &d->part[i];
    const char *name = arena_printf(s->arena, "%s.%s", y->name, p->name);
    p->rows = (SRows){.name = name, .number = s->nrows++};
    p->rows.index = arena_printf(s->arena, "%s.rows", name);
    p->rows.rows = dim_named(arena_printf(s->arena, "rows(%s)", name),
                             d->row.value >= 0 ? size[i] : DIM_UNKNOWN);
    if (!d->bad_rows && d->row.value >= 0 && !size[i])
      split_error(s, d, p->span,
                  arena_printf(s->arena, "of %lld rows, none is left for `%s`",
                               (long long)d->row.value, p->name),
                  NULL);
  }
}
