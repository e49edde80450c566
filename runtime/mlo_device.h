#ifndef MLOC_RUNTIME_MLO_DEVICE_H
#define MLOC_RUNTIME_MLO_DEVICE_H

/* What generated CUDA kernels begin with; behind it come mlo_math64.h, mlo_math.h, mlo_normal.h and
   mlo_random.h where they are needed, and mlo_team.h, all as text. In the common subset of C11 and C++: NVRTC
   compiles it without any header, and so does a C compiler that has CUDA's names
   (tests/emulator). */

#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define INT32_MAX 2147483647
#endif
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

#ifdef __cplusplus
#define MLO_KERNEL extern "C" __global__ void
#else
#define MLO_KERNEL __global__ void
#endif
#define MLO_INLINE static __device__ __forceinline__
#ifdef __CUDACC_RTC__
#define MLO_UNROLL _Pragma("unroll")
#else
#define MLO_UNROLL
#endif
#define MLO_BLOCK 256
#define MLO_WARP 0xffffffffu
#define MLO_MAX_I32(x, z) ((x) > (z) ? (x) : (z))
#define MLO_MIN_I32(x, z) ((x) < (z) ? (x) : (z))

/* Steps of the top level are counted on the device. */
MLO_KERNEL mlo_advance(int32_t *counter) {
  if (threadIdx.x == 0) *counter += 1;
}

/* Whether a round of a loop with a condition counts; a loop within another's round. */
MLO_KERNEL mlo_keep(uint8_t *on, const uint8_t *condition) {
  if (threadIdx.x == 0) *on = *condition;
}
MLO_KERNEL mlo_keep_within(uint8_t *on, const uint8_t *condition, const uint8_t *outer) {
  if (threadIdx.x == 0) *on = *condition && *outer;
}

#endif
