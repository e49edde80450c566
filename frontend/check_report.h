#ifndef MLOC_FRONTEND_CHECK_REPORT_H
#define MLOC_FRONTEND_CHECK_REPORT_H

#include "ir/program.h"

#include <stdbool.h>
#include <stdio.h>

/* What the program of `mloc check-grad` found for one level, all in double: the hypergradient of
   its flat vector by its methods and by `dense`, and the central differences of the solved program
   at the elements in index[]. */
typedef struct CheckLevel {
  const Level *level;
  double residual; /* norm of the joint equations below the level after Newton's method */
  const double *method, *dense, *fd;
  const int32_t *index;
  int nfd;
} CheckLevel;

/* The arrays that a level's check leaves behind: names, shapes and where a CheckLevel wants them.
 */
enum { CHECK_RESIDUAL, CHECK_METHOD, CHECK_DENSE, CHECK_FD, CHECK_INDEX, NCHECKARRAY };
const char *check_array_name(int i); /* "residual": storage LEVEL.check.residual */

/* Prints for each level and variable the values, their cosine with and their error relative to the
 * differences. */
void check_report(const CheckLevel *level, int n, FILE *out, bool json);

/* Whether dense hypergradients and differences agree to the tolerance, as they must: what the exit
 * code says. */
bool check_agrees(const CheckLevel *level, int n, double tolerance);

#endif
