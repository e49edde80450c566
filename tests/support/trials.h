#ifndef MLOC_TESTS_TRIALS_H
#define MLOC_TESTS_TRIALS_H

#include "codegen/text.h"
#include "ir/graph.h"
#include "ir/launch.h"
#include "tests/support/draw.h"

/* Expressions whose generated code is compared with the reference evaluator. As C: unfused, fused,
   and with threads, each by itself. As CUDA on the emulated stack, where the environment has
   MLO_CUDA_PATH: fused, each kernel launched, with NaN in dead memory; and unfused, neighbouring
   kernels as kernels of one block. */
typedef struct Trial {
  const char *name;
  Graph *graph;
  Node *node[3]; /* results, on params named "p0", "p1", .. */
  int nresult;
  double **value; /* of the params, by number */
  double ulps;    /* of the largest value, at least of 1, that may be off */
  int replaced;   /* the first result replaces this param; -1: none */
  bool row;       /* results go to a row of a stack */
  bool launches;
  Launch launch; /* where `launches`: one of the fused kernels is launched like that */
} Trial;

typedef struct Trials {
  Arena *arena;
  Trial *trial;
  int n, cap;
  bool shape[NLAUNCHSHAPE]; /* that fused kernels have; once they have run */
} Trials;

Trials trials_new(void);
void trials_add(Trials *s, const char *name, Graph *g, Node *node, double **value, double ulps);
/* The C text of trial number i, fused. */
const char *trials_text(const Trials *s, int i);
/* Runs all; fails the test where one differs. Frees the trials. */
void trials_run(Trials *s);
/* Runs all as C and on the device, fused: results have the same bits. */
void trials_run_same(Trials *s);
/* Whether they run on the device. */
bool trials_on_device(void);

/* ---- building one */

typedef struct Maker {
  Trials *s;
  Graph *g;
  double **value;
  int nparam;
  Draw draw;
} Maker;

Maker maker_new(Trials *s, uint64_t seed);
/* A param with values in (-1, 1); integers in -9..8. */
Node *maker_input(Maker *m, DType d, int rank, int64_t n0, int64_t n1, int64_t n2);
void maker_finish(Maker *m, const char *name, Node *n, double ulps);
/* Of the trial that was finished last: a further result; the first one replaces param number k;
   results go to row 1 of stacks of 3. */
void maker_also(Maker *m, Node *n);
void maker_replace(Maker *m, int k);
void maker_row(Maker *m);
/* Of l count shape, vector, team, lanes, ticket, and, where they are not 0, grid and parts. */
void maker_finish_as(Maker *m, const char *name, Node *n, double ulps, Launch l);

#endif
