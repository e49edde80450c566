#ifndef MLOC_RUNTIME_NPY_H
#define MLOC_RUNTIME_NPY_H

#include "runtime/error.h"
#include "runtime/mlo.h"

/* A source of bytes: a file, or an entry of an archive being inflated. read gives up to n bytes, 0
   at the end, negative on failure. */
typedef struct RtStream {
  void *handle;
  int64_t (*read)(void *handle, void *buffer, uint64_t n);
  const char *label; /* "train.npz: array `x`", for messages */
} RtStream;

/* What the header of a .npy array says. */
typedef struct RtNpy {
  char kind; /* 'b' bool, 'i', 'u', 'f' */
  int size;  /* bytes an element */
  bool big, fortran;
  char descr[16]; /* as written: "<f8" */
  int rank;
  int64_t dim[MLO_MAX_RANK];
  int64_t count;        /* elements */
  int64_t header_bytes; /* before the first element */
} RtNpy;

/* Reads exactly n bytes; fails with "ends after .. bytes" where there are fewer. */
bool rt_read(const RtStream *s, void *buffer, uint64_t n, RtErr *e);

/* Reads and checks a header (format versions 1 to 3). Never trusts a size: shapes are checked for
   overflow, headers have at most 64 KiB. */
bool rt_npy_read_header(const RtStream *s, RtNpy *out, RtErr *e);

/* Writes a version 1 header for a C-order array of the type into text (at least 256 bytes); returns
   its length, a multiple of 64. */
size_t rt_npy_write_header(char *text, MloDType dtype, int rank, const int64_t *dim);

/* Decodes n elements of raw bytes. Integers and bools go to out.i, floats to out.f. False where an
   unsigned 64-bit value does not fit int64 (its index goes to *bad). */
typedef union RtNumbers {
  int64_t *i;
  double *f;
} RtNumbers;
bool rt_npy_decode(const RtNpy *a, const unsigned char *raw, int64_t n, RtNumbers out,
                   int64_t *bad);

/* Sets a->count from rank, dim and size. False where the size in bytes overflows. */
bool rt_npy_count(RtNpy *a, const char *label, RtErr *e);

/* The element type that represents the stored one best. */
MloDType rt_npy_dtype(const RtNpy *a);
size_t rt_dtype_size(MloDType t);
const char *rt_dtype_name(MloDType t);
/* Bytes of an array in the arena. */
size_t rt_array_bytes(MloDType dtype, int rank, const int64_t *dim);

#endif
