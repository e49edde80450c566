/* Tuning the L2 strengths of a logistic regression: the schedule that mloc generates from
   logreg.mlo against logreg.c, by turns in one process on the same data. Prints the time per inner
   step of both, their ratio, and how far the results are apart. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/logreg.h"

const MloProgram *bench_program(void);

typedef struct Race {
  MloRun *run;
  unsigned char *arena, *fresh; /* the arena now, and as it was before the first run */
  LogregData train, val;
  int32_t steps;
  float rho[LOGREG_FEATURES], loss;
} Race;

static void run_generated(void *ctx) {
  Race *r = ctx;
  memcpy(r->arena, r->fresh, bench_program()->arena_bytes);
  bench_program()->schedule(r->run, r->arena);
}

static void run_by_hand(void *ctx) {
  Race *r = ctx;
  r->loss = logreg_reference(r->train, r->val, r->steps, r->rho);
}

static LogregData data(unsigned char *arena, const char *source) {
  return (LogregData){bench_field(bench_program(), arena, source, "x"),
                      bench_field(bench_program(), arena, source, "y")};
}

/* Largest difference of the strengths relative to the largest strength. */
static double difference(const float *a, const float *b) {
  double worst = 0, size = 0;
  for (int i = 0; i < LOGREG_FEATURES; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    size = fmax(size, fabs((double)b[i]));
  }
  return worst / size;
}

static int race(MloRun *run, unsigned char *arena) {
  Race r = {.run = run, .arena = arena};
  memcpy(&r.steps, arena + bench_program()->top_steps_offset, sizeof r.steps);
  r.fresh = bench_memory(bench_program()->arena_bytes);
  memcpy(r.fresh, arena, bench_program()->arena_bytes);
  r.train = data(arena, "train");
  r.val = data(arena, "val");
  Contender c[] = {{.name = "by hand", .run = run_by_hand},
                   {.name = "generated", .run = run_generated}};
  bench_interleaved(c, 2, &r);
  double inner = (double)(r.steps + 1) * LOGREG_INNER * 1e-6;
  double loss = bench_metric(bench_program(), arena, "tune.loss");
  double rho = difference(bench_array(bench_program(), arena, "tune.rho"), r.rho);
  double apart = fabs(loss - (double)r.loss) / fabs((double)r.loss);
  printf(
      "| by hand, us an inner step | generated | generated / by hand | validation loss | apart |\n"
      "|---:|---:|---:|---:|---:|\n"
      "| %.2f | %.2f | %.2f | %.6f | loss %.0e, strengths %.0e |\n",
      c[0].seconds / inner, c[1].seconds / inner, 1 / c[1].share, loss, apart, rho);
  return apart < 1e-3 && rho < 1e-2 ? 0 : 1;
}

int main(int argc, char **argv) { return bench_main(argc, argv, bench_program(), race); }
