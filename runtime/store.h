#ifndef MLOC_RUNTIME_STORE_H
#define MLOC_RUNTIME_STORE_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* Where a field's values go and what messages call it. */
typedef struct RtTarget {
  const MloField *field;
  unsigned char *dest; /* the field's first element in the arena */
  const char *label;   /* "train.npz: array `x`" */
  const char *hint;    /* what to do when shapes differ, or "" */
  int64_t line;        /* line of a text file, 0 where there is none */
} RtTarget;

/* Converts v to the field's element type, checks it and stores it as row-major element `at`.
   Errors: not finite, not an integer, out of the type's range, outside what the field's `in` clause
   promises. */
bool rt_store_float(const RtTarget *t, int64_t at, double v, RtErr *e);
bool rt_store_int(const RtTarget *t, int64_t at, int64_t v, RtErr *e);

/* The shape found in the file must be the field's. */
bool rt_check_shape(const RtTarget *t, int rank, const int64_t *dim, RtErr *e);

/* ", row 3, column 4" for element `at` of the field. */
void rt_where(const RtTarget *t, int64_t at, char *text, size_t size);

#endif
