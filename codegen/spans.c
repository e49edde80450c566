/* Provenance: from spans to line numbers, and the names of roles and kinds of storage. */
#include "codegen/spans.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

Lines cg_find_lines(Arena *a, const char *source) {
  Lines l = {0};
  for (const char *s = source, *end = source; end; s = end + 1) {
    VEC_PUSH(a, l.start, l.n, l.cap, (uint32_t)(s - source));
    end = strchr(s, '\n');
  }
  return l;
}

/* 1-based line of a byte offset. */
static int line_of(const Lines *source, uint32_t offset) {
  int lo = 0, hi = source->n; /* start[lo] <= offset < start[hi] */
  while (hi - lo > 1) {
    int mid = lo + (hi - lo) / 2;
    *(source->start[mid] <= offset ? &lo : &hi) = mid;
  }
  return lo + 1;
}

int cg_lines(Arena *a, const Lines *source, const Kernel *k, int **line) {
  int n = 0, distinct = 0;
  *line = arena_array(a, int, k->nanchor);
  if (!source->n) return 0;
  for (int i = 0; i < k->nanchor; i++) {
    Span s = k->anchor[i].node->span;
    if (s.hi > s.lo) (*line)[n++] = line_of(source, s.lo);
  }
  qsort(*line, (size_t)n, sizeof **line, compare);
  for (int i = 0; i < n; i++)
    if (!distinct || (*line)[distinct - 1] != (*line)[i]) (*line)[distinct++] = (*line)[i];
  return distinct;
}

const char *cg_source_lines(Arena *a, const Lines *source, const Kernel *k) {
  int *line, n = cg_lines(a, source, k, &line);
  const char *s = n == 0 ? "" : n == 1 ? ", line " : ", lines ";
  for (int i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && line[j] == line[j - 1] + 1; j++) continue;
    s = arena_printf(a, j > i + 1 ? "%s%s%d-%d" : "%s%s%d", s, i ? ", " : "", line[i], line[j - 1]);
  }
  return s;
}

const char *cg_role_name(Role r) {
  static const char *const names[NROLE] = {[ROLE_INIT] = "init",     [ROLE_OBJECTIVE] = "objective",
                                           [ROLE_METRIC] = "metric", [ROLE_GRADIENT] = "gradient",
                                           [ROLE_UPDATE] = "update", [ROLE_ADJOINT] = "adjoint",
                                           [ROLE_HVP] = "hvp",       [ROLE_SOLVE] = "solve",
                                           [ROLE_HOIST] = "hoist",   [ROLE_CHECK] = "check",
                                           [ROLE_DRAW] = "draw"};
  return names[r];
}

const char *cg_storage_kind_name(StorageKind k) {
  static const char *const names[NSTORAGEKIND] = {
      [ST_DATA] = "data",       [ST_VAR] = "variable",    [ST_GRAD] = "gradient",
      [ST_STATE] = "state",     [ST_ADJOINT] = "adjoint", [ST_TEMP] = "temporary",
      [ST_SETTING] = "setting", [ST_COUNTER] = "counter", [ST_OUTPUT] = "output"};
  return names[k];
}
