#ifndef MLOC_TESTS_TRAIN_H
#define MLOC_TESTS_TRAIN_H

/* The whole chain from a test: a program's text is compiled and run by the mloc that MLOC names. */
enum { MAX_ROWS = 64, MAX_COLUMNS = 24 };

typedef struct Table { /* metrics.csv of a run */
  char name[MAX_COLUMNS][64];
  double value[MAX_ROWS][MAX_COLUMNS];
  int nrow, ncolumn;
} Table;

/* Runs the program with these options of `mloc run` ("" for none), on a CUDA device where the
   environment has MLO_CUDA_PATH; fails the test when that fails.
 */
void train(const char *text, const char *options, Table *out);
/* A column's value in a row; fails the test where there is none. */
double table_at(const Table *t, int row, const char *column);

#endif
