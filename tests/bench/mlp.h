#ifndef MLOC_TESTS_BENCH_MLP_H
#define MLOC_TESTS_BENCH_MLP_H

#include <stdbool.h>
#include <stdint.h>

/* The problem of mlp_cg.mlo and mlp_sama.mlo, for a solver by hand: sizes and settings there and
   here agree. */

enum {
  MLP_ROWS = 128, /* of each data set */
  MLP_IN = 784,
  MLP_HIDDEN = 256,
  MLP_OUT = 10,
  MLP_CG = 10, /* rounds of conjugate gradients */
  MLP_PARAMS = MLP_IN * MLP_HIDDEN + MLP_HIDDEN + MLP_HIDDEN * MLP_OUT + MLP_OUT
};

typedef struct MlpData {
  const float *x; /* [rows, in] */
  const int32_t *y;
} MlpData;

/* The network's parameters as one vector: W1 [in, hidden], b1, W2 [hidden, out], b2. */
typedef union Mlp {
  float all[MLP_PARAMS];
  struct {
    float w1[MLP_IN * MLP_HIDDEN], b1[MLP_HIDDEN], w2[MLP_HIDDEN * MLP_OUT], b2[MLP_OUT];
  };
} Mlp;

/* Everything that a step reads and writes. */
typedef struct MlpRun {
  MlpData train, val;
  Mlp w, m, v;                                   /* the lower level and its Adam */
  float u[MLP_ROWS], um[MLP_ROWS], uv[MLP_ROWS]; /* the upper level and its Adam */
  int lower_steps, upper_steps;
  float lower_loss, upper_loss;
} MlpRun;

/* From what *r holds: `steps` upper steps, each after a lower one, then a lower one more; both
   losses before the first upper step and at the end. */
void mlp_cg(MlpRun *r, int steps);
void mlp_sama(MlpRun *r, int steps);

/* The gradient of the weighted training loss by w, and its Hessian at w times p. */
float mlp_gradient(const MlpRun *r, const Mlp *w, Mlp *g);
void mlp_hessian(const MlpRun *r, const Mlp *w, const Mlp *p, Mlp *hp);

/* The matrix products of one upper step alone, with a lower step: their sizes and number are those
   of the step, their operands whatever is in memory. */
void mlp_cg_products(MlpRun *r);
void mlp_sama_products(MlpRun *r);

#endif
