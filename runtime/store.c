/* One loaded number on its way into the arena: conversion to the field's element type with range
   checks, and the promise of its `in` clause. Whatever is wrong is reported with its place and both
   sides. */

#include "runtime/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void rt_where(const RtTarget *t, int64_t at, char *text, size_t size) {
  const MloField *f = t->field;
  int64_t index[MLO_MAX_RANK] = {0};
  size_t n = 0;
  text[0] = 0;
  for (int i = f->rank - 1; i >= 0; i--) {
    index[i] = at % (f->dim[i] ? f->dim[i] : 1);
    at /= f->dim[i] ? f->dim[i] : 1;
  }
  if (f->rank == 1) n = (size_t)snprintf(text, size, ", row %lld", (long long)index[0]);
  if (f->rank == 2)
    n = (size_t)snprintf(text, size, ", row %lld, column %lld", (long long)index[0],
                         (long long)index[1]);
  if (f->rank > 2) {
    n = (size_t)snprintf(text, size, ", element ");
    long long wide[MLO_MAX_RANK];
    for (int i = 0; i < f->rank; i++) wide[i] = index[i];
    rt_shape_text(text + n, size - n, f->rank, wide);
    n = strlen(text);
  }
  if (t->line && n < size) snprintf(text + n, size - n, " (line %lld)", (long long)t->line);
}

static bool wrong(const RtTarget *t, int64_t at, const char *expected, const char *found,
                  RtErr *e) {
  char where[256];
  rt_where(t, at, where, sizeof where);
  return rt_fail(e, RT_DATA, "%s%s: expected %s, found %s", t->label, where, expected, found);
}

/* Bounds are compared as the field's own type holds them: 0.1 in a file of f32 lies in box(0, 0.1).
 */
static bool inside(const MloField *f, double v) {
  double lo = f->lo, hi = f->hi;
  if (f->dtype == MLO_F32) {
    lo = (float)lo;
    hi = (float)hi;
  }
  if (f->check == MLO_BOX) return lo <= v && v <= hi;
  return f->check != MLO_RANGE || (lo <= v && v < hi);
}

static void promise_text(const MloField *f, char *text, size_t size) {
  snprintf(text, size, "a value in %s(%.9g, %.9g)", f->check == MLO_BOX ? "box" : "range", f->lo,
           f->hi);
}

/* What a number must be to fit the field's type, or NULL where it fits. */
static const char *misfit(MloDType t, double v) {
  if (!isfinite(v)) return "a finite number";
  if (t == MLO_BOOL) return v == 0 || v == 1 ? NULL : "0 or 1 (bool)";
  if (t == MLO_F32) return isfinite((float)v) ? NULL : "a number within the range of f32";
  if (t == MLO_I32) {
    if (v != rint(v)) return "an integer (i32)";
    return v >= INT32_MIN && v <= INT32_MAX ? NULL : "an integer within the range of i32";
  }
  return NULL;
}

static double put(const RtTarget *t, int64_t at, double v) {
  switch (t->field->dtype) {
  case MLO_BOOL: t->dest[at] = v != 0; break;
  case MLO_I32: ((int32_t *)(void *)t->dest)[at] = (int32_t)v; break;
  case MLO_F32: ((float *)(void *)t->dest)[at] = (float)v; return (float)v;
  case MLO_F64: ((double *)(void *)t->dest)[at] = v; break;
  }
  return v;
}

bool rt_store_float(const RtTarget *t, int64_t at, double v, RtErr *e) {
  char found[40], promise[96];
  if (t->field->check == MLO_RAW) {
    put(t, at, v);
    return true;
  }
  const char *expected = misfit(t->field->dtype, v);
  if (!expected && !inside(t->field, put(t, at, v))) {
    promise_text(t->field, promise, sizeof promise);
    expected = promise;
  }
  if (!expected) return true;
  snprintf(found, sizeof found, "%.9g", v);
  return wrong(t, at, expected, found, e);
}

bool rt_store_int(const RtTarget *t, int64_t at, int64_t v, RtErr *e) {
  char found[40];
  /* Beyond 2^53 a double rounds, which matters to no type but i32, and that ends at 2^31. */
  if (misfit(t->field->dtype, (double)v) == NULL && inside(t->field, put(t, at, (double)v)))
    return true;
  snprintf(found, sizeof found, "%lld", (long long)v);
  char promise[96];
  promise_text(t->field, promise, sizeof promise);
  const char *expected = misfit(t->field->dtype, (double)v);
  return wrong(t, at, expected ? expected : promise, found, e);
}

bool rt_check_shape(const RtTarget *t, int rank, const int64_t *dim, RtErr *e) {
  const MloField *f = t->field;
  bool same = rank == f->rank;
  for (int i = 0; same && i < rank; i++) same = dim[i] == f->dim[i];
  if (same) return true;
  char expected[256], found[256];
  size_t n = (size_t)snprintf(expected, sizeof expected, "[");
  for (int i = 0; i < f->rank && n < sizeof expected; i++) {
    const char *name = f->dim_name[i];
    bool named = name && (*name < '0' || *name > '9');
    n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%.24s%s%lld", i ? ", " : "",
                          named ? name : "", named ? " = " : "", (long long)f->dim[i]);
  }
  if (n < sizeof expected) snprintf(expected + n, sizeof expected - n, "]");
  long long wide[MLO_MAX_RANK] = {0};
  for (int i = 0; i < rank && i < MLO_MAX_RANK; i++) wide[i] = dim[i];
  rt_shape_text(found, sizeof found, rank, wide);
  return rt_fail(e, RT_DATA, "%s: expected shape %s, found %s%s", t->label, expected, found,
                 t->hint);
}
