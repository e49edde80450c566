/* Matrix products and linear systems through OpenBLAS. In a file of its own: an executable that
   calls neither does not link OpenBLAS (other files refer to rt_blas_* weakly). */
#define _POSIX_C_SOURCE 200809L
#include "runtime/blas.h"
#include "runtime/cpu.h"
#include "runtime/mlo.h"
#include "runtime/mlo_math.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK's Fortran interface, inside libopenblas; the last argument is the hidden length of
 * `trans`. */
void sgetrf_(const int *m, const int *n, float *a, const int *lda, int *pivot, int *info);
void dgetrf_(const int *m, const int *n, double *a, const int *lda, int *pivot, int *info);
void sgetrs_(const char *trans, const int *n, const int *nrhs, const float *a, const int *lda,
             const int *pivot, float *b, const int *ldb, int *info, size_t length);
void dgetrs_(const char *trans, const int *n, const int *nrhs, const double *a, const int *lda,
             const int *pivot, double *b, const int *ldb, int *info, size_t length);

/* Inside OpenBLAS built for several kinds of processors: forgets its choice of kernels, and makes
   it anew. Absent from other builds. */
__attribute__((weak)) void gotoblas_dynamic_quit(void);
__attribute__((weak)) void gotoblas_dynamic_init(void);

static bool is_one_of(const char *name, const char *const *names) {
  while (*names && strcmp(name, *names)) names++;
  return *names != NULL;
}

/* OpenBLAS knows processors by their model numbers. One that is newer than the library gets kernels
   for SSE3, three to four times slower than its own: where it has AVX2 or AVX-512 and the kernels
   at hand do not use it, others are asked for. A user's OPENBLAS_CORETYPE stands. */
static void choose_kernels(void) {
  const char *const avx2[] = {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids", NULL};
  char missing[256];
  if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init || getenv("OPENBLAS_CORETYPE") ||
      is_one_of(openblas_get_corename(), avx2) || !rt_cpu_has("x86-64-v3", missing, sizeof missing))
    return;
  bool wide = rt_cpu_has("x86-64-v4", missing, sizeof missing);
  if (setenv("OPENBLAS_CORETYPE", wide ? "SkylakeX" : "Haswell", 1)) return;
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  unsetenv("OPENBLAS_CORETYPE");
}

/* OpenBLAS built for OpenMP shares our threads. Any other build has a pool of its own whose threads
   fight with ours for the cores: it gets one. */
void rt_blas_start(void) {
  choose_kernels();
  if (openblas_get_parallel() != 2) openblas_set_num_threads(1);
}

const char *rt_blas_version(void) { return openblas_get_config(); }

/* Products of fewer operations run on one thread: starting another costs more than it saves
   (break-even at 2 to 4 million on two cores), and beside a busy neighbour a thousand times more.
 */
static const double serial_operations = 4e6;

static int begin_serial(int64_t m, int64_t n, int64_t k) {
  int nthread = omp_get_max_threads();
  if (nthread > 1 && 2.0 * (double)m * (double)n * (double)k < serial_operations)
    omp_set_num_threads(1);
  return nthread;
}

#define GEMM(name, T, call)                                                                        \
  void name(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T *a, const T *b,    \
            T beta, T *c) {                                                                        \
    if (m == 0 || n == 0) return;                                                                  \
    int lda = (int)(ta ? m : k), ldb = (int)(tb ? k : n), nthread = begin_serial(m, n, k);         \
    call(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m,    \
         (int)n, (int)k, alpha, a, lda > 0 ? lda : 1, b, ldb > 0 ? ldb : 1, beta, c, (int)n);      \
    omp_set_num_threads(nthread);                                                                  \
  }

GEMM(mlo_gemm_f32, float, cblas_sgemm)
GEMM(mlo_gemm_f64, double, cblas_dgemm)

/* Products of two bf16 or TF32 numbers have at most 22 bits: in f32 they are exact, and the sums
   are the library's. */
#define ROUNDED_GEMM(name, nearest)                                                                \
  void name(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,        \
            const float *b, float beta, float *c, void *work) {                                    \
    if (m == 0 || n == 0) return;                                                                  \
    float *left = work, *right = left + m * k;                                                     \
    int nthread = begin_serial(m, n, k);                                                           \
    _Pragma("omp parallel for simd schedule(static)") for (int64_t i = 0; i < m * k; i++)          \
        left[i] = nearest(a[i]);                                                                   \
    _Pragma("omp parallel for simd schedule(static)") for (int64_t i = 0; i < k * n; i++)          \
        right[i] = nearest(b[i]);                                                                  \
    mlo_gemm_f32(ta, tb, m, n, k, alpha, left, right, beta, c);                                    \
    omp_set_num_threads(nthread);                                                                  \
  }

ROUNDED_GEMM(mlo_gemm_bf16, mlo_bf16f)
ROUNDED_GEMM(mlo_gemm_tf32, mlo_tf32f)

/* Row-major M is column-major M^T: its factors solve M x = b when they are applied transposed. The
   right-hand sides need columns of their own, so b is transposed on its way in and out. */
#define SOLVE(name, T, getrf, getrs)                                                               \
  int name(bool tm, int64_t n, int64_t k, const T *m, const T *b, T *x, void *work) {              \
    T *lu = work, *column = lu + n * n;                                                            \
    int *pivot = (int *)(void *)(column + n * k), order = (int)n, sides = (int)k, info = 0;        \
    if (n == 0 || k == 0) return 0;                                                                \
    memcpy(lu, m, sizeof(T) * (size_t)(n * n));                                                    \
    for (int64_t i = 0; i < n; i++)                                                                \
      for (int64_t j = 0; j < k; j++) column[j * n + i] = b[i * k + j];                            \
    getrf(&order, &order, lu, &order, pivot, &info);                                               \
    if (info == 0)                                                                                 \
      getrs(tm ? "N" : "T", &order, &sides, lu, &order, pivot, column, &order, &info, 1);          \
    for (int64_t i = 0; i < n; i++)                                                                \
      for (int64_t j = 0; j < k; j++) x[i * k + j] = info == 0 ? column[j * n + i] : (T)NAN;       \
    return info != 0;                                                                              \
  }

SOLVE(mlo_solve_f32, float, sgetrf_, sgetrs_)
SOLVE(mlo_solve_f64, double, dgetrf_, dgetrs_)
