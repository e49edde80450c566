/* Kernels tuned by hand: single passes with OpenMP threads outside and vectors inside, elementary
   functions as polynomials, rows that are read twice read from the first-level cache. The functions
   of runtime/mlo_math.h are not used here, so that they are measured too. */
#include "tests/bench/kernels.h"

#include <math.h>
#include <string.h>

#include "tests/bench/exp_poly.h"

enum {
  PARALLEL = 1 << 15, /* elements from which threads pay */
  LANES = 16
};
typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4)));

/* x/2 (1 + tanh u) = x / (1 + exp -2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
static inline float gelu(float x) {
  float u = x * (1.59576912f + 0.0713548162f * x * x);
  return x / (1 + exp_poly(-u));
}

/* With the sign turned, so that no compiler makes a call of memcpy of it, which streams past the
 * caches. */
void copy_by_hand(int64_t n, const float *restrict x, float *restrict y) {
#pragma omp parallel for simd schedule(simd : static) if (parallel : n > PARALLEL)
  for (int64_t i = 0; i < n; i++) y[i] = -x[i];
}

void gelu_by_hand(int64_t rows, int64_t width, const float *restrict x, const float *restrict b,
                  float *restrict y) {
#pragma omp parallel for schedule(static) if (rows * width > PARALLEL)
  for (int64_t i = 0; i < rows; i++)
#pragma omp simd
    for (int64_t j = 0; j < width; j++) y[i * width + j] = gelu(x[i * width + j] + b[j]);
}

static inline float row_max(int64_t n, const float *x) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < n; j++) top = x[j] > top ? x[j] : top;
  return top;
}

static inline Vec term(const float *x, float shift, int power) {
  Vec d = *(const Vec *)x - shift;
  return power == 1 ? d : d * d;
}

/* Sum of (x - shift)^power for power 1 or 2, by four vectors: one chain of additions would wait for
   its own results. */
static inline float row_sum(int64_t n, const float *x, float shift, int power) {
  Vec a = {0}, b = a, c = a, d = a;
  int64_t j = 0;
  for (; j + 4 * LANES <= n; j += 4 * LANES) {
    a += term(x + j, shift, power);
    b += term(x + j + LANES, shift, power);
    c += term(x + j + 2 * LANES, shift, power);
    d += term(x + j + 3 * LANES, shift, power);
  }
  Vec all = (a + b) + (c + d);
  float total = 0;
  for (int k = 0; k < LANES; k++) total += all[k];
  for (; j < n; j++) total += power == 1 ? x[j] - shift : (x[j] - shift) * (x[j] - shift);
  return total;
}

float xent_by_hand(int64_t rows, int64_t width, const float *restrict z,
                   const int32_t *restrict label) {
  double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total) if (rows * width > PARALLEL)
  for (int64_t i = 0; i < rows; i++) {
    const float *row = z + i * width;
    float top = row_max(width, row), sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; j++) sum += exp_poly(row[j] - top);
    total += (double)(logf(sum) + top - row[label[i]]);
  }
  return (float)(total / (double)rows);
}

void xent_grad_by_hand(int64_t rows, int64_t width, const float *restrict z,
                       const int32_t *restrict label, float *restrict dz) {
#pragma omp parallel for schedule(static) if (rows * width > PARALLEL)
  for (int64_t i = 0; i < rows; i++) {
    const float *row = z + i * width;
    float *out = dz + i * width, top = row_max(width, row), sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; j++) {
      out[j] = exp_poly(row[j] - top);
      sum += out[j];
    }
    float scale = 1 / (sum * (float)rows);
#pragma omp simd
    for (int64_t j = 0; j < width; j++) out[j] *= scale;
    out[label[i]] -= 1 / (float)rows;
  }
}

void layernorm_by_hand(int64_t rows, int64_t width, const float *restrict x,
                       const float *restrict scale, const float *restrict shift,
                       float *restrict y) {
#pragma omp parallel for schedule(static) if (rows * width > PARALLEL)
  for (int64_t i = 0; i < rows; i++) {
    const float *row = x + i * width;
    float mean = row_sum(width, row, 0, 1) / (float)width;
    float inverse = 1 / sqrtf(row_sum(width, row, mean, 2) / (float)width + 1e-5f);
#pragma omp simd
    for (int64_t j = 0; j < width; j++)
      y[i * width + j] = (row[j] - mean) * inverse * scale[j] + shift[j];
  }
}

void adam_by_hand(int64_t n, int step, float *restrict z, const float *restrict g,
                  float *restrict m, float *restrict v) {
  const float rate = 1e-3f, b1 = 0.9f, b2 = 0.999f, eps = 1e-8f;
  float c1 = rate / (1 - powf(b1, (float)step)), c2 = 1 / sqrtf(1 - powf(b2, (float)step));
#pragma omp parallel for simd schedule(simd : static) if (parallel : n > PARALLEL)
  for (int64_t i = 0; i < n; i++) {
    m[i] = b1 * m[i] + (1 - b1) * g[i];
    v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
    z[i] -= c1 * m[i] / (sqrtf(v[i]) * c2 + eps);
  }
}
