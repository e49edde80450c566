#ifndef MLOC_FRONTEND_SEMA_H
#define MLOC_FRONTEND_SEMA_H

#include "frontend/ast.h"
#include "ir/program.h"

/* An array of a data file, as the prober found it. */
typedef struct SemaArray {
  const char *name;
  bool integral; /* integers or bools; else floats */
  int rank;      /* may exceed MAX_RANK */
  int64_t dim[MAX_RANK];
  const char *problem; /* why it cannot be loaded, or NULL: the rest may be unknown then */
} SemaArray;

typedef enum SemaProbe { SEMA_PROBE_OK, SEMA_PROBE_ABSENT, SEMA_PROBE_BAD } SemaProbe;

/* A field that a data file is asked for: in a table of text, a matrix is made of several
   columns. */
typedef struct SemaWant {
  const char *name;
  int rank;
} SemaWant;

/* Lists what a data file has for the fields, then its arrays (in memory that outlives the
   analysis), or says why it cannot. */
typedef SemaProbe SemaProber(void *ctx, const char *path, const SemaWant *want, int nwant,
                             SemaArray **array, int *n, const char **error);

typedef struct SemaOptions {
  const char *run;        /* NULL: the only one, or "main" */
  const char *program;    /* name of the program */
  const char *dir;        /* where relative data files are looked for; NULL or "": here */
  const char *const *set; /* "prox=1e-2": dims, consts, settings */
  int nset;
  const char *const *data; /* "train=other.npz" */
  int ndata;
  bool phase; /* other runs follow or precede: --set may be theirs */
  bool pedantic;
  bool check_only;    /* data files may be absent */
  bool any_precision; /* false: the run's; true: `precision` instead, products exact */
  DType precision;
  SemaProber *probe; /* NULL: all files are absent */
  void *probe_ctx;
} SemaOptions;

/* Checks the whole program and lowers the chosen run: every expression is typed and lowered in one
   walk, with symbolic sizes. NULL after errors (in d; codes E01xx names, E02xx types and shapes,
   E03xx levels, E04xx data, E05xx settings), and without any when `check_only` is set and sizes are
   not known because files are absent. The result has facts = 0 and no schedule. */
Program *sema_program(Arena *a, Diags *d, const Ast *ast, const SemaOptions *o);

#endif
