/* The arena without what lies in it as long as the process lives: --seeds clears no more than that
   between two seeds, on the host and on a device. */

#include "runtime/gaps.h"

#include "runtime/npy.h"

#include <stdlib.h>

static int by_place(const void *a, const void *b) {
  size_t x = ((const RtGap *)a)->at, y = ((const RtGap *)b)->at;
  return (x > y) - (x < y);
}

static int take_source(const MloSource *s, RtGap *out) {
  int n = 0;
  for (int i = 0; i < s->nfield; i++) {
    const MloField *f = &s->field[i];
    out[n++] = (RtGap){f->offset, rt_array_bytes(f->dtype, f->rank, f->dim)};
  }
  for (int i = 0; i < s->npart; i++)
    out[n++] = (RtGap){s->part[i].offset, (size_t)s->part[i].count * sizeof(int32_t)};
  return n;
}

/* Between two of the arrays there is one gap, and one at either end; each takes the place of the
   array behind it. */
RtGap *rt_gaps(const MloProgram *p, int *n, RtErr *e) {
  int most = 1, narray = 0;
  size_t at = 0;
  for (int i = 0; i < p->nsource; i++) most += p->data[i].nfield + p->data[i].npart;
  RtGap *gap = malloc((size_t)most * sizeof *gap);
  *n = 0;
  if (!gap) {
    rt_fail(e, RT_DATA, "out of memory");
    return NULL;
  }
  for (int i = 0; i < p->nsource; i++) narray += take_source(&p->data[i], gap + narray);
  qsort(gap, (size_t)narray, sizeof *gap, by_place);
  gap[narray] = (RtGap){p->arena_bytes, 0};
  for (int i = 0; i <= narray; i++) {
    RtGap array = gap[i];
    if (array.at > at) gap[(*n)++] = (RtGap){at, array.at - at};
    if (array.at + array.n > at) at = array.at + array.n;
  }
  return gap;
}
