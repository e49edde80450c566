#ifndef MLOC_RUNTIME_MLO_MATH_H
#define MLOC_RUNTIME_MLO_MATH_H

/* Elementary functions for generated code: `mlo_exp` of doubles (mlo_math64.h), `mlo_expf` of
   floats, and the small helpers of both. Straight-line code that gcc and clang vectorize inside
   `#pragma omp simd` at -O2 -fno-math-errno -fno-trapping-math. Float functions are within 4 ulp
   (most within 2) over the whole range; infinities and NaN as in C's library. */

#include "mlo_math64.h"

/* 2^k for -126 <= k <= 127. */
MLO_INLINE float mlo_pow2f(int32_t k) { return mlo_bits_f32((uint32_t)(k + 127) << 23); }

/* As mlo_reduced_expm1; the upper part of ln 2 has 15 bits. */
MLO_INLINE float mlo_reduced_expm1f(float x, float *n) {
  float k = rintf(x * 0x1.715476p+0f);
  float r = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f;
  float q = 0x1.6d127ep-10f;
  q = q * r + 0x1.120ce4p-7f;
  q = q * r + 0x1.555518p-5f;
  q = q * r + 0x1.5554dcp-3f;
  q = q * r + 0.5f;
  *n = k;
  return r + r * r * q;
}

MLO_INLINE float mlo_clampf(float x, float lo, float hi) {
  float y = x > lo ? x : lo;
  return y < hi ? y : hi;
}

MLO_INLINE float mlo_expf(float x) {
  float n, p = 1 + mlo_reduced_expm1f(mlo_clampf(x, -104, 89), &n);
  int32_t k = (int32_t)n, half = k >> 1;
  float y = p * mlo_pow2f(half) * mlo_pow2f(k - half);
  return x == x ? y : x;
}

MLO_INLINE float mlo_expm1f(float x) {
  float n, p = mlo_reduced_expm1f(mlo_clampf(x, -20, 89), &n);
  float s = mlo_pow2f((int32_t)n - 1);
  float y = n == 0 ? p : 2 * (s * p + (s - 0.5f));
  return x == x ? y : x;
}

/* log(2^e (1 + f)), 1 + f in [sqrt 1/2, sqrt 2): f - f^2/2 + f^3 P(f). */
MLO_INLINE float mlo_log_polyf(float f, float e) {
  float p = 0x1.1d8bdep-4f;
  p = p * f - 0x1.d658d6p-4f;
  p = p * f + 0x1.deb356p-4f;
  p = p * f - 0x1.fcf158p-4f;
  p = p * f + 0x1.23d126p-3f;
  p = p * f - 0x1.555b54p-3f;
  p = p * f + 0x1.999d60p-3f;
  p = p * f - 0x1.fffffcp-3f;
  p = p * f + 0x1.555554p-2f;
  float s = f * f;
  return e * 0x1.62e4p-1f + (f - (0.5f * s - (f * s * p + e * 0x1.7f7d1cp-20f)));
}

MLO_INLINE float mlo_splitf(float u, int32_t *e) {
  uint32_t i = mlo_f32_bits(u) - 0x3f3504f3;
  *e = (int32_t)i >> 23;
  return mlo_bits_f32((i & 0x7fffff) + 0x3f3504f3) - 1;
}

MLO_INLINE float mlo_logf(float x) {
  float small = x < 0x1p-126f ? 0x1p25f : 1;
  int32_t e;
  float f = mlo_splitf(x * small, &e);
  float y = mlo_log_polyf(f, (float)e - (small > 1 ? 25.0f : 0.0f));
  y = x > 0 ? y : -INFINITY;
  y = x < 0 ? NAN : y;
  return x < INFINITY ? y : x;
}

MLO_INLINE float mlo_log1pf(float x) {
  float u = 1 + x, b = u - 1, tail = (1 - (u - b)) + (x - b);
  int32_t e;
  float f = mlo_splitf(u, &e);
  f += tail * mlo_pow2f(e < 100 ? -e : -100);
  float y = mlo_log_polyf(f, (float)e);
  y = u == 1 ? x : y;
  y = x > -1 ? y : -INFINITY;
  y = x < -1 ? NAN : y;
  return x < INFINITY ? y : x;
}

