#ifndef MLOC_TESTS_BENCH_BENCH_H
#define MLOC_TESTS_BENCH_BENCH_H

#include <stddef.h>

#include "runtime/mlo.h"

/* Something to be timed against others in one process. */
typedef struct Contender {
  const char *name;
  void (*run)(void *ctx);
  double seconds; /* one run: median over the rounds */
  double share;   /* time of the first contender / time of this one: median over the rounds */
} Contender;

enum { BENCH_ROUNDS = 101 };

/* Times all contenders by turns, so that a change of the machine's mood meets them alike: each
   round repeats each of them for at least half a millisecond. */
void bench_interleaved(Contender *c, int n, void *ctx);

/* Multiplies and adds in registers alone, on all threads, about as fast as the machine can; what
   is left of them goes to *sink. Returns the number of operations, an FMA being two. */
double bench_fma(float *sink);

/* Large zeroed memory, with large pages where the system has them; ends the process where there is
 * none. */
void *bench_memory(size_t bytes);

/* Runs a generated program up to its schedule (options, data, threads, floating-point mode) and
   calls `schedule` in its place. Returns the exit code. */
int bench_main(int argc, char **argv, const MloProgram *p,
               int (*schedule)(MloRun *, unsigned char *));

/* The program's memory for an array of final.npz or for a field of its data; ends the process if
   there is none of that name. */
void *bench_array(const MloProgram *p, unsigned char *arena, const char *name);
void *bench_field(const MloProgram *p, unsigned char *arena, const char *source, const char *name);
/* The same for a state, which a checkpoint would hold. */
void *bench_state(const MloProgram *p, unsigned char *arena, const char *name);
double bench_metric(const MloProgram *p, const unsigned char *arena, const char *name);

#endif
