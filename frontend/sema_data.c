/* Data sources: what their declarations say, the arrays that the prober finds in their files,
   the sizes that these bind, and whether files and fields agree. Files that are absent leave
   sizes unknown, and everything that names alone decide is checked all the same. */
#include <math.h>
#include <string.h>

#include "frontend/sema_internal.h"

SField *data_field(SData *d, const char *name) {
  for (int i = 0; i < d->nfield; i++)
    if (!strcmp(d->field[i].name, name)) return &d->field[i];
  return NULL;
}

bool sema_box(Sema *s, const AstExpr *e, const char *form, Value *lo, Value *hi) {
  const AstArg *a = e->arg, *b = a ? a->next : NULL;
  if (!b || b->next || a->name || b->name) {
    diag_error(s->diags, e->span, "E0521", "write `in %s(low, high)`", form);
    return false;
  }
  bool left = sema_number(s, a->value, lo), right = sema_number(s, b->value, hi);
  if (!left || !right) return false;
  if (lo->num > hi->num || (!strcmp(form, "range") && lo->num == hi->num)) {
    diag_error(s->diags, e->span, "E0521", "`in %s(%g, %g)` holds nothing", form, lo->num, hi->num);
    return false;
  }
  return true;
}

static const char *constraint_name(const AstExpr *e) {
  return e->kind == EX_CALL && e->a->kind == EX_NAME ? e->a->text : "";
}

static bool read_constraint(Sema *s, SField *f) {
  const AstExpr *e = f->item->constraint;
  const char *form = e ? constraint_name(e) : "";
  bool range = !strcmp(form, "range");
  Value lo, hi;
  if (!e) return true;
  if (e->kind == EX_ERROR) return false;
  if (!range && strcmp(form, "box")) {
    Diag *d = diag_error(s->diags, e->span, "E0521", "this is not a constraint of data");
    diag_help(s->diags, d, "`in box(low, high)`, or `in range(0, n)` for integers");
    return false;
  }
  if (!sema_box(s, e, form, &lo, &hi)) return false;
  if (range && (f->type.dtype != DT_I32 || lo.lit != LIT_INT || hi.lit != LIT_INT)) {
    Diag *d = diag_error(s->diags, e->span, "E0521", "`in range` is for integers");
    diag_help(s->diags, d, "`in box(low, high)` bounds other numbers");
    return false;
  }
  f->check = range ? CHECK_RANGE : CHECK_BOX;
  f->lo = lo.num;
  f->hi = hi.num;
  f->limit = hi.size;
  f->index = range && lo.num >= 0 && hi.sized;
  return true;
}

/* ---- declarations */

static void add_field(Sema *s, Symbol *y, AstItem *it) {
  SData *d = y->data;
  SField *old = data_field(d, it->name);
  if (old) {
    Diag *g =
        diag_error(s->diags, it->name_span, "E0102", "field `%s` is declared twice", it->name);
    diag_label(s->diags, g, old->item->name_span, "first here");
    return;
  }
  SField f = {
      .name = it->name, .item = it, .storage = arena_printf(s->arena, "%s.%s", y->name, it->name)};
  f.row_axis = -1;
  VEC_PUSH(s->arena, d->field, d->nfield, d->cap, f);
}

static void read_setting(Sema *s, SData *d, AstItem *it) {
  static const char *const known[] = {"file", "batch", "shuffle", "partial", "rows", "split"};
  const AstExpr **slot[] = {NULL, &d->batch, &d->shuffle, &d->partial, &d->row_name, &d->split};
  int i = 0;
  while (i < 6 && strcmp(it->name, known[i])) i++;
  if (i == 6) {
    setting_unknown(s, it, "a data source", known, 6, NULL, 0);
  } else if (i > 0) {
    if (*slot[i]) diag_error(s->diags, it->name_span, "E0524", "`%s` is given twice", it->name);
    *slot[i] = it->value;
  } else if (d->file) {
    diag_error(s->diags, it->name_span, "E0524", "`file` is given twice");
  } else if (it->value->kind != EX_STRING) {
    if (it->value->kind != EX_ERROR)
      diag_error(s->diags, it->value->span, "E0522", "`file` needs a text: \"train.npz\"");
    d->file = "";
  } else {
    d->file = it->value->text;
    d->file_span = it->value->span;
  }
}

static const char *other_file(const Sema *s, const char *name) {
  size_t n = strlen(name);
  for (int i = 0; i < s->opt->ndata; i++)
    if (!strncmp(s->opt->data[i], name, n) && s->opt->data[i][n] == '=')
      return s->opt->data[i] + n + 1;
  return NULL;
}

