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

/* Column sums of 16 rows of 32, four rows a block of 32; every thread writes partial sums. */
static const char COLUMNS[] = PRELUDE
    "#line 1 \"columns.mlo\"\n"
    "MLO_KERNEL void __launch_bounds__(64) columns(const float *__restrict__ x, float *partial,\n"
    "                                              unsigned *ticket, float *out) {\n"
    "  __shared__ unsigned last;\n"
    "  int t = (int)threadIdx.x, b = (int)blockIdx.x;\n"
    "  float s = 0;\n"
    "  for (int i = 0; i < 4; i++) s += x[(b * 4 + i) * 64 + t];\n"
    "  partial[b * 64 + t] = s;\n"
    "  FENCE;\n"
    "  BARRIER;\n"
    "  if (t == 0) last = TICKET(ticket);\n"
    "  __syncthreads();\n"
    "  if (last != gridDim.x - 1) return;\n"
    "  ACQUIRE;\n"
    "  s = 0;\n"
    "  for (int i = 0; i < (int)gridDim.x; i++) s += partial[i * 64 + (t + 33) % 64];\n"
    "  out[(t + 33) % 64] = s;\n"
    "  if (t == 0) ticket[0] = 0;\n"
    "}\n";

/* Scales x in place by a scalar that all blocks of a group read and its last one changes. */
static const char IN_PLACE[] = PRELUDE
    "#ifndef GROUP\n"
    "#define GROUP gridDim.x\n"
    "#endif\n"
    "MLO_KERNEL void in_place(float *x, float *scale, unsigned *ticket) {\n"
    "  __shared__ unsigned last;\n"
    "  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), g = (int)(blockIdx.x / GROUP);\n"
    "  x[i] *= scale[g];\n"
    "  __threadfence();\n"
    "  __syncthreads();\n"
    "  if (threadIdx.x == 0) last = TICKET(ticket + g);\n"
    "  __syncthreads();\n"
    "  if (last != GROUP - 1) return;\n"
    "  __threadfence();\n"
    "  if (threadIdx.x == 0) scale[g] = scale[g] + 1, ticket[g] = 0;\n"
    "}\n";

/* y[i] = x[i ^ 1] through shared memory, within warps; flags in single bytes. */
static const char EXCHANGE[] =
    PRELUDE "#line 1 \"exchange.mlo\"\n"
            "MLO_KERNEL void exchange(const float *x, float *y, bool *flag) {\n"
            "  __shared__ float s[64];\n"
            "  int t = (int)threadIdx.x;\n"
            "  s[t] = x[t];\n"
            "  WARP;\n"
            "  y[t] = s[t ^ 1];\n"
            "  WARP;\n"
            "  s[t] = 0;\n"
            "  flag[t] = (__ballot_sync(0xffffffffu, t & 1) >> (t & 31) & 1) != 0;\n"
            "  flag[64 + t] = __any_sync(0xffffffffu, t == 40) != 0;\n"
            "  y[t] += (float)__shfl_down_sync(0xffffffffu, t, 1) - "
            "(float)__shfl_sync(0xffffffffu, t, 3);\n"
            "}\n";

/* y = 3 x summed over the block, by a device function with shared memory of its own and a table;
 * 256 bytes of locals. */
static const char DEVICE[] =
    PRELUDE "static __device__ const float table[4] = {1, 1, 0.5f, 0.5f};\n"
            "static __constant__ int half[1] = {2};\n"
            "static __device__ float block_sum(float x) {\n"
            "  __shared__ float s[64];\n"
            "  float local[64], r = 0;\n"
            "  s[threadIdx.x] = x;\n"
            "  __syncthreads();\n"
            "  memcpy(local, s, sizeof local);\n"
            "  for (int i = 0; i < 64; i++) r += local[i];\n"
            "  __syncthreads();\n"
            "  return r;\n"
            "}\n"
            "MLO_KERNEL void device(const float *x, float *y) {\n"
            "  __shared__ float twice[64];\n"
            "  int t = (int)threadIdx.x;\n"
            "  const float4 v = *(const float4 *)(x + (t & ~3));\n"
            "  float z = t % 4 == 0 ? v.x : t % 4 == 1 ? v.y : t % 4 == 2 ? v.z : v.w;\n"
            "  twice[t] = z * table[t % 4] + z * (1 - table[t % 4]) + z;\n"
            "  float s = block_sum(z);\n"
            "  y[t] = s + block_sum(twice[t] + (float)half[0]) - 128;\n"
            "}\n";

/* y = NaN where shared memory was never written. */
static const char UNWRITTEN[] = PRELUDE "MLO_KERNEL void unwritten(const float *x, float *y) {\n"
                                        "  __shared__ float s[64];\n"
                                        "  int t = (int)threadIdx.x;\n"
                                        "  if (t < 63 || blockIdx.x == 0) s[t] = x[t];\n"
                                        "  __syncthreads();\n"
                                        "  y[blockIdx.x * 64 + t] = s[t];\n"
                                        "}\n";

#endif
