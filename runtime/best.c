/* `keep_best`: the arrays of final.npz as they were at the report where a metric was best, in a
   block of their own that is there before the first step. Checkpoints hold it, too. */

#include "runtime/run.h"

#include "runtime/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 };

static size_t padded(const RtEntry *e) { return (e->bytes + ALIGN - 1) / ALIGN * ALIGN; }

bool rt_best_begin(MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  RtBest *b = &run->best;
  size_t bytes = 0;
  *b = (RtBest){.metric = -1};
  for (int i = 0; p->best && i < p->nmetric; i++)
    if (!strcmp(p->metric[i].name, p->best)) b->metric = i;
  if (b->metric < 0) return true;
  b->entry = calloc((size_t)p->narray + 1, sizeof *b->entry);
  if (!b->entry) return rt_fail(e, RT_DATA, "out of memory");
  for (int i = 0; i < p->narray; i++) {
    rt_entry_of(&p->array[i], run->arena, &b->entry[i]);
    bytes += padded(&b->entry[i]);
  }
  b->block = calloc(bytes + 1, 1);
  if (!b->block)
    return rt_fail(e, RT_DATA, "`keep_best` needs %zu bytes of memory more: there is no room",
                   bytes);
  bytes = 0;
  for (int i = 0; i < p->narray; i++) {
    b->entry[i].data = b->block + bytes;
    bytes += padded(&b->entry[i]);
  }
  return true;
}

bool rt_best_report(MloRun *run, int64_t step) {
  const MloProgram *p = run->program;
  RtBest *b = &run->best;
  if (b->metric < 0) return true;
  double v = run->rows.value[(run->rows.n - 1) * (size_t)p->nmetric + (size_t)b->metric];
  bool better = !b->have || (p->best_max ? v > b->value : v < b->value);
  if (isnan(v) || !better) return true;
  if (!rt_fetch(&run->device, p->array, p->narray)) return false;
  b->have = true;
  b->step = step;
  b->value = v;
  size_t at = 0;
  for (int i = 0; i < p->narray; i++) {
    memcpy(b->block + at, run->arena + p->array[i].offset, b->entry[i].bytes);
    at += padded(&b->entry[i]);
  }
  return true;
}

const double *rt_best_row(const MloRun *run) {
  const RtRows *r = &run->rows;
  for (size_t i = 0; run->best.metric >= 0 && run->best.have && i < r->n; i++)
    if (r->step[i] == run->best.step) return r->value + i * (size_t)run->program->nmetric;
  return NULL;
}

void rt_best_free(RtBest *b) {
  free(b->entry);
  free(b->block);
  *b = (RtBest){.metric = -1};
}
