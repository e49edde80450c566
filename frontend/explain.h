#ifndef MLOC_FRONTEND_EXPLAIN_H
#define MLOC_FRONTEND_EXPLAIN_H

#include <stdio.h>

/* One error code: what it means, a program that has this error and no other, and the program
   mended. Codes: E00xx syntax, E01xx names and declarations, E02xx types and shapes, E03xx levels,
   E04xx data and sizes, E05xx methods and settings. Each room of errors has its table, in ascending
   order. */
typedef struct Explanation {
  const char *code, *title;
  const char *text;          /* lines of at most 80 characters, each ended by a line break */
  const char *wrong, *right; /* programs; NULL where no program of a few lines shows the error */
} Explanation;

/* Ended by an entry without code. */
extern const Explanation explain_syntax[], explain_names[], explain_types[], explain_levels[], explain_runs[],
    explain_data[], explain_settings[];

/* The i-th of all explanations, NULL after the last. */
const Explanation *explain_at(int i);
/* NULL where there is no such code. */
const Explanation *explain_find(const char *code);
void explain_print(const Explanation *e, FILE *out);
/* Codes with their titles. */
void explain_list(FILE *out);

#endif
