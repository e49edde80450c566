/* Which device a run is on, and what passes between it and the host as arrays. */

#include "runtime/device.h"

#include "runtime/npy.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rt_fetch(RtDevice *d, const MloArray *array, int n) {
  for (int i = 0; i < n; i++) {
    const MloArray *a = &array[i];
    if (!d->type->fetch(d, (int64_t)a->offset, rt_array_bytes(a->dtype, a->rank, a->dim)))
      return false;
  }
  return d->type->wait(d);
}

bool rt_put(RtDevice *d, const MloArray *array, int n) {
  for (int i = 0; i < n; i++) {
    const MloArray *a = &array[i];
    if (!d->type->put(d, (int64_t)a->offset, rt_array_bytes(a->dtype, a->rank, a->dim)))
      return false;
  }
  return true;
}

static bool put_source(RtDevice *d, const MloSource *s) {
  for (int i = 0; i < s->nfield; i++) {
    const MloField *f = &s->field[i];
    if (!d->type->put(d, (int64_t)f->offset, rt_array_bytes(f->dtype, f->rank, f->dim)))
      return false;
  }
  for (int i = 0; i < s->npart; i++)
    if (!d->type->put(d, (int64_t)s->part[i].offset, (size_t)s->part[i].count * sizeof(int32_t)))
      return false;
  return true;
}

bool rt_device_begin(RtDevice *d) {
  const MloProgram *p = d->run->program;
  if (!d->type->clear(d)) return false;
  for (int i = 0; i < p->nsource && !d->has_data; i++)
    if (!put_source(d, &p->data[i])) return false;
  d->has_data = true;
  for (int i = 0; i < p->nsetting; i++)
    if (!d->type->put(d, (int64_t)p->setting[i].offset, rt_dtype_size(p->setting[i].dtype)))
      return false;
  return d->type->put(d, (int64_t)p->seed_offset, sizeof(int32_t)) &&
         d->type->put(d, (int64_t)p->top_steps_offset, sizeof(int32_t));
}

/* Rows of functions are of either device; a schedule tells which are there. */
static bool has_host_code(const MloProgram *p) { return p->nstmt > 0 || !p->cuda; }

/* Whether the environment's variable, if it is set, is one of two words. */
static bool is_word(const char *name, const char *one, const char *other, RtErr *e) {
  const char *is = getenv(name);
  return !is || !*is || !strcmp(is, one) || !strcmp(is, other) ||
         rt_fail(e, RT_USAGE, "%s is `%s` or `%s`, not `%s`", name, one, other, is);
}

bool rt_device_open(RtDevice *d, MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  RtDeviceKind kind = run->option.device;
  bool host = has_host_code(p);
  RtErr trouble = {0};
  rt_device_host(d, run);
  if (kind == DEVICE_CUDA && !p->cuda)
    return rt_fail(e, RT_DEVICE,
                   "--device cuda: this executable has no code for CUDA devices; build one that "
                   "has: mloc build %s --target=cuda",
                   p->source);
  if (kind == DEVICE_CPU && !host)
    return rt_fail(e, RT_DEVICE,
                   "--device cpu: this executable has no code for CPUs; build one that has: mloc "
                   "build %s",
                   p->source);
  if (kind == DEVICE_CPU || !p->cuda) return true;
  if (!is_word("MLO_GRAPH_LOOPS", "nodes", "fixed", e) ||
      !is_word("MLO_BATCHES", "ahead", "late", e))
    return false;
  if (rt_device_cuda(d, run, &trouble)) return true;
  rt_device_host(d, run);
  if (kind == DEVICE_CUDA || !host) return rt_fail(e, trouble.code, "%s", trouble.text);
  if (!run->option.quiet) fprintf(stderr, "%s: %s; running on the CPU\n", p->name, trouble.text);
  return true;
}
