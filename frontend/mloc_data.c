/* What the compiler needs of data files, by the runtime's readers: the heads of arrays for the
   analysis, and results of an executable that it has run. */
#include "frontend/mloc_data.h"

#include "frontend/check_report.h"
#include "frontend/options.h"
#include "runtime/data.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void found(Arena *a, const char *name, const MloProbeArray *from, SemaArray *to) {
  to->name = arena_strdup(a, name);
  to->integral = from->dtype == MLO_BOOL || from->dtype == MLO_I32;
  to->rank = from->rank;
  for (int k = 0; k < from->rank && k < MAX_RANK; k++) to->dim[k] = from->dim[k];
  to->problem = from->problem ? arena_strdup(a, from->problem) : NULL;
}

SemaProbe data_probe(void *ctx, const char *path, const SemaWant *want, int nwant,
                     SemaArray **array, int *n, const char **error) {
  Arena *a = ctx;
  MloProbe p;
  if (access(path, F_OK)) return SEMA_PROBE_ABSENT;
  bool ok = mlo_probe(path, &p);
  if (!ok) *error = arena_strdup(a, p.error);
  *n = 0;
  *array = arena_array(a, SemaArray, p.n + nwant);
  for (int i = 0; ok && i < nwant; i++) {
    MloProbeArray field;
    if (mlo_probe_field(&p, want[i].name, want[i].rank, nwant, &field))
      found(a, want[i].name, &field, &(*array)[(*n)++]);
  }
  for (int i = 0; ok && i < p.n; i++) {
    bool listed = false;
    for (int k = 0; k < *n; k++) listed |= !strcmp((*array)[k].name, p.array[i].name);
    if (!listed) found(a, p.array[i].name, &p.array[i], &(*array)[(*n)++]);
  }
  mlo_probe_free(&p);
  return ok ? SEMA_PROBE_OK : SEMA_PROBE_BAD;
}

/* One array of the file: its elements, or NULL after a message. */
static void *read_result(Arena *a, const char *file, const Storage *s) {
  static const MloDType dtype[] = {
      [DT_BOOL] = MLO_BOOL, [DT_I32] = MLO_I32, [DT_F32] = MLO_F32, [DT_F64] = MLO_F64};
  MloField field = {
      .name = s->name, .check = MLO_RAW, .dtype = dtype[s->type.dtype], .rank = s->type.rank};
  for (int i = 0; i < s->type.rank; i++) field.dim[i] = s->type.dim[i];
  MloSource source = {.name = "results", .file = file, .nfield = 1, .field = &field};
  void *to = arena_alloc(a, (size_t)type_bytes(s->type));
  RtErr e = {0};
  if (rt_load(&source, file, "", to, &e)) return to;
  fprintf(stderr, "mloc: %s\n", e.text);
  return NULL;
}

enum { EXIT_DISAGREES = 1 };

static bool read_level(Arena *a, const Program *p, const char *file, const Level *l,
                       CheckLevel *out) {
  void *value[NCHECKARRAY];
  const Storage *s = NULL;
  for (int i = 0; i < NCHECKARRAY; i++) {
    const char *name = arena_printf(a, "%s.check.%s", l->name, check_array_name(i));
    s = program_find(p, name);
    value[i] = s ? read_result(a, file, s) : NULL;
    if (!value[i]) return false;
  }
  *out = (CheckLevel){.level = l,
                      .residual = *(double *)value[CHECK_RESIDUAL],
                      .method = value[CHECK_METHOD],
                      .dense = value[CHECK_DENSE],
                      .fd = value[CHECK_FD],
                      .index = value[CHECK_INDEX],
                      .nfd = (int)s->type.dim[0]};
  return true;
}

int data_check_report(Arena *a, const Program *p, const char *file, bool json) {
  CheckLevel *level = arena_array(a, CheckLevel, p->nlevel);
  int n = 0;
  for (int i = 0; i < p->nlevel; i++)
    if (p->level[i]->nedge && !read_level(a, p, file, p->level[i], &level[n++])) return EXIT_BUG;
  check_report(level, n, stdout, json);
  return check_agrees(level, n, 1e-3) ? 0 : EXIT_DISAGREES;
}
