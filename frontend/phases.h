#ifndef MLOC_FRONTEND_PHASES_H
#define MLOC_FRONTEND_PHASES_H

#include "frontend/ast.h"

/* Runs that go one after another: which, and what of the command line each executable gets. */

/* The runs before `run`, first to last, from what `after` says; *n may be 0. The program was
   checked: names are known and no run comes after itself. */
const char **phases_before(Arena *a, const Ast *ast, const char *run, int *n);

/* The value of an option of the executable, `--out DIR` or `--out=DIR`, or NULL; the last counts.
 */
const char *phase_option(int argc, char *const *argv, const char *option);
/* Whether the executable will only say something: --help, --version, --licenses. */
bool phase_asks(int argc, char *const *argv);
bool phase_quiet(int argc, char *const *argv); /* --quiet */

typedef struct Phase {
  const char *name;          /* argv[0] */
  const char *out, *load;    /* NULL: without */
  bool last;                 /* --steps is of the last run */
  const char *const *source; /* data sources that the run reads: --data of others is left out */
  int nsource;
} Phase;

/* argv of the executable, ended by NULL: that of the command line with other --out and --load. */
char **phase_arguments(Arena *a, int argc, char *const *argv, const Phase *p);

#endif
