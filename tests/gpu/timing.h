#ifndef MLOC_TESTS_GPU_TIMING_H
#define MLOC_TESTS_GPU_TIMING_H

#include <stdbool.h>

/* Work for a device that is asked for and done later. */
typedef struct Work {
  bool (*ask)(void *ctx);
  bool (*wait)(void *ctx); /* until all that was asked for is done */
  void *ctx;
} Work;

/* Seconds of the device that one more round takes: (time of 2 k rounds - time of k) / k, so that
   what a wait or a first launch costs does not count; the median of seven (one, where a round is
   far longer than `slice`), or, where a noisy machine makes that negative, the mean of 2 k rounds.
   k rounds take at least `slice` seconds. Negative where the work fails. */
double gpu_round(const Work *w, double slice);

#endif
