/* Draws that a device may run ahead of their time. Where a source has to stay in the host's memory,
   the rows of the next batch are gathered while the current one is computed with: the function that
   draws is run on copies of all that it writes, and a draw copies those into the arena. That needs
   functions that stand alone in the schedule, and whose every call is one that the runtime makes.
 */
#include <stdlib.h>

#include "codegen/schedule.h"
#include "codegen/unit_cuda.h"

static bool calls(const Stmt *s, const Func *f) {
  for (; s; s = s->next)
    if ((s->kind == STMT_CALL && s->func == f) || calls(s->body, f)) return true;
  return false;
}

/* In a loop whose rounds need not count, what is drawn next is not known. */
static bool may_not_count(const Program *p, const Stmt *s, const Func *f) {
  for (; s; s = s->next) {
    bool counts = s->kind == STMT_WHILE && !stmt_is_top_loop(p, s);
    if (counts ? calls(s->body, f) : may_not_count(p, s->body, f)) return true;
  }
  return false;
}

static bool is_ahead(const Device *d, const Level *l) {
  const Program *p = d->unit.program;
  return l->ncursor > 0 && l->draw && l->draw->nresult > 1 && !d->unit.options->poison &&
         calls(p->schedule, l->draw) && !may_not_count(p, p->schedule, l->draw);
}

bool ahead_is_draw(const Device *d, const Func *f) {
  const Program *p = d->unit.program;
  for (int i = 0; i < p->nlevel; i++)
    if (p->level[i]->draw == f && is_ahead(d, p->level[i])) return true;
  return false;
}

bool ahead_draws_in(const Device *d, const Stmt *body) {
  const Program *p = d->unit.program;
  for (int i = 0; i < p->nlevel; i++)
    if (is_ahead(d, p->level[i]) && calls(body, p->level[i]->draw)) return true;
  return false;
}

/* ---- what a draw writes */

typedef struct Bytes {
  int64_t first, end;
} Bytes;

typedef struct Written {
  Arena *arena;
  Bytes *item;
  int n, cap;
} Written;

static void add(Written *w, const Storage *s) {
  if (!s) return;
  Bytes b = {emit_byte(s), emit_byte(s) + type_bytes(s->type)};
  if (b.end > b.first) VEC_PUSH(w->arena, w->item, w->n, w->cap, b);
}

static int by_place(const void *a, const void *b) {
  int64_t x = ((const Bytes *)a)->first, y = ((const Bytes *)b)->first;
  return (x > y) - (x < y);
}

/* Storages that share bytes become one piece, and so do neighbours up to their alignment. */
static void unite(Written *w) {
  int n = 0;
  if (w->n) qsort(w->item, (size_t)w->n, sizeof *w->item, by_place);
  for (int i = 0; i < w->n; i++) {
    if (n && w->item[i].first < w->item[n - 1].end + ARENA_ALIGN) {
      if (w->item[i].end > w->item[n - 1].end) w->item[n - 1].end = w->item[i].end;
    } else {
      w->item[n++] = w->item[i];
    }
  }
  w->n = n;
}

static int spans(Device *d, const Func *f, int level, const char *prefix, Text *out) {
  Written w = {.arena = d->unit.arena};
  for (int i = 0; i < f->nkernel; i++) {
    const Kernel *k = f->kernel[i];
    for (int s = 0; s < k->nstore; s++) add(&w, k->store[s].dest);
    add(&w, k->scratch);
  }
  unite(&w);
  text_addf(out, "static const MloSpan %sahead%d[] = {", prefix, level);
  for (int i = 0; i < w.n; i++)
    text_addf(out, "%s{%lld, %lld}", i ? ", " : "", (long long)w.item[i].first,
              (long long)(w.item[i].end - w.item[i].first));
  text_add(out, "};\n");
  return w.n;
}

int device_aheads(Device *d, const char *prefix, Text *out) {
  const Program *p = d->unit.program;
  Text table = {.arena = d->unit.arena};
  int n = 0;
  bool any = false;
  for (int i = 0; i < p->nlevel; i++) {
    const Level *l = p->level[i];
    if (!l->ncursor) continue;
    bool ahead = is_ahead(d, l);
    any = any || ahead;
    if (ahead)
      text_addf(&table, "{%d, %sahead%d},\n", spans(d, l->draw, n, prefix, out), prefix, n);
    else
      text_add(&table, "{0, NULL},\n");
    n++;
  }
  if (any) text_addf(out, "static const MloAhead %saheads[] = {\n%s};\n", prefix, table.s);
  return any ? n : 0;
}
