/* Where the arena lies on a CUDA device. All of it is one buffer there, as long as there is room.
   Where there is none, the sources that batches are drawn from stay in the host's memory, which the
   device then reads over the bus, a batch's rows when it gathers them; the rest of the arena closes
   up. Places that kernels are given are translated here; kernels know nothing of it. */

#include "runtime/device_cuda.h"

#include "runtime/npy.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALIGN = 64 /* of everything in the arena */ };

/* Sources whose rows batches take: their fields are read through the numbers of rows alone. */
static bool is_drawn_from(const MloProgram *p, const MloField *f) {
  for (int i = 0; i < p->ncursor; i++)
    for (int k = 0; k < p->cursor[i].nspan; k++)
      if (p->cursor[i].span[k].offset == f->offset) return true;
  return false;
}

static int by_place(const void *a, const void *b) {
  int64_t x = ((const CudaHole *)a)->first, y = ((const CudaHole *)b)->first;
  return (x > y) - (x < y);
}

bool cuda_find_holes(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  const MloProgram *p = d->run->program;
  int n = 0;
  for (int i = 0; i < p->nsource; i++) n += p->data[i].nfield;
  c->hole = calloc((size_t)n + 1, sizeof *c->hole);
  if (!c->hole) return rt_fail(e, RT_DEVICE, "out of memory");
  for (int i = 0; i < p->nsource; i++)
    for (int k = 0; k < p->data[i].nfield; k++) {
      const MloField *f = &p->data[i].field[k];
      size_t size = (rt_array_bytes(f->dtype, f->rank, f->dim) + ALIGN - 1) / ALIGN * ALIGN;
      if (size > p->arena_bytes - f->offset) size = p->arena_bytes - f->offset;
      if (size && is_drawn_from(p, f))
        c->hole[c->nhole++] =
            (CudaHole){.first = (int64_t)f->offset, .end = (int64_t)(f->offset + size)};
    }
  qsort(c->hole, (size_t)c->nhole, sizeof *c->hole, by_place);
  return true;
}

size_t cuda_hole_bytes(const Cuda *c) {
  size_t n = 0;
  for (int i = 0; i < c->nhole; i++) n += (size_t)(c->hole[i].end - c->hole[i].first);
  return n;
}

bool cuda_map_holes(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  for (int i = 0; i < c->nhole; i++) {
    CudaHole *h = &c->hole[i];
    unsigned char *at = d->arena + h->first;
    size_t n = (size_t)(h->end - h->first);
    if (!rt_cuda_ok(&c->api, c->api.pin(at, n, CU_PIN_FOR_DEVICE), e,
                    "%.1f MB of data do not fit %s and cannot be kept in the host's memory",
                    1e-6 * (double)n, d->name))
      return false;
    h->pinned = true;
    if (!rt_cuda_ok(&c->api, c->api.pinned(&h->at, at, 0), e, "%s does not reach the host's memory",
                    d->name))
      return false;
  }
  return true;
}

void cuda_free_holes(RtDevice *d) {
  Cuda *c = d->cuda;
  for (int i = 0; i < c->nhole; i++)
    if (c->hole[i].pinned) c->api.unpin(d->arena + c->hole[i].first);
  free(c->hole);
}

int64_t cuda_behind_hole(const Cuda *c, int64_t at) {
  for (int i = 0; i < c->nhole; i++)
    if (at >= c->hole[i].first && at < c->hole[i].end) return c->hole[i].end;
  return at;
}

bool cuda_is_host(const Cuda *c, int64_t at) { return cuda_behind_hole(c, at) != at; }

CuAddress cuda_place(const Cuda *c, int64_t at) {
  CuAddress before = 0;
  for (int i = 0; i < c->nhole && at >= c->hole[i].first; i++) {
    const CudaHole *h = &c->hole[i];
    if (at < h->end) return h->at + (CuAddress)(at - h->first);
    before += (CuAddress)(h->end - h->first);
  }
  return c->arena + (CuAddress)at - before;
}
