#ifndef MLOC_TESTS_BENCH_KERNELS_H
#define MLOC_TESTS_BENCH_KERNELS_H

#include <stdint.h>

/* Kernels tuned by hand, with which bench_kernels compares the generated ones. Arrays are row-major
   and do not overlap. */

/* y[i] = x[i]: the bandwidth that the machine offers to two streams. */
void copy_by_hand(int64_t n, const float *x, float *y);

/* y = gelu(x + b) by its tanh form, b added to each of the rows. */
void gelu_by_hand(int64_t rows, int64_t width, const float *x, const float *b, float *y);

/* Mean over the rows of logsumexp(z) - z[label]. */
float xent_by_hand(int64_t rows, int64_t width, const float *z, const int32_t *label);
/* Its gradient by z: (softmax(z) - onehot(label)) / rows. */
void xent_grad_by_hand(int64_t rows, int64_t width, const float *z, const int32_t *label,
                       float *dz);

/* y = (x - mean) / sqrt(variance + 1e-5) * scale + shift, row by row. */
void layernorm_by_hand(int64_t rows, int64_t width, const float *x, const float *scale,
                       const float *shift, float *y);

/* Step number `step` (from 1) of Adam with lr 1e-3, beta 0.9 and 0.999, eps 1e-8. */
void adam_by_hand(int64_t n, int step, float *z, const float *g, float *m, float *v);

#endif
