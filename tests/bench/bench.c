/* What benchmarks share: turns and medians, memory, and access to a generated program's arena by
   the names in its tables. */
#define _GNU_SOURCE
#include "tests/bench/bench.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MAX_CONTENDERS = 8 };
static const double SLICE =
    0.5e-3; /* seconds; shorter than the time that a scheduler gives to others */

/* With one thread the time that this process has had: what else runs on the machine does not count.
 */
static double now(void) {
  struct timespec t;
  clock_gettime(omp_get_max_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double timed(const Contender *c, void *ctx, int times) {
  double begin = now();
  for (int i = 0; i < times; i++) c->run(ctx);
  return (now() - begin) / times;
}

static double median(double *x) {
  qsort(x, BENCH_ROUNDS, sizeof *x, ascending);
  return x[BENCH_ROUNDS / 2];
}

void bench_interleaved(Contender *c, int n, void *ctx) {
  double sample[MAX_CONTENDERS][BENCH_ROUNDS], share[BENCH_ROUNDS];
  int times[MAX_CONTENDERS];
  for (int i = 0; i < n; i++) {
    timed(&c[i], ctx, 1); /* first touch */
    double once = timed(&c[i], ctx, 1);
    times[i] = once > SLICE ? 1 : (int)(SLICE / once) + 1;
  }
  for (int round = 0; round < BENCH_ROUNDS; round++)
    for (int i = 0; i < n; i++) sample[i][round] = timed(&c[i], ctx, times[i]);
  for (int i = n - 1; i >= 0; i--) {
    for (int k = 0; k < BENCH_ROUNDS; k++) share[k] = sample[0][k] / sample[i][k];
    c[i].share = median(share);
    c[i].seconds = median(sample[i]);
  }
}

/* As wide as the machine's registers; enough chains that none waits for its last result, and few
   enough to stay in registers. */
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
enum { CHAINS = 12, TURNS = 8192 };
typedef float Wide __attribute__((vector_size(LANES * sizeof(float))));

static float chains(float by) {
  Wide sum[CHAINS], factor = (Wide){0} + by, one = (Wide){0} + 1;
  for (int k = 0; k < CHAINS; k++) sum[k] = factor * (float)k; /* equal ones would become one */
  for (int i = 0; i < TURNS; i++) {
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++) sum[k] = sum[k] * factor + one;
  }
  for (int k = 1; k < CHAINS; k++) sum[0] += sum[k];
  return sum[0][0];
}

double bench_fma(float *sink) {
  float sum = 0;
#pragma omp parallel reduction(+ : sum)
  sum += chains(0.5f + *sink * 1e-9f);
  *sink = sum;
  return 2.0 * LANES * CHAINS * TURNS * omp_get_max_threads();
}

static _Noreturn void give_up(const char *what, const char *name) {
  fprintf(stderr, "bench: %s `%s`\n", what, name);
  exit(EXIT_FAILURE);
}

void *bench_memory(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) give_up("no memory for", "arrays");
  madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

int bench_main(int argc, char **argv, const MloProgram *p,
               int (*schedule)(MloRun *, unsigned char *)) {
  MloProgram changed = *p;
  changed.schedule = schedule;
  return mlo_main(argc, argv, &changed);
}

void *bench_array(const MloProgram *p, unsigned char *arena, const char *name) {
  for (int i = 0; i < p->narray; i++)
    if (!strcmp(p->array[i].name, name)) return arena + p->array[i].offset;
  give_up("the program has no array", name);
}

void *bench_state(const MloProgram *p, unsigned char *arena, const char *name) {
  for (int i = 0; i < p->nstate; i++)
    if (!strcmp(p->state[i].name, name)) return arena + p->state[i].offset;
  give_up("the program has no state", name);
}

void *bench_field(const MloProgram *p, unsigned char *arena, const char *source, const char *name) {
  for (int i = 0; i < p->nsource; i++)
    for (int k = 0; k < p->data[i].nfield && !strcmp(p->data[i].name, source); k++)
      if (!strcmp(p->data[i].field[k].name, name)) return arena + p->data[i].field[k].offset;
  give_up("the program reads no field", name);
}

double bench_metric(const MloProgram *p, const unsigned char *arena, const char *name) {
  for (int i = 0; i < p->nmetric; i++)
    if (!strcmp(p->metric[i].name, name)) {
      const void *at = arena + p->metric[i].offset;
      return p->metric[i].dtype == MLO_F64 ? *(const double *)at : (double)*(const float *)at;
    }
  give_up("the program has no metric", name);
}
