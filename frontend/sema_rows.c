/* The rows of data sources: mini-batches, shuffling, and which rows an expression of a level sees.
   A batch is a function of the level's counter of draws alone, by index arithmetic: draw t of a
   source of N rows is batch t mod (N div B) of epoch t div (N div B); a shuffled source takes each
   position through a permutation that the seed, the (level, source) and the epoch choose. So
   nothing but the counter is stored, and a checkpoint that has it goes on with the same batches. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"
#include "frontend/sema_internal.h"

/* ---- settings */

static bool rows_error(Sema *s, SData *d, Span at, const char *code, const char *text,
                       const char *help) {
  d->bad_rows = true;
  Diag *g = diag_error(s->diags, at, code, "%s", text);
  if (help) diag_help(s->diags, g, "%s", help);
  return false;
}

/* The size that counts rows, and which axis of each field has it. */
static bool find_rows(Sema *s, Symbol *y) {
  SData *d = y->data;
  const SField *first = d->nfield ? &d->field[0] : NULL;
  if (!d->row_name && (!first || first->bad || first->type.rank == 0)) return false;
  if (!d->row_name)
    d->row = first->type.dim[0];
  else if (!sema_size(s, d->row_name, &d->row))
    return d->bad_rows = true, false;
  bool bad = false;
  for (int i = 0; i < d->nfield; i++) {
    SField *f = &d->field[i];
    bad = bad || f->bad;
    for (int k = f->bad ? 0 : f->type.rank; k-- > 0;)
      if (dim_eq(f->type.dim[k], d->row)) f->row_axis = k;
    d->has_rows = d->has_rows || f->row_axis >= 0;
  }
  if (d->has_rows || bad) return d->has_rows;
  return rows_error(
      s, d, d->row_name->span, "E0421",
      arena_printf(s->arena, "no field of `%s` has an axis of size `%s`", y->name, d->row.text),
      "`rows = N` names the size of the fields' types that counts the rows");
}

static bool read_flag(Sema *s, SData *d, const AstExpr *e) {
  if (e->kind == EX_BOOL) return e->integer;
  if (e->kind != EX_ERROR)
    rows_error(s, d, e->span, "E0525", "`shuffle` is `true` or `false`", NULL);
  return false;
}

static void read_partial(Sema *s, SData *d, const AstExpr *e) {
  const char *word = e->kind == EX_NAME ? e->text : "";
  if (e->kind == EX_ERROR || !strcmp(word, "drop")) return;
  if (!strcmp(word, "keep"))
    d->keep = true;
  else
    rows_error(s, d, e->span, "E0525", "`partial` is `drop` or `keep`", NULL);
}

/* How many rows of r are read at once. */
static void read_batch(Sema *s, Symbol *y, SRows *r) {
  SData *d = y->data;
  SDim size;
  r->batch = r->rows;
  if (!d->batch || d->bad_rows) return;
  if (!sema_size(s, d->batch, &size)) {
    d->bad_rows = true;
    return;
  }
  const char *name = arena_printf(s->arena, "batch(%s)", r->name);
  r->batch = dim_named(name, size.value);
  bool even = r->rows.value >= 0 && size.value > 0 && r->rows.value % size.value == 0;
  r->batch.ragged = d->keep && !even ? r->batch.key : 0;
  if (size.value == 0)
    rows_error(s, d, d->batch->span, "E0420", "a batch has at least one row", NULL);
  else if (size.value > 0 && r->rows.value >= 0 && size.value > r->rows.value)
    rows_error(s, d, d->batch->span, "E0420",
               arena_printf(s->arena, "a batch of %lld rows, but `%s` has %lld",
                            (long long)size.value, r->name, (long long)r->rows.value),
               "without `batch` a level reads all rows at once");
}

void sema_rows(Sema *s, Symbol *y) {
  SData *d = y->data;
  const AstExpr *wants = d->batch ? d->batch : d->shuffle ? d->shuffle : d->split;
  d->all = (SRows){.name = y->name, .number = s->nrows++};
  bool found = find_rows(s, y);
  if (d->shuffle) d->shuffled = read_flag(s, d, d->shuffle);
  if (d->partial) read_partial(s, d, d->partial);
  if (!found && wants && !d->bad_rows && d->nfield && !d->field[0].bad)
    rows_error(s, d, wants->span, "E0421",
               arena_printf(s->arena, "`%s` has no rows: its first field is one number", y->name),
               "`rows = N` names the size that counts rows");
  if (d->shuffled && !d->batch && !d->bad_rows)
    rows_error(s, d, d->shuffle->span, "E0420", "`shuffle` needs `batch`",
               "without `batch` a level reads all rows at once, whatever their order");
  d->all.rows = d->row;
  read_batch(s, y, &d->all);
  if (d->split && found) sema_split(s, y);
  for (int i = 0; i < d->npart; i++) read_batch(s, y, &d->part[i].rows);
}

