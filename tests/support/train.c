/* Programs compiled, run and read back in a folder of their own. */
#include "tests/support/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void read_table(FILE *f, Table *t) {
  char line[4096];
  *t = (Table){.nrow = -1};
  while (fgets(line, sizeof line, f)) {
    int column = 0;
    assert_true(t->nrow < MAX_ROWS);
    for (char *rest = NULL, *word = strtok_r(line, ",\n", &rest); word;
         word = strtok_r(NULL, ",\n", &rest), column++) {
      assert_true(column < MAX_COLUMNS && strlen(word) < sizeof t->name[0]);
      if (t->nrow < 0)
        strcpy(t->name[column], word);
      else
        t->value[t->nrow][column] = strtod(word, NULL);
    }
    t->ncolumn = column;
    t->nrow++;
  }
}

void train(const char *text, const char *options, Table *out) {
  char folder[] = "/tmp/mloc-train-XXXXXX", command[1024], path[64];
  const char *mloc = getenv("MLOC");
  assert_true(mloc && mkdtemp(folder));
  snprintf(path, sizeof path, "%s/p.mlo", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
  snprintf(command, sizeof command, "'%s' run %s --out %s/out --quiet --device=%s %s 2>%s/errors",
           mloc, path, folder, getenv("MLO_CUDA_PATH") ? "cuda" : "cpu", options, folder);
  int status = system(command);
  if (status) {
    snprintf(command, sizeof command, "cat %s/errors >&2", folder);
    fail_msg("exit status %d, %d of:\n%s", status, system(command), text);
  }
  snprintf(path, sizeof path, "%s/out/metrics.csv", folder);
  f = fopen(path, "r");
  assert_non_null(f);
  read_table(f, out);
  fclose(f);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  assert_int_equal(system(command), 0);
}

double table_at(const Table *t, int row, const char *column) {
  for (int i = 0; row < t->nrow && i < t->ncolumn; i++)
    if (!strcmp(t->name[i], column)) return t->value[row][i];
  fail_msg("no `%s` in row %d", column, row);
  return 0;
}
