#ifndef MLOC_RUNTIME_CSV_H
#define MLOC_RUNTIME_CSV_H

#include "runtime/store.h"

/* A table of numbers as text: comma-separated, cells optionally quoted, .csv or .csv.gz. A first
   row in which some cell is not a number names the columns. Which columns a field takes:

     rank 1    the column of the field's name; the only column where there is one column and one
   field rank 2    columns name0, name1, .. or name_0, name_1, .. (or counted from 1); all columns
   where the source has this field alone and no such columns exist

   Empty lines are skipped. A cell that a field needs must hold a number, true or false. */
typedef struct RtCsv {
  const char *path;
  int ncolumn;
  bool header;
  char **column;            /* names; "" without a header row */
  struct CsvReader *reader; /* stands before the first data row */
} RtCsv;

bool rt_csv_open(RtCsv *t, const char *path, RtErr *e);
void rt_csv_close(RtCsv *t);

/* Columns of a field into column[] (room for all of the table's); returns how many, 0 if there are
 * none. */
int rt_csv_match(char *const *name, int ncolumn, const char *field, int rank, int nfield,
                 int *column);

/* Reads all rows: their number, and per column whether all its cells are numbers and whether they
   are all integers that fit i32. */
typedef struct RtColumnFacts {
  bool number, integer;
} RtColumnFacts;
bool rt_csv_survey(RtCsv *t, int64_t *nrow, RtColumnFacts *fact, RtErr *e);

/* Loads all fields in one pass over the rows. Each target's field has rank 1 or 2. */
bool rt_csv_load(RtCsv *t, RtTarget *target, int ntarget, RtErr *e);

#endif
