/* --load: variables begin with the arrays of an earlier run's final.npz that have their names. The
   file is read and checked as data is, before anything of the run directory is touched; the values
   wait in a block of their own until the schedule has set the initial ones. */

#include "runtime/checkpoint.h"

#include "runtime/data.h"
#include "runtime/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const MloArray *a) { return rt_array_bytes(a->dtype, a->rank, a->dim); }

static const MloArray *find_variable(const MloProgram *p, const char *name) {
  for (int i = 0; i < p->narray; i++)
    if (p->array[i].variable && !strcmp(p->array[i].name, name)) return &p->array[i];
  return NULL;
}

static void shape(char *text, size_t size, int rank, const int64_t *dim) {
  long long wide[MLO_MAX_RANK] = {0};
  for (int i = 0; i < rank; i++) wide[i] = dim[i];
  rt_shape_text(text, size, rank, wide);
}

static bool fits(MloDType want, char kind) {
  if (want == MLO_BOOL) return kind == 'b';
  return want == MLO_I32 ? kind == 'i' : kind == 'f';
}

/* Type and shape of an array of the file must be the variable's; floats may be of another width. */
static bool check_array(const RtArchive *a, int at, const MloArray *want, RtErr *e) {
  char label[500], expected[200], found[200];
  RtArrayFile f;
  RtNpy h;
  snprintf(label, sizeof label, "%.300s: array `%.100s`", a->path, want->name);
  bool ok = rt_array_open(a, at, label, &f, e) && rt_array_header(&f, &h, e);
  rt_array_close(&f);
  if (!ok) return false;
  bool same = h.rank == want->rank && fits(want->dtype, h.kind);
  for (int i = 0; same && i < h.rank; i++) same = h.dim[i] == want->dim[i];
  if (same) return true;
  shape(expected, sizeof expected, want->rank, want->dim);
  shape(found, sizeof found, h.rank, h.dim);
  return rt_fail(e, RT_DATA, "%s: expected %s%s, found %s%s", label, rt_dtype_name(want->dtype),
                 expected, rt_dtype_name(rt_npy_dtype(&h)), found);
}

/* Takes the array at `at` into the list, at the block's end. */
static void add(RtLoad *l, const MloArray *a, size_t *bytes) {
  MloField *f = &l->field[l->n];
  *f = (MloField){.name = a->name,
                  .dtype = a->dtype,
                  .rank = a->rank,
                  .check = a->check,
                  .lo = a->lo,
                  .hi = a->hi,
                  .offset = *bytes};
  memcpy(f->dim, a->dim, sizeof f->dim);
  l->array[l->n++] = a;
  *bytes += (bytes_of(a) + 15) / 16 * 16;
}

static bool match(MloRun *run, const RtArchive *a, size_t *bytes, RtErr *e) {
  RtLoad *l = &run->load;
  l->field = calloc((size_t)a->n + 1, sizeof *l->field);
  l->array = calloc((size_t)a->n + 1, sizeof *l->array);
  bool ok = (l->field && l->array) || rt_fail(e, RT_DATA, "%s: out of memory", a->path);
  for (int i = 0; ok && i < a->n; i++)
    if (!strcmp(a->name[i], CHECKPOINT_STEPS))
      ok = rt_fail(
          e, RT_DATA,
          "%s: a checkpoint: expected a run's final.npz (--resume goes on from a checkpoint)",
          a->path);
  for (int i = 0; ok && i < a->n; i++) {
    const MloArray *v = find_variable(run->program, a->name[i]);
    if (v && (ok = check_array(a, i, v, e))) add(l, v, bytes);
    if (!v && run->option.verbose)
      fprintf(stderr, "%s: array `%s` is no variable of this program: ignored\n", a->path,
              a->name[i]);
  }
  for (int i = 0; ok && i < run->program->narray; i++) {
    const MloArray *v = &run->program->array[i];
    bool there = !v->required;
    for (int k = 0; k < l->n; k++) there = there || l->array[k] == v;
    if (!there)
      ok = rt_fail(e, RT_DATA, "%s: expected an array `%s`, which an earlier run has made", a->path,
                   v->name);
  }
  if (ok && l->n == 0)
    return rt_fail(e, RT_DATA,
                   "%s: none of its %d arrays is a variable of this program (--help lists them)",
                   a->path, a->n);
  return ok;
}

bool rt_load_begin(MloRun *run, RtErr *e) {
  const char *path = run->option.load;
  RtLoad *l = &run->load;
  RtArchive a = {0};
  size_t bytes = 0;
  if (!path) return true;
  bool ok = rt_archive_open(&a, path, e) &&
            (a.zip || rt_fail(e, RT_DATA, "%s: expected an archive of arrays, .npz", path));
  ok = ok && match(run, &a, &bytes, e);
  rt_archive_close(&a);
  if (ok) l->block = malloc(bytes + 1);
  ok = ok && (l->block || rt_fail(e, RT_DATA, "%s: out of memory", path));
  MloSource source = {.name = "load", .file = path, .nfield = l->n, .field = l->field};
  ok = ok && rt_load(&source, path, "", l->block, e);
  if (ok && run->option.verbose) fprintf(stderr, "%s: %d variables loaded\n", path, l->n);
  return ok;
}

bool rt_load_given(const MloRun *run, RtErr *e) {
  const MloProgram *p = run->program;
  if (!p->after || run->option.load || run->resume_path) return true;
  return rt_fail(e, RT_USAGE,
                 "run `%s` comes after run `%s`: give the final.npz of `%s` by --load FILE "
                 "(`mloc run` runs both)",
                 p->run, p->after, p->after);
}

bool rt_load_apply(MloRun *run) {
  const RtLoad *l = &run->load;
  RtDevice *d = &run->device;
  for (int i = 0; i < l->n; i++) {
    const MloArray *a = l->array[i];
    memcpy(run->arena + a->offset, l->block + l->field[i].offset, bytes_of(a));
    if (a->copied) run->arena[a->begin] = 0;
    if (!rt_put(d, a, 1) || (a->copied && !d->type->put(d, (int64_t)a->begin, 1))) return false;
  }
  return true;
}

void rt_load_free(RtLoad *l) {
  free(l->field);
  free(l->array);
  free(l->block);
  *l = (RtLoad){0};
}