/* ---- rows at hand */

SRows *rows_find(Sema *s, const AstExpr *e, Symbol **data, bool quiet) {
  const AstExpr *source = e->kind == EX_FIELD ? e->a : e;
  Symbol *y = source->kind == EX_NAME ? scope_find(s, source->text) : NULL;
  if (y && y->kind == SYM_DATA && y->data) {
    *data = y;
    if (e->kind == EX_NAME) return y->used = true, &y->data->all;
    for (int i = 0; i < y->data->npart; i++)
      if (!strcmp(y->data->part[i].name, e->text)) return y->used = true, &y->data->part[i].rows;
  }
  if (quiet || e->kind == EX_ERROR || (y && y->twice)) return NULL;
  const char **names = NULL;
  int n = 0, cap = 0;
  for (int i = 0; i < s->nsymbol; i++)
    if (s->symbol[i]->kind == SYM_DATA) VEC_PUSH(s->arena, names, n, cap, s->symbol[i]->name);
  Diag *d = ops_error(&s->ops, e->span, "E0423", "this is no data source");
  if (e->kind == EX_NAME) help_nearest(s, d, e->text, names, n);
  return NULL;
}

static const AstExpr *only_argument(Sema *s, const AstExpr *call) {
  const AstArg *a = call->arg;
  if (a && !a->next && !a->name) return a->value;
  Diag *d = ops_error(&s->ops, call->span, "E0230", "`%s` takes one argument", call->a->text);
  diag_help(s->diags, d, "`%s`", builtin_find(call->a->text)->signature);
  return NULL;
}

bool rows_batch(Sema *s, const AstExpr *call, SDim *out) {
  Symbol *y;
  const AstExpr *e = only_argument(s, call);
  const SRows *r = e ? rows_find(s, e, &y, false) : NULL;
  if (!r || y->data->bad_rows) return false;
  if (y->data->has_rows) {
    *out = s->ops.chunk && s->chunk_rows == r ? s->ops.chunk->rows : r->batch;
    return true;
  }
  for (int i = 0; i < y->data->nfield; i++)
    if (y->data->field[i].bad) return false;
  Diag *d = ops_error(&s->ops, e->span, "E0421", "the rows of `%s` are not known here", r->name);
  diag_help(s->diags, d, "sizes of data and dims are found before batches: use a dim instead");
  return false;
}

/* The stream of random numbers that shuffles r for this level. */
static int64_t stream_of(Sema *s, const SRows *r) {
  SLevel *l = s->env.level;
  if (!l->stream) l->stream = arena_array(s->arena, int64_t, s->nrows);
  if (!l->stream[r->number]) l->stream[r->number] = ++*s->ops.stream;
  return l->stream[r->number] - 1;
}

static Node *integer(Graph *g, int64_t x) { return ir_const(g, type_scalar(DT_I32), (double)x); }

/* Draw t = draws - 1 of the level, and how many batches an epoch has. */
static Node *current_draw(Sema *s, const SRows *r, Node **each) {
  Graph *g = s->ops.g;
  Node *draws = ir_param(g, s->ops.counter, type_scalar(DT_I32));
  *each = integer(g, r->rows.value / r->batch.value + (r->batch.ragged != 0));
  return ir_sub(g, draws, integer(g, 1));
}

/* Place in the epoch of the first row of the level's current batch. */
static Node *first_place(Sema *s, const SRows *r) {
  Graph *g = s->ops.g;
  Node *each, *now = current_draw(s, r, &each), *batch = ir_mod(g, now, each);
  return ir_mul(g, batch, integer(g, r->batch.value));
}

/* Places in the epoch of the level's current batch; of a last one with fewer rows also some behind
   the end. */
static Node *drawn_places(Sema *s, const SRows *r) {
  Graph *g = s->ops.g;
  int64_t size = r->batch.value;
  Type t = type_make(DT_I32, 1, &size);
  Node *first = ir_fill(g, first_place(s, r), t);
  return ir_add(g, first, ir_iota(g, t, 0));
}

static bool sizes_known(const SRows *r) {
  return r->rows.value >= 0 && r->batch.value > 0 && r->batch.value <= r->rows.value;
}

