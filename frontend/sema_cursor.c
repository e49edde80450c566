/* What is drawn from large sources, so that the runtime can read the next batch ahead while the
   current one is computed with. */
#include "frontend/sema_internal.h"

/* Smaller sources stay in the caches by themselves, and of smaller batches the wait is short. */
enum { LEAST_SOURCE = 4 << 20, LEAST_BATCH = 64 << 10 };

void cursor_add(Sema *s, const Symbol *data, const SRows *r) {
  SLevel *l = s->env.level;
  SCursor c = {data, r};
  for (int i = 0; i < l->ncursor; i++)
    if (l->cursor[i].rows == r) return;
  VEC_PUSH(s->arena, l->cursor, l->ncursor, l->cursor_cap, c);
}

/* Bytes of a row in the fields whose first axis counts the rows. */
static int64_t row_bytes(const SData *d, const Source *src) {
  int64_t n = 0;
  for (int i = 0; i < d->nfield; i++)
    if (d->field[i].row_axis == 0) n += type_bytes(src->field[i]->type) / src->rows;
  return n;
}

static Source *source_of(const Program *p, const Symbol *y) {
  for (int i = 0; i < p->nsource; i++)
    if (p->source[i]->name == y->name && p->source[i]->rows > 0) return p->source[i];
  return NULL;
}

void cursors_emit(Sema *s, Program *p, SLevel *l) {
  Level *ir = l->ir;
  ir->cursor = arena_array(s->arena, Cursor, l->ncursor);
  for (int i = 0; i < l->ncursor; i++) {
    const SRows *r = l->cursor[i].rows;
    const SData *d = l->cursor[i].data->data;
    Source *src = source_of(p, l->cursor[i].data);
    if (!src) continue;
    int64_t bytes = row_bytes(d, src), stream = d->shuffled ? l->stream[r->number] - 1 : 0;
    if (bytes * src->rows < LEAST_SOURCE || bytes * src->batch < LEAST_BATCH) continue;
    Storage *rows = r->index ? program_find(p, r->index) : NULL;
    ir->cursor[ir->ncursor++] = (Cursor){src, rows, stream, r->batch.ragged != 0};
  }
}