/* tanh|x| = t / (t + 1), t = expm1(2|x|) / 2. */
MLO_INLINE float mlo_tanhf(float x) {
  float n, a = fabsf(x), p = mlo_reduced_expm1f(2 * (a < 10 ? a : 10), &n);
  float s = mlo_pow2f((int32_t)n - 1), t = s * p + (s - 0.5f);
  float y = copysignf(t / (t + 1), x);
  return x == x ? y : x;
}

MLO_INLINE float mlo_sigmoidf(float x) { return 1 / (1 + mlo_expf(-x)); }

/* log(1 + exp x) = max(x, 0) + log(1 + t), t = exp -|x| in [0, 1]. */
MLO_INLINE float mlo_softplusf(float x) {
  float t = mlo_expf(-fabsf(x)), u = 1 + t, tail = t - (u - 1);
  float h = u > 0x1.6a09e6p+0f ? 0.5f : 1.0f, f = (u * h - 1) + tail * h;
  return (x > 0 ? x : 0) + mlo_log_polyf(f, 2 - 2 * h);
}

/* x P(x^2) below 1; 1 - exp(-g(|x|)) above, g a fit of -log erfc. */
MLO_INLINE float mlo_erff(float x) {
  float a = mlo_clampf(fabsf(x), 0, 4), z = a * a, n;
  float p = -0x1.445f48p-17f;
  p = p * z + 0x1.d88750p-14f;
  p = p * z - 0x1.bccf66p-11f;
  p = p * z + 0x1.562a60p-8f;
  p = p * z - 0x1.b829c8p-6f;
  p = p * z + 0x1.ce2f08p-4f;
  p = p * z - 0x1.812746p-2f;
  p = p * z + 0x1.20dd76p+0f;
  float g = -0x1.b837aep-20f;
  g = g * a + 0x1.82d2bap-15f;
  g = g * a - 0x1.39237ap-11f;
  g = g * a + 0x1.38105cp-8f;
  g = g * a - 0x1.b0fb0ep-6f;
  g = g * a + 0x1.c2edf0p-4f;
  g = g * a + 0x1.437d58p-1f;
  g = g * a + 0x1.21575cp+0f;
  g = g * a - 0x1.511638p-12f;
  float t = mlo_reduced_expm1f(-g, &n), s = mlo_pow2f((int32_t)n);
  float y = a < 1 ? x * p : copysignf((1 - s) - s * t, x);
  return x == x ? y : x;
}

/* Sine (quarter = 0) or cosine (1), the argument reduced by multiples of pi/2 in double. Beyond
   2^30, where neighbouring floats are more than ten periods apart, the result is NaN rather than a
   number that says nothing. */
MLO_INLINE float mlo_circlef(float x, int32_t quarter) {
  double d = fabsf(x) < 0x1p30f ? (double)x : 0, k = rint(d * 0x1.45f306dc9c883p-1);
  double w = (d - k * 0x1.921fb4p+0) - k * 0x1.4442dp-24; /* upper parts of 23 bits: k takes 30 */
  float r = (float)(w - k * 0x1.8469898cc5170p-48), z = r * r;
  int32_t q = (int32_t)k + quarter;
  float s = 0x1.6dbcfcp-19f, c = -0x1.25239ap-22f;
  s = s * z - 0x1.a013a4p-13f;
  s = s * z + 0x1.11110ep-7f;
  s = s * z - 0x1.555556p-3f;
  c = c * z + 0x1.a015c2p-16f;
  c = c * z - 0x1.6c16c0p-10f;
  c = c * z + 0x1.555556p-5f;
  float y = q & 1 ? 1 - z * (0.5f - z * c) : r + r * z * s;
  y = q & 2 ? -y : y;
  return fabsf(x) < 0x1p30f ? y : NAN;
}
MLO_INLINE float mlo_sinf(float x) { return mlo_circlef(x, 0); }
MLO_INLINE float mlo_cosf(float x) { return mlo_circlef(x, 1); }

