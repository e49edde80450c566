/* What reading the next batch ahead brings: the steps of a generated program, by turns twenty with
   the runtime's thread and twenty without. The clock counts the time that the run's own thread has
   had. GENERATED is the file; prints one row of a table. */
#define _GNU_SOURCE
#define main generated_main
int generated_main(int argc, char **argv);
#include GENERATED
#undef main

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/run.h"

/* By the linker's --wrap. */
void __real_mlo_drawn(MloRun *run, int level, int32_t next);
void __wrap_mlo_drawn(MloRun *run, int level, int32_t next);
int __real_mlo_tick(MloRun *run, int64_t done);
int __wrap_mlo_tick(MloRun *run, int64_t done);

enum { TURN = 20, TURNS = 400 }; /* ahead.mlo takes as many steps */

static struct {
  double begin, seconds[TURNS]; /* of the turns: without the thread, with it, .. */
  bool thread;
} bench;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The last step of a turn has what the next turn's first one needs read, or not. */
void __wrap_mlo_drawn(MloRun *run, int level, int32_t next) {
  bench.thread = run->prefetch.running;
  if (next / TURN % 2) __real_mlo_drawn(run, level, next);
}

int __wrap_mlo_tick(MloRun *run, int64_t done) {
  double time = now();
  int64_t turn = (done - 1) / TURN;
  if (turn < TURNS) bench.seconds[turn] += time - bench.begin;
  bench.begin = time;
  return __real_mlo_tick(run, done);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  double without[TURNS / 2], with[TURNS / 2], share[TURNS / 2];
  int status = mlo_main(argc, argv, &mlo_program), n = 0;
  for (int i = 2; i + 1 < TURNS && bench.seconds[i + 1] > 0; i += 2, n++) {
    without[n] = bench.seconds[i] / TURN * 1e3;
    with[n] = bench.seconds[i + 1] / TURN * 1e3;
    share[n] = with[n] / without[n];
  }
  qsort(without, (size_t)n, sizeof *without, ascending);
  qsort(with, (size_t)n, sizeof *with, ascending);
  qsort(share, (size_t)n, sizeof *share, ascending);
  if (status == 0 && bench.thread)
    printf("| %s | %.3f | %.3f | %.3f |\n", mlo_program.name, without[n / 2], with[n / 2],
           share[n / 2]);
  if (status == 0 && !bench.thread)
    printf("| %s: no processor is left over | %.3f | - | - |\n", mlo_program.name, without[n / 2]);
  return status;
}
