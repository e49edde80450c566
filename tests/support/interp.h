#ifndef MLOC_TESTS_INTERP_H
#define MLOC_TESTS_INTERP_H

#include "ir/program.h"

/* Runs programs by the reference evaluator, statement by statement: no code generation, so that
   passes are tested on their own. Storages hold doubles; views share their base's. */
typedef struct Interp {
  Program *p;
  Arena *arena;
  double **value; /* by index in p->storage at the time of interp_new */
  int nstorage;
  int64_t calls;
} Interp;

/* Zeroed storages; settings and the seed have their defaults. */
Interp *interp_new(Program *p);
void interp_free(Interp *i);
double *interp_at(Interp *i,
                  const char *storage); /* its elements; fails the test when it is unknown */
void interp_call(Interp *i, const Func *f);
/* Executes statements up to the end of the list (no STEP or SOLVE). */
void interp_run(Interp *i, const Stmt *s);

#endif