/* exp(y log|x|) in double, then C's special cases. */
MLO_INLINE float mlo_powf(float x, float y) {
  double l = (double)y * mlo_log(fabs((double)x));
  float r = (float)mlo_exp(l);
  float h = 0.5f * y;
  int whole = rintf(y) == y, odd = whole & (rintf(h) != h);
  r = ((x < 0) & !whole & (x > -INFINITY)) ? NAN : r;
  r = ((mlo_f32_bits(x) >> 31) & (uint32_t)odd) ? -r : r;
  r = ((fabsf(x) == 1) & (fabsf(y) == INFINITY)) ? 1.0f : r;
  return ((y == 0) | (x == 1)) ? 1.0f : r;
}

/* Without the last `drop` bits of its significand: the nearest such float, of two the one with an
   even last bit. What lies beyond the largest becomes infinite; NaN stays NaN. Bits alone decide,
   so that denormals are rounded, too, whatever the thread's mode. */
MLO_INLINE float mlo_shorterf(float x, int32_t drop) {
  uint32_t u = mlo_f32_bits(x), low = (1u << drop) - 1;
  uint32_t r = (u + (low >> 1) + (u >> drop & 1)) & ~low;
  return mlo_bits_f32((int32_t)(u & 0x7fffffff) > 0x7f800000 ? (u | 0x400000) & ~low : r);
}

/* Of the operands of products: bf16 has 7 explicit bits, TF32 has 10. */
MLO_INLINE float mlo_bf16f(float x) { return mlo_shorterf(x, 16); }
MLO_INLINE float mlo_tf32f(float x) { return mlo_shorterf(x, 13); }

MLO_INLINE float mlo_signf(float x) { return (float)((x > 0) - (x < 0)); }
MLO_INLINE double mlo_sign(double x) { return (x > 0) - (x < 0); }

/* NaN wins. */
MLO_INLINE float mlo_maxf(float x, float z) { return ((x > z) | (x != x)) ? x : z; }
MLO_INLINE float mlo_minf(float x, float z) { return ((x < z) | (x != x)) ? x : z; }
MLO_INLINE double mlo_max(double x, double z) { return ((x > z) | (x != x)) ? x : z; }
MLO_INLINE double mlo_min(double x, double z) { return ((x < z) | (x != x)) ? x : z; }

/* Quotient rounded down and the remainder with the divisor's sign, as in Python. Integers: 0 where
   the divisor is 0, and INT32_MIN by -1 wraps, so that no operand traps. */
MLO_INLINE int32_t mlo_idiv_i32(int32_t x, int32_t z) {
  int32_t d = z == 0 || z == -1 ? 1 : z, q = x / d;
  q -= (x % d != 0) & ((x ^ d) < 0);
  return z == 0 ? 0 : z == -1 ? (int32_t)(0u - (uint32_t)x) : q;
}

MLO_INLINE int32_t mlo_mod_i32(int32_t x, int32_t z) {
  int32_t d = z == 0 || z == -1 ? 1 : z, r = x % d;
  return r != 0 && (r ^ d) < 0 ? r + d : r;
}

/* Float to integer: towards zero, the nearest i32 for what lies outside, 0 for NaN. */
MLO_INLINE int32_t mlo_i32f(float x) {
  float y = x > -0x1p31f ? x : -0x1p31f;
  y = y < 0x1.fffffep30f ? y : 0x1.fffffep30f; /* the largest float below 2^31 */
  int32_t i = x >= 0x1p31f ? INT32_MAX : (int32_t)y;
  return x == x ? i : 0;
}

MLO_INLINE int32_t mlo_i32(double x) {
  double y = x > -0x1p31 ? x : -0x1p31;
  y = y < 0x1p31 - 1 ? y : 0x1p31 - 1;
  return x == x ? (int32_t)y : 0;
}

MLO_INLINE float mlo_idivf(float x, float z) { return floorf(x / z); }
MLO_INLINE double mlo_idiv(double x, double z) { return floor(x / z); }

MLO_INLINE float mlo_modf(float x, float z) {
  float r = fmodf(x, z);
  return r != 0 && (r < 0) != (z < 0) ? r + z : r;
}

MLO_INLINE double mlo_mod(double x, double z) {
  double r = fmod(x, z);
  return r != 0 && (r < 0) != (z < 0) ? r + z : r;
}

#endif
