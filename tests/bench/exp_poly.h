#ifndef MLOC_TESTS_BENCH_EXP_POLY_H
#define MLOC_TESTS_BENCH_EXP_POLY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* exp of what is between -87 and 87 and of the nearer bound beyond, for loops written by hand: by
   x = n ln 2 + r and a polynomial of degree 6 in r; a few units in the last place. Not runtime's,
   which is measured against it. */
static inline float exp_poly(float x) {
  x = x < -87 ? -87 : x;
  x = x > 87 ? 87 : x;
  float n = rintf(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691e-4f;
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666665e-1f;
  p = p * r + 5.0000001e-1f;
  p = p * r * r + r + 1;
  int32_t bits = ((int32_t)n + 127) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

#endif