/* Ops.ragged: which rows of a last batch there are. The others are those of its places. */
void rows_ragged(void *ctx, SDim size, Node **valid, Node **count) {
  Sema *s = ctx;
  const SRows *r = NULL;
  for (int i = 0; i < s->nsymbol; i++) {
    const SData *d = s->symbol[i]->kind == SYM_DATA ? s->symbol[i]->data : NULL;
    for (int k = -1; d && k < d->npart; k++) {
      const SRows *x = k < 0 ? &d->all : &d->part[k].rows;
      if (x->batch.ragged && x->batch.key == size.ragged) r = x;
    }
  }
  if (!r || !s->ops.counter || !sizes_known(r)) return;
  s->ops.counted = true;
  Graph *g = s->ops.g;
  Node *place = drawn_places(s, r), *all = integer(g, r->rows.value);
  *valid = ir_lt(g, place, ir_fill(g, all, place->type));
  Node *left = ir_sub(g, all, first_place(s, r));
  *count = ir_min(g, left, integer(g, r->batch.value));
  int64_t each = size.value / r->batch.value; /* elements a row */
  if (each > 1) *count = ir_mul(g, *count, integer(g, each));
}

/* Positions in 0..rows-1 of the level's current batch. */
static Node *drawn_positions(Sema *s, const Symbol *y, const SRows *r) {
  const SData *d = y->data;
  Graph *g = s->ops.g;
  s->ops.counted = true;
  int64_t rows = r->rows.value, stream = d->shuffled ? stream_of(s, r) : 0;
  if (!sizes_known(r)) return NULL;
  if (g == s->env.level->graph) cursor_add(s, y, r);
  Type scalar = type_scalar(DT_I32);
  Node *position = drawn_places(s, r);
  if (r->batch.ragged) {
    Node *all = integer(g, rows);
    position = ir_mod(g, position, ir_fill(g, all, position->type));
  }
  if (!d->shuffled) return position;
  Node *each, *now = current_draw(s, r, &each);
  Node *epoch = ir_idiv(g, now, each);
  return ir_shuffle(g, rows, stream, ir_param(g, "seed", scalar), epoch, position);
}

/* Positions of one batch of all rows, in order; of the smaller one that is left at their end. */
static Node *chunk_positions(Sema *s, const SRows *r) {
  Graph *g = s->ops.g;
  const Chunk *c = s->ops.chunk;
  int64_t size = c->rows.value, batch = r->batch.value;
  if (size < 0 || batch <= 0) return NULL;
  Type scalar = type_scalar(DT_I32), t = type_make(DT_I32, 1, &size);
  Node *first = integer(g, c->rows.whole - size);
  if (c->counter) {
    Node *number = ir_param(g, c->counter, scalar);
    first = ir_mul(g, number, integer(g, batch));
  }
  Node *wide = ir_fill(g, first, t);
  return ir_add(g, wide, ir_iota(g, t, 0));
}

/* The numbers in the whole source of the rows at hand. */
static Value row_numbers(Sema *s, Symbol *y, const SRows *r) {
  SData *d = y->data;
  Graph *g = s->ops.g;
  bool drawn = s->env.level && d->batch, chunk = drawn && s->ops.chunk && s->chunk_rows == r;
  SDim size = chunk ? s->ops.chunk->rows : drawn ? r->batch : r->rows;
  Node *at = NULL;
  if (drawn)
    at = chunk ? chunk_positions(s, r) : drawn_positions(s, y, r);
  else if (size.value >= 0 && !r->index)
    at = ir_iota(g, type_make(DT_I32, 1, &size.value), 0);
  if (r->index && r->rows.value >= 0) {
    Node *all = ir_param(g, r->index, type_make(DT_I32, 1, &r->rows.value));
    at = !drawn ? all : at ? ir_gather(g, all, at) : NULL;
  }
  SType t = {.dtype = DT_I32, .rank = 1, .dim = {size}};
  Value v = value_new(t, at);
  v.field = arena_printf(s->arena, "index(%s)", r->name);
  v.ranged = true;
  v.limit = d->row;
  return v;
}

Value rows_of_field(Sema *s, Symbol *y, const SRows *r, const SField *f, Value all) {
  const SData *d = y->data;
  if (d->bad_rows) return value_bad();
  if (f->row_axis < 0 || all.bad) return all;
  if (!r->index && !(s->env.level && d->batch)) return all;
  return v_take(&s->ops, all, row_numbers(s, y, r), f->row_axis);
}

Value rows_call(Sema *s, const AstExpr *call) {
  SDim size;
  if (!strcmp(call->a->text, "batch"))
    return rows_batch(s, call, &size) ? value_size(&s->ops, size) : value_bad();
  Symbol *y;
  const AstExpr *e = only_argument(s, call);
  const SRows *r = e ? rows_find(s, e, &y, false) : NULL;
  if (!r || y->data->bad_rows || !y->data->has_rows) return value_bad();
  if (s->env.pure) {
    Diag *d = ops_error(&s->ops, call->span, "E0107", "data cannot be read in %s",
                        s->env.place ? s->env.place : "a fn");
    if (!s->env.place) diag_help(s->diags, d, "pass it as an argument");
    return value_bad();
  }
  s->ops.g->span = call->span;
  return row_numbers(s, y, r);
}
