/* A generated program; what the runtime does at draws and reports passes through here, by the
   linker's --wrap. At each report its metrics r0, r1, .. must be the means of n^3 + n over the row
   numbers n that the runtime would have read ahead for cursor 0, 1, ... GENERATED is the file. Says
   how many rows it has compared. */
#define main generated_main
int generated_main(int argc, char **argv);
#include GENERATED
#undef main

#include <stdio.h>
#include <stdlib.h>

#include "runtime/prefetch.h"

void __real_mlo_drawn(MloRun *run, int level, int32_t next);
void __wrap_mlo_drawn(MloRun *run, int level, int32_t next);
int __real_mlo_report(MloRun *run, int64_t step);
int __wrap_mlo_report(MloRun *run, int64_t step);

enum { LEVELS = 8 };
static struct {
  unsigned char *arena;
  int32_t drawn[LEVELS];
  long compared;
} check;

void __wrap_mlo_drawn(MloRun *run, int level, int32_t next) {
  check.drawn[level] = next;
  __real_mlo_drawn(run, level, next);
}

static void compare(int i, double mean) {
  const MloCursor *c = &cursors[i];
  uint32_t seed = *(uint32_t *)(check.arena + mlo_program.seed_offset);
  int32_t draw = check.drawn[c->level] - 1;
  int64_t each = c->nrow / c->batch + c->keep, left = c->nrow - draw % each * c->batch;
  int64_t n = left < c->batch ? left : c->batch;
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    double row = (double)rt_cursor_row(c, check.arena, seed, draw, k);
    sum += row * row * row + row;
  }
  check.compared += n;
  if (fabs(sum / (double)n - mean) <= 1e-9 * mean) return;
  fprintf(stderr, "cursor %d, draw %d: %g, and %g of what is read ahead\n", i, (int)draw, mean,
          sum / (double)n);
  exit(EXIT_FAILURE);
}

int __wrap_mlo_report(MloRun *run, int64_t step) {
  for (int k = 0; k < mlo_program.nmetric; k++) {
    const MloMetric *m = &mlo_program.metric[k];
    if (m->name[0] == 'r' && m->dtype == MLO_F64)
      compare(m->name[1] - '0', *(const double *)(check.arena + m->offset));
  }
  return __real_mlo_report(run, step);
}

static int kept_schedule(MloRun *run, unsigned char *arena) {
  check.arena = arena;
  return mlo_program.schedule(run, arena);
}

int main(int argc, char **argv) {
  MloProgram changed = mlo_program;
  changed.schedule = kept_schedule;
  int status = mlo_main(argc, argv, &changed);
  printf("%ld rows compared\n", check.compared);
  return status;
}
