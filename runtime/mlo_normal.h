#ifndef MLOC_RUNTIME_MLO_NORMAL_H
#define MLOC_RUNTIME_MLO_NORMAL_H

/* Normal numbers for mlo_random.h: sqrt(-2 log u) cos(2 pi v) of 0 < u, v <= 1 (Box and Muller),
   the same bits on every device, processor and compiler. Each operation is one that IEEE 754 rounds
   correctly, in the order that stands here, and no choice is left to compilers: where a product is
   added to something, an explicit fma says that it is rounded once; other products feed no sum. The
   last one is an fma with 0, lest it contract with a sum in which the number is used (x + 0 is no
   identity: of -0, so compilers leave it alone). Nothing is denormal on the way, so it does not
   matter whether denormals are flushed. Code for processors without FMA calls the library's fma,
   which has the same bits but takes its time: a number takes 6 times as long where the library
   finds FMA, 70 (f32) to 280 (f64) times where it does not.

   A number is at most 3.5 units in the last place off: in f32 at most 1.7 2^-24 of it for the root
   and 1.3 2^-24 for the cosine, over all u and v, and half a unit for their product; in f64 the
   same parts of 2^-53, over 3 10^7 of each. Polynomials are weighted least squares fits at
   Chebyshev nodes, computed with 60 digits, each coefficient rounded before the next ones were
   fitted; they are within 2^-27 (f32) and 2^-57 (f64). */

#ifndef MLO_KERNEL /* on devices, which have no headers, it has come before */
#include "mlo_math.h"
#endif

/* sqrt(-2 log u) of 0 < u <= 1: u = 2^e (1 + f), 1 + f in [sqrt 1/2, sqrt 2),
   log(1 + f) = f - f^2/2 + f^3 P(f). */
MLO_INLINE float mlo_radiusf(float u) {
  int32_t e;
  float f = mlo_splitf(u, &e), k = (float)e;
  float p = -0x1.2d3636p-4f;
  p = fmaf(p, f, 0x1.025beap-3f);
  p = fmaf(p, f, -0x1.0e6826p-3f);
  p = fmaf(p, f, 0x1.236438p-3f);
  p = fmaf(p, f, -0x1.546790p-3f);
  p = fmaf(p, f, 0x1.999860p-3f);
  p = fmaf(p, f, -0x1.00023cp-2f);
  p = fmaf(p, f, 0x1.555564p-2f);
  p = fmaf(p, f, -0.5f);
  p = fmaf(f * f, p, f);
  return sqrtf(-2 * fmaf(k, 0x1.62e430p-1f, fmaf(k, -0x1.05c610p-29f, p)));
}

/* log(1 + f) = 2 atanh(s) = f - s (f - z P(z)), s = f / (2 + f), z = s^2. */
MLO_INLINE double mlo_radius(double u) {
  uint64_t i = mlo_f64_bits(u) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
  double k = mlo_bits_f64(0x4330000000000000 | i >> 52) - (0x1p52 + 1023);
  double f = mlo_bits_f64((i & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
  double s = f / (2 + f), z = s * s;
  double p = 0x1.2f0b96857276dp-3;
  p = fma(p, z, 0x1.39a108cae2047p-3);
  p = fma(p, z, 0x1.746646d7fcebcp-3);
  p = fma(p, z, 0x1.c71c51dbbbd75p-3);
  p = fma(p, z, 0x1.2492494235b74p-2);
  p = fma(p, z, 0x1.999999997f77cp-2);
  p = fma(p, z, 0x1.5555555555594p-1);
  p = fma(-s, fma(-z, p, f), f);
  return sqrt(-2 * fma(k, 0x1.62e42fefa39efp-1, fma(k, 0x1.abc9e3b39803fp-56, p)));
}

/* cos(2 pi v) of 0 < v <= 1: 4 v = k + r, k whole, |r| <= 1/2, without rounding; then the sine or
   cosine of pi r / 2. Adding 3 2^22 (3 2^51) rounds 4 v to k, whose last bits are the sum's. */
MLO_INLINE float mlo_cos_turnf(float v) {
  float m = fmaf(4, v, 0x1.8p23f), r = fmaf(4, v, 0x1.8p23f - m), z = r * r;
  uint32_t k = mlo_f32_bits(m);
  float s = -0x1.2dbd92p-8f, c = 0x1.d684a8p-11f;
  s = fmaf(s, z, 0x1.465fc4p-4f);
  s = fmaf(s, z, -0x1.4abbbep-1f);
  s = fmaf(s, z, -0x1.777a5cp-25f);
  s = fmaf(r, 0x1.921fb6p+0f, r * s);
  c = fmaf(c, z, -0x1.55b7cep-6f);
  c = fmaf(c, z, 0x1.03c1b8p-2f);
  c = fmaf(c, z, -0x1.3bd3ccp+0f);
  c = fmaf(c, z, 1);
  float y = k & 1 ? s : c;
  return (k + 1) & 2 ? -y : y;
}

MLO_INLINE double mlo_cos_turn(double v) {
  double m = fma(4, v, 0x1.8p52), r = fma(4, v, 0x1.8p52 - m), z = r * r;
  uint64_t k = mlo_f64_bits(m);
  double s = 0x1.e3fdffa9ff67bp-25, c = -0x1.b15c7caf9f5eep-28;
  s = fma(s, z, -0x1.e30094fc65f49p-19);
  s = fma(s, z, 0x1.507830080307cp-13);
  s = fma(s, z, -0x1.32d2cce31f6d6p-8);
  s = fma(s, z, 0x1.466bc67758c68p-4);
  s = fma(s, z, -0x1.4abbce625be46p-1);
  s = fma(s, z, 0x1.1a62633145c07p-54);
  s = fma(r, 0x1.921fb54442d18p+0, r * s);
  c = fma(c, z, 0x1.f9c87823cd57ep-22);
  c = fma(c, z, -0x1.a6d1e6f94b3efp-16);
  c = fma(c, z, 0x1.e1f5067b5447ap-11);
  c = fma(c, z, -0x1.55d3c7e3c301bp-6);
  c = fma(c, z, 0x1.03c1f081b5a66p-2);
  c = fma(c, z, -0x1.3bd3cc9be45dep+0);
  c = fma(c, z, 1);
  double y = k & 1 ? s : c;
  return (k + 1) & 2 ? -y : y;
}

MLO_INLINE float mlo_box_mullerf(float u, float v) {
  return fmaf(mlo_radiusf(u), mlo_cos_turnf(v), 0);
}

MLO_INLINE double mlo_box_muller(double u, double v) {
  return fma(mlo_radius(u), mlo_cos_turn(v), 0);
}

#endif