static SemaWant *wanted(Sema *s, const SData *d) {
  SemaWant *want = arena_array(s->arena, SemaWant, d->nfield);
  for (int i = 0; i < d->nfield; i++) {
    want[i].name = d->field[i].name;
    const AstType *t = d->field[i].item->type;
    for (const AstArg *g = t ? t->dim : NULL; g; g = g->next) want[i].rank++;
  }
  return want;
}

static void probe(Sema *s, Symbol *y) {
  SData *d = y->data;
  const char *other = other_file(s, y->name), *dir = s->opt->dir, *error = NULL;
  d->probe = SEMA_PROBE_ABSENT;
  if (other) d->file = other;
  if (!d->file || !*d->file) return;
  bool here = other || d->file[0] == '/' || !dir || !*dir;
  const char *slash = here || dir[strlen(dir) - 1] == '/' ? "" : "/";
  d->path = here ? d->file : arena_printf(s->arena, "%s%s%s", dir, slash, d->file);
  if (s->opt->probe)
    d->probe = s->opt->probe(s->opt->probe_ctx, d->path, wanted(s, d), d->nfield, &d->array,
                             &d->narray, &error);
  if (d->probe == SEMA_PROBE_BAD)
    diag_error(s->diags, d->file_span, "E0402", "cannot read `%s`: %s", d->path,
               error ? error : "bad file");
  if (d->probe != SEMA_PROBE_ABSENT) return;
  s->missing = true;
  if (!s->opt->check_only)
    diag_error(s->diags, d->file_span, "E0401", "there is no file `%s`", d->path);
}

static void declare(Sema *s, Symbol *y) {
  y->data = arena_new_of(s->arena, SData);
  for (AstItem *it = y->item->body; it; it = it->next)
    if (it->kind == AST_FIELD && it->name)
      add_field(s, y, it);
    else if (it->kind == AST_SETTING && it->name && it->value)
      read_setting(s, y->data, it);
  if (!y->data->file) {
    Diag *d = diag_error(s->diags, y->item->name_span, "E0523", "data `%s` names no file", y->name);
    diag_help(s->diags, d, "add `file = \"%s.npz\";`", y->name);
  }
  if (!y->data->nfield)
    diag_error(s->diags, y->item->name_span, "E0523", "data `%s` has no fields", y->name);
}

/* ---- sizes */

static const SemaArray *find_array(const SData *d, const char *name) {
  for (int i = 0; i < d->narray; i++)
    if (!strcmp(d->array[i].name, name)) return &d->array[i];
  return NULL;
}

static void bind_dim(Sema *s, SField *f, const AstExpr *e, Symbol *y, int64_t n) {
  if (!y->bound_by || (y->dim.value < 0 && n >= 0)) {
    y->dim.value = n;
    y->bound_by = f->storage;
  } else if (n >= 0 && y->dim.value != n) {
    diag_error(s->diags, e->span, "E0412", "`%s` is %lld in `%s`, but %lld in `%s`", y->name,
               (long long)y->dim.value, y->bound_by, (long long)n, f->storage);
  }
}

/* Dims without a value of their own get it from the first array that has them. */
static void bind_field(Sema *s, SData *d, SField *f) {
  const SemaArray *a = find_array(d, f->name);
  int i = 0;
  for (const AstArg *g = f->item->type ? f->item->type->dim : NULL; g; g = g->next, i++) {
    if (g->value->kind != EX_NAME) continue;
    Symbol *y = scope_find(s, g->value->text);
    if (!y || y->kind != SYM_DIM || y->item->value || sema_set_value(s, y->name)) continue;
    bind_dim(s, f, g->value, y, a && i < a->rank && i < MAX_RANK ? a->dim[i] : DIM_UNKNOWN);
  }
}

static void check_dim(Sema *s, const SData *d, const SField *f, const SemaArray *a, int i,
                      Span at) {
  SDim want = f->type.dim[i];
  if (a->dim[i] == 0)
    diag_error(s->diags, at, "E0415", "array `%s` of `%s` is empty", a->name, d->path);
  else if (want.value >= 0 && want.value != a->dim[i] &&
           (dim_is_int(want) || strpbrk(want.text, " */")))
    diag_error(s->diags, at, "E0412",
               "axis %d of array `%s` of `%s` has size %lld, but `%s` is %lld", i, a->name, d->path,
               (long long)a->dim[i], want.text, (long long)want.value);
}

