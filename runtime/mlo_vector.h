#ifndef MLOC_RUNTIME_MLO_VECTOR_H
#define MLOC_RUNTIME_MLO_VECTOR_H

/* Short vectors for the generated loops of small matrix products: `w` is as wide as the processor's registers,
   `q` has 128 bits. They may stand at any element's address. MLO_FOLD_* adds the 128-bit pieces of a wide
   vector, given as an array. Elements of other vector extensions than x86's go through `w` of 128 bits. */

#if defined __AVX512F__
enum { MLO_VECTOR_BYTES = 64 };
#define MLO_FOLD(q) ((q[0] + q[1]) + (q[2] + q[3]))
#elif defined __AVX__
enum { MLO_VECTOR_BYTES = 32 };
#define MLO_FOLD(q) (q[0] + q[1])
#else
enum { MLO_VECTOR_BYTES = 16 };
#define MLO_FOLD(q) (q[0])
#endif

enum {
  MLO_PIECES = MLO_VECTOR_BYTES / 16,
  MLO_F32W = MLO_VECTOR_BYTES / 4,
  MLO_F64W = MLO_VECTOR_BYTES / 8,
  MLO_F32Q = 4,
  MLO_F64Q = 2
};

typedef float mlo_f32w __attribute__((vector_size(MLO_VECTOR_BYTES), aligned(4), may_alias));
typedef float mlo_f32q __attribute__((vector_size(16), aligned(4), may_alias));
typedef double mlo_f64w __attribute__((vector_size(MLO_VECTOR_BYTES), aligned(8), may_alias));
typedef double mlo_f64q __attribute__((vector_size(16), aligned(8), may_alias));

#define MLO_TOTAL_F32(q) ((q[0] + q[1]) + (q[2] + q[3]))
#define MLO_TOTAL_F64(q) (q[0] + q[1])

#endif
