#ifndef MLOC_TESTS_VALUES_H
#define MLOC_TESTS_VALUES_H

#include "frontend/sema.h"

/* Expressions of the language against numbers that another program computed, in f64: the value
   f = sum_i cos(1 + i) e_i over the elements e of an expression, sum_i cos(0.7 i + 0.2) g_i of the
   gradient g of f by all variables of its level, and the same of the Hessian times the direction
   cos(3.1 i + 0.5). Element i of variable number v is 1.1 sin(1.7 i + v + 1); element i of state
   number k is 0.6 + 0.3 sin(1.3 i + k). Variables and states count from 0. */
typedef struct ValueCase {
  const char *vars, *text; /* "A : 7, 2; net = linear[2, 3]", "net(A)" */
  int count;               /* elements of the expression */
  double value, gradient, product;
  double states; /* sum_i cos(0.7 i + 0.2) s_i over what the states become next; 0: none */
} ValueCase;

enum { VALUES_VARS = 16, VALUES_ELEMENTS = 512 };

/* Where a program of one level, `fit`, is evaluated. */
typedef struct ValuePoint {
  const Program *p;
  double x[VALUES_ELEMENTS], dir[VALUES_ELEMENTS], state[VALUES_ELEMENTS], seed, step;
} ValuePoint;

/* The program whose level has the variables of a case, the objective `goal`, and what `more` adds
   to the level. */
const char *values_text(Arena *a, const char *vars, const char *goal, const char *more);
/* In f64. NULL and diagnostics if it is wrong; values_must_compile fails the test then. */
Program *values_compile(Arena *a, const char *text, Diags **d);
Program *values_must_compile(Arena *a, const char *text);

/* The point at which cases are taken; variables must fit. */
void values_start(const Program *p, ValuePoint *c);
/* EvalParam for ir_eval: reads a ValuePoint. A param "t.NAME" is a variable's direction. */
const double *values_read(void *point, const Node *param);
double values_of(ValuePoint *c, Graph *g, Node *f);
/* One node (or NULL) a variable, weighed by cos(0.7 i + 0.2) over all their elements. */
double values_weighed(ValuePoint *c, Graph *g, Node *const *node);
/* Gradient of the objective and its derivative along the direction; NULL where it does not depend
   on a variable. Arrays have VALUES_VARS elements. */
void values_derive(Arena *a, const Level *l, Node **grad, Node **product);

/* Compare all cases with the reference evaluator (to 1e-11), and the reference evaluator with
   generated code (to 1e-12): unfused, and fused with threads everywhere. What the level's states
   become next is compared, too. Where the environment has MLO_CUDA_PATH, the generated code is CUDA
   on the emulated stack: unfused, one block does all that is small; fused, each kernel is launched
   by itself, with NaN in dead memory. They fail the test after naming what differs. */
void values_check(const ValueCase *c, int n);
void values_check_generated(const ValueCase *c, int n);

#endif