/* A .npy or IDX file, whose one array has no name, for several fields: said once, at the second. */
static bool one_for_many(Sema *s, const SData *d, const SField *f) {
  const char *dot = strrchr(d->path, '.');
  bool npy = dot && !strcmp(dot, ".npy"), alone = d->narray == 1 && !*d->array[0].name;
  if (d->nfield < 2 || !(npy || (alone && !strstr(d->path, ".csv")))) return false;
  if (f != &d->field[1]) return true;
  Diag *g = diag_error(s->diags, f->item->name_span, "E0413",
                       "%s file holds one array, and this is the second field of `%s`",
                       npy ? "a .npy" : "an IDX", d->path);
  diag_label(s->diags, g, d->field[0].item->name_span, "the first");
  diag_help(s->diags, g,
            "save the arrays in one .npz file, or give each %s file a data source of its own",
            npy ? ".npy" : "IDX");
  return true;
}

static void no_array(Sema *s, const SData *d, const SField *f) {
  if (one_for_many(s, d, f)) return;
  Diag *g =
      diag_error(s->diags, f->item->name_span, "E0413", "`%s` has no array `%s`", d->path, f->name);
  const char *list = "";
  for (int i = 0; i < d->narray && i < 12; i++)
    list = arena_printf(s->arena, "%s%s`%s`", list, i ? ", " : "", d->array[i].name);
  diag_note(s->diags, g, "it has %s", d->narray ? list : "none");
}

static void check_field(Sema *s, const SData *d, SField *f) {
  const SemaArray *a = find_array(d, f->name);
  if (d->probe != SEMA_PROBE_OK) return;
  if (!a) {
    no_array(s, d, f);
    return;
  }
  if (a->problem) {
    diag_error(s->diags, f->item->name_span, "E0402", "this array cannot be read: %s", a->problem);
    return;
  }
  if (a->rank != f->type.rank) {
    diag_error(s->diags, f->item->type->span, "E0411", "array `%s` of `%s` has %d ax%s, not %d",
               a->name, d->path, a->rank, a->rank == 1 ? "is" : "es", f->type.rank);
    return;
  }
  if (!a->integral && !dtype_is_float(f->type.dtype)) {
    diag_error(s->diags, f->item->type->span, "E0414",
               "array `%s` of `%s` holds floats, not integers", a->name, d->path);
    return;
  }
  int i = 0;
  for (const AstArg *g = f->item->type->dim; g; g = g->next, i++)
    check_dim(s, d, f, a, i, g->value->span);
}

/* A dim must have a value, or at least a field that would give it one. */
static void check_bound(Sema *s) {
  for (int i = 0; i < s->nsymbol; i++) {
    Symbol *y = s->symbol[i];
    if (y->kind != SYM_DIM || y->progress != DONE || y->dim.value >= 0) continue;
    s->complete = false;
    if (y->bound_by || y->item->value) continue;
    Diag *d = diag_error(s->diags, y->item->name_span, "E0416", "nothing says how large `%s` is",
                         y->name);
    diag_help(s->diags, d, "give it a value, `dim %s = 10;`, or let a data field have it", y->name);
  }
}

/* Every --data must name a source, of this run or of another one. */
static void check_files(Sema *s) {
  for (int i = 0; i < s->opt->ndata; i++) {
    const char *text = s->opt->data[i], *name = arena_strndup(s->arena, text, strcspn(text, "="));
    const Symbol *y = scope_find(s, name);
    if (y && y->kind == SYM_DATA) continue;
    const char **names = NULL;
    int n = 0, cap = 0;
    for (int k = 0; k < s->nsymbol; k++)
      if (s->symbol[k]->kind == SYM_DATA) VEC_PUSH(s->arena, names, n, cap, s->symbol[k]->name);
    Diag *d = diag_error(s->diags, (Span){0, 0}, "E0340", "--data %s: there is no source `%s`",
                         text, name);
    help_nearest(s, d, name, names, n);
  }
}

void sema_data(Sema *s) {
  check_files(s);
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_DATA) {
      declare(s, s->symbol[i]);
      probe(s, s->symbol[i]);
    }
  for (int i = 0; i < s->nsymbol; i++)
    for (int k = 0; s->symbol[i]->kind == SYM_DATA && k < s->symbol[i]->data->nfield; k++)
      bind_field(s, s->symbol[i]->data, &s->symbol[i]->data->field[k]);
  sema_dims(s);
  for (int i = 0; i < s->nsymbol; i++)
    for (int k = 0; s->symbol[i]->kind == SYM_DATA && k < s->symbol[i]->data->nfield; k++) {
      SData *d = s->symbol[i]->data;
      SField *f = &d->field[k];
      f->bad = !f->item->type || !sema_type(s, f->item->type, &f->type) || !read_constraint(s, f);
      if (!f->bad) check_field(s, d, f);
    }
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_DATA) sema_rows(s, s->symbol[i]);
  check_bound(s);
}
