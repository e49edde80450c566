#include "tests/gpu/timing.h"

#include <stdlib.h>
#include <time.h>

enum { SAMPLES = 7, MOST = 1 << 20 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of k rounds and the wait for them, negative where they fail. */
static double rounds(const Work *w, int k) {
  double begin = now();
  for (int i = 0; i < k; i++)
    if (!w->ask(w->ctx)) return -1;
  return w->wait(w->ctx) ? now() - begin : -1;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double gpu_round(const Work *w, double slice) {
  double sample[SAMPLES], once, whole = 0;
  int k = 1;
  if (rounds(w, 3) < 0) return -1; /* what the driver loads late, what is captured */
  while ((once = rounds(w, k)) >= 0 && once < slice && k < MOST) k *= 2;
  if (once < 0) return -1;
  int n = once > 20 * slice ? 1 : SAMPLES;
  for (int i = 0; i < n; i++) {
    double one = rounds(w, k), two = rounds(w, 2 * k);
    if (one < 0 || two < 0) return -1;
    sample[i] = (two - one) / k;
    whole = two / (2 * k);
  }
  qsort(sample, (size_t)n, sizeof *sample, ascending);
  return sample[n / 2] > 0 ? sample[n / 2] : whole;
}
