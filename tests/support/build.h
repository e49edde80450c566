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
/* An edge by any method, its settings at their defaults (0 where there is none); change them
   through storages NAME.via.LOWER.SETTING. */
void build_via(Build *b, Level *upper, Level *lower, const char *method);
/* Another optimizer for the level, with lr and all other settings at their defaults but decay and
   clip: off where 0. Before differentiate. */
void build_optimizer(Build *b, Level *l, const char *name, double lr, double decay, double clip);
/* Data of the program: a storage whose values tests set in the interpreter. */
Storage *build_data(Build *b, const char *name, int rank, const int64_t *dim);
void build_top(Build *b, Level *l);

#endif
