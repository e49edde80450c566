#ifndef MLOC_TESTS_BENCH_LOGREG_H
#define MLOC_TESTS_BENCH_LOGREG_H

/* The problem of logreg.mlo, for both of its solvers: the sizes and settings there and here agree.
 */

enum {
  LOGREG_ROWS = 500, /* of each data set */
  LOGREG_FEATURES = 20,
  LOGREG_INNER = 100, /* steps of SGD an upper step */
  LOGREG_CG = 20      /* rounds of conjugate gradients */
};

typedef struct LogregData {
  const float *x, *y; /* [rows, features], [rows] */
} LogregData;

/* Solves from w = 0, rho = -2 with `steps` upper steps, and w once more after the last of them;
   leaves the strengths in rho[features] and returns the validation loss. */
float logreg_reference(LogregData train, LogregData val, int steps, float *rho);

#endif
