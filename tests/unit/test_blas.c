/* Matrix products and systems against plain loops, in all transpositions, rectangular. */

#include "test_files.h"

#include "runtime/blas.h"
#include "runtime/cpu.h"
#include "runtime/mlo.h"
#include "runtime/mlo_math.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

__attribute__((weak)) void gotoblas_dynamic_quit(void);
__attribute__((weak)) void gotoblas_dynamic_init(void);

enum { M = 5, N = 3, K = 4 };

static double value(int i, int j) { return sin(1 + 3 * i + 7 * j); }

static void test_gemm(void **state) {
  (void)state;
  for (int variant = 0; variant < 4; variant++) {
    bool ta = variant & 1, tb = variant & 2;
    double a[M * K], b[K * N], c[M * N];
    float af[M * K], bf[K * N], cf[M * N];
    for (int i = 0; i < M; i++)
      for (int k = 0; k < K; k++) a[ta ? k * M + i : i * K + k] = value(i, k);
    for (int k = 0; k < K; k++)
      for (int j = 0; j < N; j++) b[tb ? j * K + k : k * N + j] = value(k + 9, j);
    for (int i = 0; i < M * K; i++) af[i] = (float)a[i];
    for (int i = 0; i < K * N; i++) bf[i] = (float)b[i];
    for (int i = 0; i < M * N; i++) cf[i] = (float)(c[i] = i);
    mlo_gemm_f64(ta, tb, M, N, K, 2, a, b, 0.5, c);
    mlo_gemm_f32(ta, tb, M, N, K, 2, af, bf, 0.5f, cf);
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        double s = 0.5 * (i * N + j);
        for (int k = 0; k < K; k++) s += 2 * value(i, k) * value(k + 9, j);
        assert_true(fabs(c[i * N + j] - s) < 1e-13 && fabs((double)cf[i * N + j] - s) < 1e-5);
      }
  }
  float untouched[1] = {3};
  mlo_gemm_f32(false, false, 0, 1, 1, 1, untouched, untouched, 0, untouched);
  assert_true(untouched[0] == 3);
}

/* Operands are rounded where the library reads them, not where they are. */
static void test_rounded_gemm(void **state) {
  (void)state;
  for (int variant = 0; variant < 8; variant++) {
    bool ta = variant & 1, tb = variant & 2, bf16 = variant & 4;
    float a[M * K], b[K * N], c[M * N], before[M * K], work[M * K + K * N + 1];
    for (int i = 0; i < M; i++)
      for (int k = 0; k < K; k++) a[ta ? k * M + i : i * K + k] = (float)value(i, k);
    for (int k = 0; k < K; k++)
      for (int j = 0; j < N; j++) b[tb ? j * K + k : k * N + j] = (float)value(k + 9, j);
    for (int i = 0; i < M * N; i++) c[i] = (float)i;
    memcpy(before, a, sizeof a);
    work[M * K + K * N] = 7;
    (bf16 ? mlo_gemm_bf16 : mlo_gemm_tf32)(ta, tb, M, N, K, -1, a, b, 0.5f, c, work);
    assert_memory_equal(a, before, sizeof a);
    assert_true(work[M * K + K * N] == 7);
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        double s = 0.5 * (i * N + j), exact = s;
        for (int k = 0; k < K; k++) {
          float x = (float)value(i, k), y = (float)value(k + 9, j);
          exact -= (double)x * (double)y;
          s -= (double)(bf16 ? mlo_bf16f(x) : mlo_tf32f(x)) *
               (double)(bf16 ? mlo_bf16f(y) : mlo_tf32f(y));
        }
        double far = fabs((double)c[i * N + j] - exact);
        assert_true(fabs((double)c[i * N + j] - s) < 1e-5);
        assert_true(far > 1e-6 && far < (bf16 ? 2e-2 : 2e-3));
      }
  }
  float untouched[1] = {3};
  mlo_gemm_bf16(false, false, 1, 0, 1, 1, untouched, untouched, 0, untouched, NULL);
  assert_true(untouched[0] == 3);
}

static void test_solve(void **state) {
  (void)state;
  enum { S = 6, R = 2 };
  double m[S * S], b[S * R], x[S * R], work[S * S + S * R + S];
  float mf[S * S], bf[S * R], xf[S * R], workf[S * S + S * R + 2 * S];
  for (int i = 0; i < S * S; i++) mf[i] = (float)(m[i] = value(i, 2) + (i % (S + 1) == 0 ? 3 : 0));
  for (int i = 0; i < S * R; i++) bf[i] = (float)(b[i] = value(i, 5));
  for (int t = 0; t < 2; t++) {
    assert_int_equal(mlo_solve_f64(t, S, R, m, b, x, work), 0);
    assert_int_equal(mlo_solve_f32(t, S, R, mf, bf, xf, workf), 0);
    for (int i = 0; i < S; i++)
      for (int j = 0; j < R; j++) {
        double s = 0, sf = 0;
        for (int k = 0; k < S; k++) {
          s += m[t ? k * S + i : i * S + k] * x[k * R + j];
          sf += m[t ? k * S + i : i * S + k] * (double)xf[k * R + j];
        }
        assert_true(fabs(s - b[i * R + j]) < 1e-13 && fabs(sf - b[i * R + j]) < 1e-5);
      }
  }
  memset(m, 0, sizeof m);
  assert_int_equal(mlo_solve_f64(false, S, R, m, b, x, work), 1);
  assert_true(isnan(x[0]) && isnan(x[S * R - 1]));
}

static void test_build(void **state) {
  (void)state;
  assert_non_null(rt_blas_version);
  rt_blas_start();
  assert_contains(rt_blas_version(), "OpenBLAS");
}

/* As on a processor that OpenBLAS does not know. */
static void test_kernels_of_the_processor(void **state) {
  (void)state;
  char missing[256];
  if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init ||
      !rt_cpu_has("x86-64-v3", missing, sizeof missing))
    skip();
  for (int asked = 0; asked < 2; asked++) {
    setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    assert_string_equal(openblas_get_corename(), "Nehalem");
    if (!asked) unsetenv("OPENBLAS_CORETYPE");
    rt_blas_start();
    assert_int_equal(strcmp(openblas_get_corename(), "Nehalem") == 0, asked);
    test_gemm(state);
  }
  unsetenv("OPENBLAS_CORETYPE");
  rt_blas_start();
  assert_string_not_equal(openblas_get_corename(), "Nehalem");
  assert_null(getenv("OPENBLAS_CORETYPE"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gemm),
                                     cmocka_unit_test(test_rounded_gemm),
                                     cmocka_unit_test(test_solve), cmocka_unit_test(test_build),
                                     cmocka_unit_test(test_kernels_of_the_processor)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
