#ifndef MLOC_PASSES_PASS_H
#define MLOC_PASSES_PASS_H

#include "ir/program.h"

typedef struct PassOptions {
  const char *passes;     /* "--passes=simplify,-hoist": names switch on, -names off; "none": no
                             optional one; NULL: all */
  const char *stop_after; /* name of the last pass to run; NULL: all */
  const char *dump_after; /* comma list of names, or "all"; NULL: none */
  FILE *dump;             /* where dumps and times go */
  bool time, verify;      /* --time-passes; verifier after every pass */
  int poison;             /* fill dead buffers with NaN */
  bool check_grad;        /* the program checks its hypergradients instead of training */
} PassOptions;

/* Runs the pipeline of passes/pipeline.def that p->facts still lack. False after user errors (in
   p->diags). Facts are checked: a missing one is a compiler bug. */
bool pass_run(Program *p, const PassOptions *o);
/* The first word of a comma list that names no pass (with or without '-'), "all" or "none"; NULL:
 * all do. */
const char *pass_unknown(Arena *a, const char *list);
int pass_count(void);
const char *pass_name(int i);
bool pass_optional(int i);

#endif
