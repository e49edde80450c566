#ifndef MLOC_TESTS_BUILD_H
#define MLOC_TESTS_BUILD_H

#include "ir/program.h"

/* Programs built without a frontend: levels with one vector variable each, in f64. */
typedef struct Build {
  Arena *arena;
  Diags *diags;
  Program *p;
} Build;

Build build_new(const char *name);
void build_free(Build *b);
/* A level with variable NAME.z : f64[n], initial values start[n] (constants), optimizer sgd(lr),
   `steps` steps. Its objective is empty: fill it through build_minimize. */
Level *build_level(Build *b, const char *name, int64_t n, const double *start, double lr,
                   int64_t steps);
Node *build_read(Graph *g, const Level *l);
void build_minimize(Build *b, Level *l, Node *objective);
/* An argmin edge; iters < 0: dense. */
void build_edge(Build *b, Level *upper, Level *lower, int64_t iters);
/* Data of the program: a storage whose values tests set in the interpreter. */
Storage *build_data(Build *b, const char *name, int rank, const int64_t *dim);
void build_top(Build *b, Level *l);

#endif
