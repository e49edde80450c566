#ifndef MLOC_RUNTIME_MLO_MATH64_H
#define MLOC_RUNTIME_MLO_MATH64_H

/* Elementary functions of doubles for generated code, and the bit-level helpers that both
   precisions share. Straight-line polynomials without branches or tables, so that a loop around
   them vectorizes without -ffast-math. At most 4 ulp over the whole range; infinities, NaN,
   overflow and underflow as in C's own library, except that results below the smallest normal
   number may be flushed to zero where the thread's flush-to-zero mode says so. sin, cos, erf and
   pow are the library's.

   Coefficients are interpolations at Chebyshev nodes, computed with 60 digits. */

#ifndef MLO_INLINE /* on devices: mlo_device.h has come before */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A function that is called in many kernels is too large for gcc to inline by itself, and a loop
   with a call in it is no vector code: 30 times slower. */
#define MLO_INLINE static inline __attribute__((always_inline))
#endif

MLO_INLINE float mlo_bits_f32(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

MLO_INLINE uint32_t mlo_f32_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

MLO_INLINE double mlo_bits_f64(uint64_t u) {
  double x;
  memcpy(&x, &u, sizeof x);
  return x;
}

MLO_INLINE uint64_t mlo_f64_bits(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

/* 2^k for -1022 <= k <= 1023. */
MLO_INLINE double mlo_pow2(int64_t k) { return mlo_bits_f64((uint64_t)(k + 1023) << 52); }

/* Cody and Waite: x = n ln 2 + r, |r| <= ln 2 / 2; returns exp(r) - 1 and sets n. The upper part of
   ln 2 has 40 bits, so that its product with n is exact. */
MLO_INLINE double mlo_reduced_expm1(double x, double *n) {
  double k = rint(x * 0x1.71547652b82fep+0);
  double r = (x - k * 0x1.62e42fefa2000p-1) - k * 0x1.9ef35793c7673p-41;
  double q = 0x1.1f73c9e1e5555p-29;
  q = q * r + 0x1.af4f451d9ec2bp-26;
  q = q * r + 0x1.27e4db04b53c8p-22;
  q = q * r + 0x1.71de018a0d245p-19;
  q = q * r + 0x1.a01a01a6f6cefp-16;
  q = q * r + 0x1.a01a01ac1cfa8p-13;
  q = q * r + 0x1.6c16c16c1629dp-10;
  q = q * r + 0x1.111111111007ap-7;
  q = q * r + 0x1.5555555555556p-5;
  q = q * r + 0x1.5555555555557p-3;
  q = q * r + 0.5;
  *n = k;
  return r + r * r * q;
}

MLO_INLINE double mlo_clamp(double x, double lo, double hi) {
  double y = x > lo ? x : lo; /* NaN becomes lo, so that conversions to integers stay defined */
  return y < hi ? y : hi;
}

MLO_INLINE double mlo_exp(double x) {
  double n, p = 1 + mlo_reduced_expm1(mlo_clamp(x, -746, 710), &n);
  int64_t k = (int32_t)n, half = k >> 1;
  double y = p * mlo_pow2(half) * mlo_pow2(k - half); /* in two steps: n may be -1076 or 1024 */
  return x == x ? y : x;
}

MLO_INLINE double mlo_expm1(double x) {
  double n, p = mlo_reduced_expm1(mlo_clamp(x, -40, 710), &n);
  double s = mlo_pow2((int32_t)n - 1);
  double y = n == 0 ? p : 2 * (s * p + (s - 0.5));
  return x == x ? y : x;
}

/* log(2^e m) with f = m - 1 + tail, m in [sqrt 1/2, sqrt 2), from 2 atanh(s) at s = f / (2 + f). */
MLO_INLINE double mlo_log_poly(double f, double e) {
  double s = f / (2 + f), z = s * s, r = 0x1.0c1261fda004bp-3;
  r = r * z + 0x1.0fbd2bde023bap-3;
  r = r * z + 0x1.3b1c42e222c00p-3;
  r = r * z + 0x1.745cf8c4cfebcp-3;
  r = r * z + 0x1.c71c7201f1f41p-3;
  r = r * z + 0x1.2492492476765p-2;
  r = r * z + 0x1.9999999999a3ap-2;
  r = r * z + 0x1.5555555555555p-1;
  return e * 0x1.62e42fefa2000p-1 + (f - (s * (f - r * z) - e * 0x1.9ef35793c7673p-41));
}

/* Splits a positive normal u = 2^e m; returns m - 1. */
MLO_INLINE double mlo_split(double u, int64_t *e) {
  uint64_t i = mlo_f64_bits(u) - 0x3fe6a09e667f3bcd;
  *e = (int32_t)((int64_t)i >> 52);
  return mlo_bits_f64((i & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
}

MLO_INLINE double mlo_log(double x) {
  double small = x < 0x1p-1022 ? 0x1p54 : 1;
  int64_t e;
  double f = mlo_split(x * small, &e);
  double y = mlo_log_poly(f, (double)(int32_t)e - (small > 1 ? 54 : 0));
  y = x > 0 ? y : -(double)INFINITY;
  y = x < 0 ? (double)NAN : y;
  return x < (double)INFINITY ? y : x;
}

MLO_INLINE double mlo_log1p(double x) {
  double u = 1 + x, b = u - 1, tail = (1 - (u - b)) + (x - b); /* u + tail = 1 + x exactly */
  int64_t e;
  double f = mlo_split(u, &e);
  f += tail * mlo_pow2(e < 1000 ? -e : -1000);
  double y = mlo_log_poly(f, (double)(int32_t)e);
  y = u == 1 ? x : y;
  y = x > -1 ? y : -(double)INFINITY;
  y = x < -1 ? (double)NAN : y;
  return x < (double)INFINITY ? y : x;
}

/* tanh|x| = t / (t + 1), t = expm1(2|x|) / 2. */
MLO_INLINE double mlo_tanh(double x) {
  double n, a = fabs(x), p = mlo_reduced_expm1(2 * (a < 20 ? a : 20), &n);
  double s = mlo_pow2((int32_t)n - 1), t = s * p + (s - 0.5);
  double y = copysign(t / (t + 1), x);
  return x == x ? y : x;
}

MLO_INLINE double mlo_sigmoid(double x) { return 1 / (1 + mlo_exp(-x)); }

/* log(1 + exp x) = max(x, 0) + log(1 + t), t = exp -|x| in [0, 1]. */
MLO_INLINE double mlo_softplus(double x) {
  double t = mlo_exp(-fabs(x)), u = 1 + t, tail = t - (u - 1);
  double h = u > 0x1.6a09e667f3bcdp+0 ? 0.5 : 1.0, f = (u * h - 1) + tail * h;
  return (x > 0 ? x : 0) + mlo_log_poly(f, 2 - 2 * h);
}

MLO_INLINE double mlo_sin(double x) { return sin(x); }
MLO_INLINE double mlo_cos(double x) { return cos(x); }
MLO_INLINE double mlo_erf(double x) { return erf(x); }
MLO_INLINE double mlo_pow(double x, double y) { return pow(x, y); }

#endif
