#ifndef MLOC_CODEGEN_SCHEDULE_H
#define MLOC_CODEGEN_SCHEDULE_H

#include "codegen/unit_c.h"

/* Rows of MloStmt (runtime/mlo_schedule.h) while they are made. */
typedef struct Row {
  const char *kind, *rest; /* all but.. */
  int next;                /* ..the row behind its body */
} Row;

typedef struct Rows {
  Unit *u;
  Row *row;
  int nrow, row_cap;
} Rows;

/* A call of row `func` of the functions; f: what it is, NULL: part of the schedule. */
void unit_call(Rows *r, int func, const Func *f);
/* A loop or report, whose body is what is made until it is closed; returns its number. */
int unit_open(Rows *r, const Stmt *s);
void unit_close(Rows *r, int opened);
/* Where --load and --resume come in. */
void unit_initial(Rows *r);
/* As a table of that name; returns how many there are. */
int unit_rows(const Rows *r, const char *name, Text *out);

/* Where steps are taken (*loads), --load comes between the calls that set initial values and all
   others, which begin with what is returned: what is computed before the loop reads what it gave.
 */
const Stmt *schedule_rest(const Program *p, bool *loads);

/* A CPU's schedule as a table of that name; returns the number of its rows. */
int unit_schedule(Unit *u, const char *name, Text *out);

#endif
