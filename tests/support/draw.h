#ifndef MLOC_TESTS_DRAW_H
#define MLOC_TESTS_DRAW_H

#include "ir/program.h"
#include "tests/support/build.h"

/* Random programs for tests of everything behind the calculus: functions over the whole op table
   that read and write shared storages (views, rows, old values), called from random schedules. A
   seed is a program. */
typedef struct Draw {
  uint64_t state;
} Draw;

uint32_t draw_below(Draw *d, uint32_t n);
double draw_uniform(Draw *d);
/* A program with facts F_NO_SOLVE: `nfunc` functions of about `nnode` nodes each. Axes have sizes
 * up to `size`. */
Build draw_program(uint64_t seed, int nfunc, int nnode, int64_t size);
/* One function of such a program that writes all its results to new storages. */
Func *draw_func(Draw *d, Build *b, const char *name, int nnode, int64_t size);

#endif
