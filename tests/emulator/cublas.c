/* libcublas.so.13: products of dense matrices, column-major, C = alpha op(A) op(B) + beta C, by
 * loops. They run on the handle's stream through libcuda.so.1, which also says whether operands lie
 * in buffers. */

#include "tests/emulator/cublas_api.h"
#include "tests/emulator/cuda_calls.h"
#include "tests/emulator/work.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

struct cublasContext {
  CUstream stream;
  cublasMath_t math;
};

/* Bits of a float's mantissa that the operands keep. */
enum { KEEP_BF16 = 7, KEEP_TF32 = 10, KEEP_ALL = 23 };

typedef struct Gemm {
  bool f64, ta, tb;
  int m, n, k, batch, keep;
  const void *a, *b;
  void *c;
  int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
  double alpha, beta;
} Gemm;

/* Round to nearest, ties to even, to so many bits of the mantissa. */
static float rounded(float x, int keep) {
  uint32_t u, drop = (uint32_t)(KEEP_ALL - keep);
  if (drop == 0 || x != x) return x;
  memcpy(&u, &x, sizeof u);
  u += ((1u << (drop - 1)) - 1) + (u >> drop & 1);
  u &= ~((1u << drop) - 1);
  memcpy(&x, &u, sizeof x);
  return x;
}

static float same_f32(float x, int keep) { return rounded(x, keep); }
static double same_f64(double x, int keep) { return (void)keep, x; }

/* One matrix of the batch: op(A) is packed by columns, op(B) taken element by element; sums in T,
 * over k upwards. beta = 0 does not read C. */
#define GEMM(T, suffix)                                                                            \
  static void gemm_##suffix(const Gemm *g, int64_t at) {                                           \
    const T *a = (const T *)g->a + at * g->stride_a, *b = (const T *)g->b + at * g->stride_b;      \
    T *packed = malloc(((size_t)g->m * (size_t)g->k + 1) * sizeof(T)),                             \
      *sum = malloc(((size_t)g->m + 1) * sizeof(T));                                               \
    for (int64_t p = 0; p < g->k; p++)                                                             \
      for (int64_t i = 0; i < g->m; i++)                                                           \
        packed[p * g->m + i] =                                                                     \
            same_##suffix(g->ta ? a[i * g->lda + p] : a[p * g->lda + i], g->keep);                 \
    for (int64_t j = 0; j < g->n; j++) {                                                           \
      T *c = (T *)g->c + at * g->stride_c + j * g->ldc;                                            \
      for (int64_t i = 0; i < g->m; i++) sum[i] = 0;                                               \
      for (int64_t p = 0; p < g->k; p++) {                                                         \
        T x = same_##suffix(g->tb ? b[p * g->ldb + j] : b[j * g->ldb + p], g->keep);               \
        for (int64_t i = 0; i < g->m; i++) sum[i] += packed[p * g->m + i] * x;                     \
      }                                                                                            \
      for (int64_t i = 0; i < g->m; i++)                                                           \
        c[i] = (T)g->alpha * sum[i] + (g->beta == 0 ? 0 : (T)g->beta * c[i]);                      \
    }                                                                                              \
    free(packed);                                                                                  \
    free(sum);                                                                                     \
  }
GEMM(float, f32)
GEMM(double, f64)

/* Do the matrices of the batch lie in one buffer of the device, and are they aligned? */
static bool fits(const void *at, int64_t rows, int64_t columns, int64_t ld, int64_t stride,
                 const Gemm *g) {
  size_t element = g->f64 ? sizeof(double) : sizeof(float);
  int64_t last = (columns - 1) * ld + rows + (g->batch - 1) * stride;
  return (uintptr_t)at % element == 0 && stride >= 0 && emu_on_device(at, (size_t)last * element);
}

static int run(void *data) {
  const Gemm *g = data;
  bool ok = fits(g->c, g->m, g->n, g->ldc, g->stride_c, g);
  if (g->k > 0)
    ok = ok && fits(g->a, g->ta ? g->k : g->m, g->ta ? g->m : g->k, g->lda, g->stride_a, g) &&
         fits(g->b, g->tb ? g->n : g->k, g->tb ? g->k : g->n, g->ldb, g->stride_b, g);
  if (!ok) {
    fprintf(stderr,
            "emulator: a product of matrices (%d by %d by %d, batch %d) reaches outside of its "
            "buffers\n",
            g->m, g->n, g->k, g->batch);
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  }
  for (int64_t i = 0; i < g->batch; i++) (g->f64 ? gemm_f64 : gemm_f32)(g, i);
  return CUDA_SUCCESS;
}

static bool at_least(int ld, int rows) { return ld >= rows && ld >= 1; }

static cublasStatus_t submit(cublasHandle_t handle, const Gemm *g) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  bool ok = g->m >= 0 && g->n >= 0 && g->k >= 0 && g->batch >= 0 &&
            at_least((int)g->lda, g->ta ? g->k : g->m) &&
            at_least((int)g->ldb, g->tb ? g->n : g->k) && at_least((int)g->ldc, g->m);
  if (!ok) return CUBLAS_STATUS_INVALID_VALUE;
  if (g->m == 0 || g->n == 0 || g->batch == 0) return CUBLAS_STATUS_SUCCESS;
  return emu_stream_call(handle->stream, run, g, sizeof *g) == CUDA_SUCCESS
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}

API cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
  CUdevice device;
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  if (cuCtxGetDevice(&device) != CUDA_SUCCESS) return CUBLAS_STATUS_NOT_INITIALIZED;
  return (*handle = calloc(1, sizeof **handle)) ? CUBLAS_STATUS_SUCCESS
                                                : CUBLAS_STATUS_ALLOC_FAILED;
}

API cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  free(handle);
  return CUBLAS_STATUS_SUCCESS;
}

API cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version) {
  (void)handle;
  if (!version) return CUBLAS_STATUS_INVALID_VALUE;
  *version = 130000;
  return CUBLAS_STATUS_SUCCESS;
}

API cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = (CUstream)stream;
  return CUBLAS_STATUS_SUCCESS;
}

API cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t n) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  bool ok = (uintptr_t)workspace % 256 == 0 && (n == 0 || emu_on_device(workspace, n));
  return ok ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

API cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}

API cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  return mode == CUBLAS_POINTER_MODE_HOST ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

API cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
  (void)mode;
  return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

API const char *cublasGetStatusName(cublasStatus_t status) {
  switch ((int)status) {
  case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
  case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
  case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
  case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
  case CUBLAS_STATUS_ARCH_MISMATCH: return "CUBLAS_STATUS_ARCH_MISMATCH";
  case CUBLAS_STATUS_MAPPING_ERROR: return "CUBLAS_STATUS_MAPPING_ERROR";
  case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
  case CUBLAS_STATUS_INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
  case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  default: return "unknown status of cuBLAS";
  }
}

API const char *cublasGetStatusString(cublasStatus_t status) { return cublasGetStatusName(status); }

#ifdef EMU_REAL_HEADERS
#define EMU_GEMM_SHAPE                                                                             \
  cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k
#endif
/* What the handle's math mode makes of float's products. */
static int keeps(cublasHandle_t handle) {
  return handle && handle->math == 3 ? KEEP_TF32 : KEEP_ALL;
}

#define STRIDED(T, letter, is_f64)                                                                 \
  API cublasStatus_t cublas##letter##gemmStridedBatched(                                           \
      EMU_GEMM_SHAPE, const T *alpha, const T *a, int lda, long long stride_a, const T *b,         \
      int ldb, long long stride_b, const T *beta, T *c, int ldc, long long stride_c, int batch) {  \
    if (!alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;                                       \
    return submit(handle, &(Gemm){is_f64, ta != CUBLAS_OP_N, tb != CUBLAS_OP_N, m, n, k, batch,    \
                                  keeps(handle), a, b, c, lda, ldb, ldc, stride_a, stride_b,       \
                                  stride_c, *alpha, *beta});                                       \
  }                                                                                                \
  API cublasStatus_t cublas##letter##gemm_v2(EMU_GEMM_SHAPE, const T *alpha, const T *a, int lda,  \
                                             const T *b, int ldb, const T *beta, T *c, int ldc) {  \
    return cublas##letter##gemmStridedBatched(handle, ta, tb, m, n, k, alpha, a, lda, 0, b, ldb,   \
                                              0, beta, c, ldc, 0, 1);                              \
  }
STRIDED(float, S, false)
STRIDED(double, D, true)

API cublasStatus_t cublasGemmStridedBatchedEx(EMU_GEMM_SHAPE, const void *alpha, const void *a,
                                              cudaDataType type_a, int lda, long long stride_a,
                                              const void *b, cudaDataType type_b, int ldb,
                                              long long stride_b, const void *beta, void *c,
                                              cudaDataType type_c, int ldc, long long stride_c,
                                              int batch, cublasComputeType_t compute,
                                              cublasGemmAlgo_t algo) {
  (void)algo;
  if (!alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
  bool f64 = compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  bool f32 = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
             compute == CUBLAS_COMPUTE_32F_FAST_16BF || compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  cudaDataType type = f64 ? CUDA_R_64F : CUDA_R_32F;
  if (!(f64 || f32) || type_a != type || type_b != type || type_c != type)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  int keep = compute == CUBLAS_COMPUTE_32F_FAST_16BF   ? KEEP_BF16
             : compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? KEEP_TF32
             : compute == CUBLAS_COMPUTE_32F           ? keeps(handle)
                                                       : KEEP_ALL;
  double by = f64 ? *(const double *)alpha : *(const float *)alpha, and =
                                                                        f64 ? *(const double *)beta
                                                                            : *(const float *)beta;
  return submit(handle, &(Gemm){f64, ta != CUBLAS_OP_N, tb != CUBLAS_OP_N, m, n, k, batch, keep, a,
                                b, c, lda, ldb, ldc, stride_a, stride_b, stride_c, by, and});
}

API cublasStatus_t cublasGemmEx(EMU_GEMM_SHAPE, const void *alpha, const void *a,
                                cudaDataType type_a, int lda, const void *b, cudaDataType type_b,
                                int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                                cublasComputeType_t compute, cublasGemmAlgo_t algo) {
  return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, type_a, lda, 0, b, type_b,
                                    ldb, 0, beta, c, type_c, ldc, 0, 1, compute, algo);
}
