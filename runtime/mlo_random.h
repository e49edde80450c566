#ifndef MLOC_RUNTIME_MLO_RANDOM_H
#define MLOC_RUNTIME_MLO_RANDOM_H

/* Counter-based random numbers for generated code: a value is a pure function of (seed, stream, step,
   element), so that every pass over a batch, any number of threads and every device see the same. The
   generator is Philox4x32-10 of Random123 with key (seed, stream) and counter (element low, element high,
   step low, step high); words w0..w3 of its output make

     uniform   ((w0:w1 >> 12) + 1/2) 2^-52    in the open interval (0, 1); f32 keeps w0's upper 23 bits
     normal    sqrt(-2 log u) cos(2 pi v)     u from w0:w1 and v from w2:w3 (Box and Muller) */

#include "mlo_math.h"
#include <Random123/philox.h>

/* Inlined at any cost: only then do loops over elements vectorize. */
__attribute__((always_inline)) static inline philox4x32_ctr_t
mlo_philox(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  philox4x32_ctr_t c = {{(uint32_t)element, (uint32_t)(element >> 32), (uint32_t)step,
                         (uint32_t)(step >> 32)}};
  philox4x32_key_t k = {{seed, stream}};
  return philox4x32(c, k);
}

static inline double mlo_unit(uint32_t high, uint32_t low) {
  return ((double)((((uint64_t)high << 32) | low) >> 12) + 0.5) * 0x1p-52;
}

/* 2^32 equal steps, for Box and Muller only: the largest rounds to 1, whose logarithm is 0. */
static inline float mlo_unit32(uint32_t w) { return ((float)w + 0.5f) * 0x1p-32f; }

static inline float mlo_uniformf(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  philox4x32_ctr_t w = mlo_philox(seed, stream, step, element);
  return ((float)(w.v[0] >> 9) + 0.5f) * 0x1p-23f;
}

static inline double mlo_uniform(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  philox4x32_ctr_t w = mlo_philox(seed, stream, step, element);
  return mlo_unit(w.v[0], w.v[1]);
}

static inline float mlo_normalf(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  philox4x32_ctr_t w = mlo_philox(seed, stream, step, element);
  return sqrtf(-2 * mlo_logf(mlo_unit32(w.v[0]))) *
         mlo_cosf(0x1.921fb6p+2f * mlo_unit32(w.v[2]));
}

static inline double mlo_normal(uint32_t seed, uint32_t stream, uint64_t step, uint64_t element) {
  philox4x32_ctr_t w = mlo_philox(seed, stream, step, element);
  return sqrt(-2 * mlo_log(mlo_unit(w.v[0], w.v[1]))) *
         mlo_cos(0x1.921fb54442d18p+2 * mlo_unit(w.v[2], w.v[3]));
}

#endif
