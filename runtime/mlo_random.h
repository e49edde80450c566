#ifndef MLOC_RUNTIME_MLO_RANDOM_H
#define MLOC_RUNTIME_MLO_RANDOM_H

/* Counter-based random numbers for generated code: a value is a pure function of (seed, stream,
   step, element), so that every pass over a batch, any number of threads and every device,
   processor and compiler see the same, bit for bit. The generator is Philox4x32-10 of Random123
   with key (seed, stream) and counter (element low, element high, step low, step high); words
   w0..w3 of its output make numbers that are

     uniform   ((w0:w1 >> 12) + 1/2) 2^-52 in the open interval (0, 1); f32: ((w0 >> 9) + 1/2) 2^-23
     normal    sqrt(-2 log u) cos(2 pi v) of Box and Muller, u from w0:w1 and v from w2:w3 as
               above; f32: (w0 + 1/2) 2^-32 and (w2 + 1/2) 2^-32, rounded */

#ifdef MLO_KERNEL /* on devices, which have no headers */
#define PHILOX_M4x32_0 0xd2511f53u
#define PHILOX_M4x32_1 0xcd9e8d57u
#define PHILOX_W32_0 0x9e3779b9u
#define PHILOX_W32_1 0xbb67ae85u
#else
#include "mlo_normal.h"
#include <Random123/philox.h>
#endif

typedef struct MloWords {
  uint32_t w0, w1, w2, w3;
} MloWords;

/* One round, on scalars: Random123's own function works on an array, which keeps loops over
   elements from becoming vector code. Its multipliers and key increments; the tests compare the
   two. */
MLO_INLINE MloWords mlo_philox_round(MloWords c, uint32_t k0, uint32_t k1) {
  uint64_t a = (uint64_t)PHILOX_M4x32_0 * c.w0, b = (uint64_t)PHILOX_M4x32_1 * c.w2;
  const MloWords r = {(uint32_t)(b >> 32) ^ c.w1 ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c.w3 ^ k1,
                      (uint32_t)a};
  return r;
}

#define MLO_ROUND(c, r)                                                                            \
  mlo_philox_round(c, seed + r##u * PHILOX_W32_0, stream + r##u * PHILOX_W32_1)
MLO_INLINE MloWords mlo_philox(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  MloWords c = {(uint32_t)element, (uint32_t)(element >> 32), (uint32_t)step,
                (uint32_t)(step >> 32)};
  c = MLO_ROUND(c, 0);
  c = MLO_ROUND(c, 1);
  c = MLO_ROUND(c, 2);
  c = MLO_ROUND(c, 3);
  c = MLO_ROUND(c, 4);
  c = MLO_ROUND(c, 5);
  c = MLO_ROUND(c, 6);
  c = MLO_ROUND(c, 7);
  c = MLO_ROUND(c, 8);
  return MLO_ROUND(c, 9);
}
#undef MLO_ROUND

/* Numbers 1 + n 2^-52 have n as their last bits: so no conversion of 64 bits stands in the way of
   vector code, and the difference is exact. */
MLO_INLINE double mlo_unit(uint32_t high, uint32_t low) {
  uint64_t n = (((uint64_t)high << 32) | low) >> 12;
  return mlo_bits_f64(0x3ff0000000000000 | n) - (1 - 0x1p-53);
}

/* 2^32 equal steps, for Box and Muller only: the largest rounds to 1, whose logarithm is 0. */
MLO_INLINE float mlo_unit32(uint32_t w) { return ((float)w + 0.5f) * 0x1p-32f; }

MLO_INLINE float mlo_uniformf(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  MloWords w = mlo_philox(seed, stream, step, element);
  return ((float)(w.w0 >> 9) + 0.5f) * 0x1p-23f;
}

MLO_INLINE double mlo_uniform(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  MloWords w = mlo_philox(seed, stream, step, element);
  return mlo_unit(w.w0, w.w1);
}

/* Where `position` of 0..n-1 goes in the permutation that (seed, stream, epoch) choose: a Feistel
   network over the bits of the next power of two, applied until the value falls below n (cycle
   walking, Black and Rogaway 2002; fewer than two times on average). A round replaces one half of
   the bits by its sum with a hash of the other half and the round's key, so the network is a
   bijection whatever the hash; the keys are words of Philox. What is not in 0..n-1 stays. */
MLO_INLINE uint32_t mlo_shuffle_hash(uint32_t x, uint32_t key) {
  x = ((x + 1) * 0x9e3779b1u) ^ key;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 15);
}

MLO_INLINE int32_t mlo_shuffle(uint32_t seed, uint32_t stream, uint32_t epoch, uint32_t n,
                               int32_t position) {
  uint32_t x = (uint32_t)position, high = 0, low = 0;
  if (x >= n) return position;
  while (((uint64_t)1 << (high + low)) < n) {
    if (high < low)
      high++;
    else
      low++;
  }
  const uint32_t high_mask = (uint32_t)(((uint64_t)1 << high) - 1);
  const uint32_t low_mask = (uint32_t)(((uint64_t)1 << low) - 1);
  const MloWords a = mlo_philox(seed, stream, epoch, 0), b = mlo_philox(seed, stream, epoch, 1);
  do {
    uint32_t l = x >> low, r = x & low_mask;
    l ^= mlo_shuffle_hash(r, a.w0) & high_mask;
    r ^= mlo_shuffle_hash(l, a.w1) & low_mask;
    l ^= mlo_shuffle_hash(r, a.w2) & high_mask;
    r ^= mlo_shuffle_hash(l, a.w3) & low_mask;
    l ^= mlo_shuffle_hash(r, b.w0) & high_mask;
    r ^= mlo_shuffle_hash(l, b.w1) & low_mask;
    l ^= mlo_shuffle_hash(r, b.w2) & high_mask;
    r ^= mlo_shuffle_hash(l, b.w3) & low_mask;
    x = l << low | r;
  } while (x >= n);
  return (int32_t)x;
}

MLO_INLINE float mlo_normalf(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  MloWords w = mlo_philox(seed, stream, step, element);
  return mlo_box_mullerf(mlo_unit32(w.w0), mlo_unit32(w.w2));
}

MLO_INLINE double mlo_normal(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  MloWords w = mlo_philox(seed, stream, step, element);
  return mlo_box_muller(mlo_unit(w.w0, w.w1), mlo_unit(w.w2, w.w3));
}

#endif
