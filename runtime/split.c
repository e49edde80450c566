/* Splits: which rows of a source belong to which part. Rows are walked in the order of their label
   (if the program gives one) and then of a pseudo-random key, and each row goes to the part that is
   due: by Tijdeman's rule (the chairman assignment problem, 1980), so that after any number n of
   rows a part of c of all N rows has within 1 of c n / N of them. So a label's rows, which are
   walked in a row, are divided as the parts are, give or take one; and the parts have exactly their
   sizes. Integers alone decide (and quotients that IEEE arithmetic rounds alike everywhere), so
   every machine makes the same parts. */
#include "runtime/split.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/mlo_random.h"

typedef struct Row {
  int32_t label, row;
  uint32_t key;
} Row;

static int by_label(const void *a, const void *b) {
  const Row *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

enum { SPLIT_STREAM = 0x73706c74 };

static void order_rows(const MloSource *s, const unsigned char *arena, Row *row) {
  const int32_t *label = s->by < 0 ? NULL : (const int32_t *)(arena + s->field[s->by].offset);
  for (int64_t i = 0; i < s->nrow; i++) {
    MloWords w = mlo_philox((uint32_t)s->split_seed, SPLIT_STREAM, 0, (uint64_t)i);
    row[i] = (Row){label ? label[i] : 0, (int32_t)i, w.w0};
  }
  qsort(row, (size_t)s->nrow, sizeof *row, by_label);
}

/* The part that the n-th row (from 1) goes to; taken[k] rows are in part k, which gets count[k]. */
static int due(int64_t n, int64_t all, int npart, const int64_t *count, const int64_t *taken) {
  int best = -1;
  double earliest = 0;
  int64_t scale = npart > 1 ? 2 * npart - 2 : 1;
  for (int k = 0; k < npart; k++) {
    int64_t behind = scale * (count[k] * n - all * taken[k]);
    if (!count[k] || behind < all) continue;
    double time = (double)(all * (scale - 1) - behind) / (double)count[k];
    if (best < 0 || time < earliest) best = k, earliest = time;
  }
  return best;
}

bool rt_split(const MloSource *s, unsigned char *arena, RtErr *e) {
  int npart = s->npart;
  int64_t left = s->nrow;
  if (!npart) return true;
  Row *row = malloc(sizeof *row * (size_t)s->nrow + 1);
  int *part = malloc(sizeof *part * (size_t)s->nrow + 1);
  int64_t *count = calloc((size_t)npart + 1, sizeof *count);
  int64_t *taken = calloc((size_t)npart + 1, sizeof *taken);
  bool ok = row && part && count && taken;
  if (!ok) rt_fail(e, RT_DATA, "%s: out of memory", s->name);
  for (int k = 0; ok && k < npart; k++) left -= count[k] = s->part[k].count;
  if (ok) {
    count[npart] = left; /* rows that no part has */
    order_rows(s, arena, row);
  }
  for (int64_t i = 0; ok && i < s->nrow; i++) {
    int k = due(i + 1, s->nrow, npart + (left > 0), count, taken);
    taken[k]++;
    part[row[i].row] = k;
  }
  for (int k = 0; ok && k < npart; k++) {
    int32_t *out = (int32_t *)(arena + s->part[k].offset);
    for (int64_t i = 0; i < s->nrow; i++)
      if (part[i] == k) *out++ = (int32_t)i;
  }
  free(row);
  free(part);
  free(count);
  free(taken);
  return ok;
}
