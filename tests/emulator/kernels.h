/* Kernels as they are printed for a device, right ones and, with a macro each, broken ones. */
#ifndef EMU_KERNELS_H
#define EMU_KERNELS_H

#define PRELUDE                                                                                    \
  "#ifdef __cplusplus\n"                                                                           \
  "#define MLO_KERNEL extern \"C\" __global__\n"                                                   \
  "#else\n"                                                                                        \
  "#define MLO_KERNEL __global__\n"                                                                \
  "#endif\n"                                                                                       \
  "typedef int int32_t;\n"                                                                         \
  "typedef long long int64_t;\n"                                                                   \
  "#ifndef FENCE\n#define FENCE __threadfence()\n#endif\n"                                         \
  "#ifndef ACQUIRE\n#define ACQUIRE __threadfence()\n#endif\n"                                     \
  "#ifndef BARRIER\n#define BARRIER __syncthreads()\n#endif\n"                                     \
  "#ifndef TICKET\n#define TICKET(p) atomicAdd(p, 1u)\n#endif\n"                                   \
  "#ifndef WARP\n#define WARP __syncwarp()\n#endif\n"

/* out[0] = sum of 4096 elements: 8 blocks of 128 threads, the last of which adds the partial sums
 * up. */
static const char SUM[] = PRELUDE
    "#line 1 \"sum.mlo\"\n"
    "static __device__ float warp_sum(float s) {\n"
    "  for (int d = 16; d > 0; d >>= 1) s += __shfl_xor_sync(0xffffffffu, s, d);\n"
    "  return s;\n"
    "}\n"
    "MLO_KERNEL void __launch_bounds__(128) sum(const float *__restrict__ x, float *partial,\n"
    "                                           unsigned *ticket, float *out) {\n"
    "  __shared__ float warp[4];\n"
    "  __shared__ unsigned last;\n"
    "  int t = (int)threadIdx.x;\n"
    "  float s = 0;\n"
    "  for (int i = (int)blockIdx.x * 128 + t; i < 4096; i += (int)gridDim.x * 128) s += x[i];\n"
    "  s = warp_sum(s);\n"
    "  if ((t & 31) == 0) warp[t >> 5] = s;\n"
    "  __syncthreads();\n"
    "  if (t == 0) partial[blockIdx.x] = warp[0] + warp[1] + warp[2] + warp[3];\n"
    "  FENCE;\n"
    "  __syncthreads();\n"
    "  if (t == 0) last = TICKET(ticket);\n"
    "  BARRIER;\n"
    "  if (last != gridDim.x - 1) return;\n"
    "  ACQUIRE;\n"
    "  if (t >= 32) return;\n"
    "  s = t < (int)gridDim.x ? partial[t] : 0;\n"
    "  s = warp_sum(s);\n"
    "  if (t == 0) out[0] = s, ticket[0] = 0;\n"
    "}\n";

/* Softmax of 8 rows of 100, a warp a row, in blocks of 64. */
static const char SOFTMAX[] = PRELUDE
    "MLO_KERNEL void __launch_bounds__(64) softmax(const double *__restrict__ x, double *y) {\n"
    "  int row = (int)(blockIdx.x * 2 + (threadIdx.x >> 5)), lane = (int)(threadIdx.x & 31);\n"
    "  const double *p = x + row * 100;\n"
    "  double m = -1e300, s = 0;\n"
    "  for (int i = lane; i < 100; i += 32) m = fmax(m, p[i]);\n"
    "  for (int d = 16; d > 0; d >>= 1) m = fmax(m, __shfl_xor_sync(0xffffffffu, m, d));\n"
    "  for (int i = lane; i < 100; i += 32) s += exp(p[i] - m);\n"
    "  for (int d = 16; d > 0; d >>= 1) s += __shfl_xor_sync(0xffffffffu, s, d);\n"
    "  for (int i = lane; i < 100; i += 32) y[row * 100 + i] = exp(p[i] - m) / s;\n"
    "}\n";

/* C (32 by 48) = A (32 by 40) B, in tiles of 8 by 8: 4 times 6 blocks of 64 threads. */
static const char MATMUL[] = PRELUDE
    "#line 1 \"matmul.mlo\"\n"
    "MLO_KERNEL void __launch_bounds__(64) matmul(const float *__restrict__ a,\n"
    "                                             const float *__restrict__ b, float *c) {\n"
    "  __shared__ float ta[8][8], tb[8][8];\n"
    "  int r = (int)threadIdx.x >> 3, q = (int)threadIdx.x & 7;\n"
    "  int row = (int)(blockIdx.x / 6) * 8 + r, col = (int)(blockIdx.x % 6) * 8 + q;\n"
    "  float s = 0;\n"
    "  for (int k = 0; k < 40; k += 8) {\n"
    "    ta[r][q] = a[row * 40 + k + q];\n"
    "    tb[r][q] = b[(k + r) * 48 + col];\n"
    "    __syncthreads();\n"
    "    for (int i = 0; i < 8; i++) s += ta[r][i] * tb[i][q];\n"
    "    BARRIER;\n"
    "  }\n"
    "  c[row * 48 + col] = s;\n"
    "}\n";

#endif
