/* Element types and static shapes. */
#include "ir/type.h"

#include <string.h>

static const struct {
  const char *name;
  int bytes;
} dtypes[NDTYPE] = {
    [DT_BOOL] = {"bool", 1}, [DT_I32] = {"i32", 4}, [DT_F32] = {"f32", 4}, [DT_F64] = {"f64", 8}};

Type type_scalar(DType dtype) { return (Type){.dtype = dtype}; }

Type type_make(DType dtype, int rank, const int64_t *dim) {
  Type t = {.dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  return t;
}

bool type_same_shape(Type a, Type b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; i++)
    if (a.dim[i] != b.dim[i]) return false;
  return true;
}

bool type_eq(Type a, Type b) { return a.dtype == b.dtype && type_same_shape(a, b); }

int64_t type_count(Type t) {
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) n *= t.dim[i];
  return n;
}

int64_t type_bytes(Type t) { return type_count(t) * dtypes[t.dtype].bytes; }

Type type_with(Type t, DType dtype) {
  t.dtype = dtype;
  return t;
}

bool dtype_is_float(DType d) { return d == DT_F32 || d == DT_F64; }
int dtype_bytes(DType d) { return dtypes[d].bytes; }
const char *dtype_name(DType d) { return dtypes[d].name; }

bool dtype_parse(const char *name, DType *out) {
  for (int i = 0; i < NDTYPE; i++)
    if (!strcmp(name, dtypes[i].name)) {
      *out = (DType)i;
      return true;
    }
  return false;
}

const char *type_str(Arena *a, Type t) {
  char *s = arena_printf(a, "%s[", dtype_name(t.dtype));
  for (int i = 0; i < t.rank; i++)
    s = arena_printf(a, "%s%s%lld", s, i ? ", " : "", (long long)t.dim[i]);
  return arena_printf(a, "%s]", s);
}
