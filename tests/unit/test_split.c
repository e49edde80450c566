/* Splits: every row in one part at most, sizes and order as promised, labels divided alike, and the
   same rows on every machine. */
#include "test_files.h"

#include "runtime/split.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MOST = 2000, PARTS = 4 };

typedef struct Memory {
  int32_t label[MOST], rows[PARTS][MOST];
} Memory;

/* Splits n rows with labels row^2 mod 7 mod nlabel. part_of[i]: the row's part, -1: none. */
static void split(int64_t n, int npart, const int64_t *count, int nlabel, int64_t seed, Memory *m,
                  int *part_of) {
  MloField field = {.name = "y", .dtype = MLO_I32, .offset = offsetof(Memory, label)};
  MloPart part[PARTS];
  for (int k = 0; k < npart; k++)
    part[k] = (MloPart){"p", count[k], offsetof(Memory, rows) + (size_t)k * sizeof m->rows[0]};
  MloSource s = {.name = "d", .nfield = 1, .field = &field, .npart = npart, .part = part};
  s.by = nlabel ? 0 : -1;
  s.nrow = n;
  s.split_seed = seed;
  for (int i = 0; i < n; i++) {
    m->label[i] = nlabel ? i * i % 7 % nlabel : -5;
    part_of[i] = -1;
  }
  RtErr e = {0};
  assert_true(rt_split(&s, (unsigned char *)m, &e));
  for (int k = 0; k < npart; k++)
    for (int64_t i = 0; i < count[k]; i++) {
      int32_t row = m->rows[k][i];
      assert_true(row >= 0 && row < n && part_of[row] == -1);
      assert_true(i == 0 || m->rows[k][i - 1] < row);
      part_of[row] = k;
    }
}

static void sizes_and_labels(void **state) {
  (void)state;
  static const struct {
    int64_t n, count[PARTS];
    int npart, nlabel;
  } c[] = {{10, {6, 4}, 2, 0},
           {10, {10}, 1, 3},
           {1, {1}, 1, 1},
           {1000, {600, 200, 200}, 3, 5},
           {1999, {5, 1990}, 2, 4},
           {1000, {1, 1, 1, 700}, 4, 2},
           {997, {331, 333, 333}, 3, 7},
           {2, {1, 1}, 2, 2},
           {50, {0, 20, 20}, 3, 3}};
  Memory *m = calloc(1, sizeof *m);
  int part_of[MOST];
  assert_non_null(m);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++)
    for (int64_t seed = 0; seed < 20; seed++) {
      split(c[i].n, c[i].npart, c[i].count, c[i].nlabel, seed, m, part_of);
      for (int l = 0; l < c[i].nlabel; l++)
        for (int k = 0; k < c[i].npart; k++) {
          double all = 0, in = 0;
          for (int64_t r = 0; r < c[i].n; r++) {
            all += m->label[r] == l;
            in += m->label[r] == l && part_of[r] == k;
          }
          double share = all * (double)c[i].count[k] / (double)c[i].n;
          if (fabs(in - share) >= 2)
            fail_msg("case %zu seed %d: label %d has %g rows in part %d, its share is %g", i,
                     (int)seed, l, in, k, share);
        }
    }
  free(m);
}

/* Of two seeds about half of a half agree; without labels, parts know nothing of positions. */
static void seeds_differ(void **state) {
  (void)state;
  static const int64_t half[] = {500, 500};
  Memory *m = calloc(1, sizeof *m);
  int a[MOST], b[MOST], same = 0, front = 0;
  assert_non_null(m);
  split(1000, 2, half, 0, 1, m, a);
  split(1000, 2, half, 0, 2, m, b);
  for (int i = 0; i < 1000; i++) same += a[i] == b[i];
  for (int i = 0; i < 500; i++) front += a[i] == 0;
  assert_true(same > 420 && same < 580);
  assert_true(front > 200 && front < 300);
  split(1000, 2, half, 0, 1, m, b);
  assert_memory_equal(a, b, 1000 * sizeof *a);
  free(m);
}

/* These rows, on every machine and from every version: results depend on them. */
static void known_rows(void **state) {
  (void)state;
  static const int64_t count[] = {6, 4};
  static const int32_t want[] = {1, 2, 3, 6, 7, 11, 0, 4, 8, 9};
  Memory *m = calloc(1, sizeof *m);
  int part_of[MOST];
  assert_non_null(m);
  split(12, 2, count, 3, 7, m, part_of);
  assert_memory_equal(m->rows[0], want, 6 * sizeof *want);
  assert_memory_equal(m->rows[1], want + 6, 4 * sizeof *want);
  free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_and_labels),
                                     cmocka_unit_test(seeds_differ), cmocka_unit_test(known_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
