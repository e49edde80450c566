#ifndef MLOC_IR_TYPE_H
#define MLOC_IR_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/arena.h"

enum { MAX_RANK = 6 };

typedef enum DType { DT_BOOL, DT_I32, DT_F32, DT_F64, NDTYPE } DType;

/* A dense row-major tensor; by value. Unused dims are 0, so that types compare with type_eq alone.
 */
typedef struct Type {
  DType dtype;
  int rank;
  int64_t dim[MAX_RANK];
} Type;

Type type_scalar(DType dtype);
Type type_make(DType dtype, int rank, const int64_t *dim);
bool type_eq(Type a, Type b);
bool type_same_shape(Type a, Type b);
int64_t type_count(Type t); /* number of elements; 1 for a scalar */
int64_t type_bytes(Type t);
Type type_with(Type t, DType dtype);
bool dtype_is_float(DType d);
int dtype_bytes(DType d);
const char *dtype_name(DType d); /* "f32" */
bool dtype_parse(const char *name, DType *out);
const char *type_str(Arena *a, Type t); /* "f32[10, 3]"; a scalar is "f32[]" */

#endif
