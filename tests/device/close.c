/* `close A.npz B.npz TOLERANCE`: do both archives have the same arrays, by name, type and shape,
   and the same elements but for rounding? Floats may differ by TOLERANCE times the greatest
   magnitude of their array; all others are equal. Says where they are not, and exits with 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/npz.h"

typedef struct Array {
  RtNpy type;
  double *f;
  int64_t *i;
} Array;

static _Noreturn void give_up(const char *what) {
  fprintf(stderr, "close: %s\n", what);
  exit(2);
}

static Array read_array(const RtArchive *a, int i) {
  RtErr e = {0};
  RtArrayFile file;
  Array out = {0};
  int64_t bad;
  if (!rt_array_open(a, i, a->name[i], &file, &e) || !rt_array_header(&file, &out.type, &e))
    give_up(e.text);
  size_t n = (size_t)out.type.count, bytes = n * (size_t)out.type.size;
  unsigned char *raw = malloc(bytes + 1);
  double *number = malloc((n + 1) * sizeof *number);
  RtNumbers numbers;
  if (!raw || !number) give_up("out of memory");
  if (!rt_read(&file.stream, raw, bytes, &e)) give_up(e.text);
  if (out.type.kind == 'f')
    numbers.f = out.f = number;
  else
    numbers.i = out.i = (int64_t *)(void *)number;
  if (!rt_npy_decode(&out.type, raw, out.type.count, numbers, &bad)) give_up(a->name[i]);
  free(raw);
  rt_array_close(&file);
  return out;
}

static int differ(const char *name, const Array *a, const Array *b, double tolerance) {
  double size = 0, most = 0;
  int64_t n = a->type.count, at = 0;
  if (strcmp(a->type.descr, b->type.descr) != 0 || a->type.rank != b->type.rank ||
      memcmp(a->type.dim, b->type.dim, (size_t)a->type.rank * sizeof *a->type.dim) != 0) {
    fprintf(stderr, "%s: another type or shape\n", name);
    return 1;
  }
  for (int64_t i = 0; a->f && i < n; i++) size = fmax(size, fmax(fabs(a->f[i]), fabs(b->f[i])));
  for (int64_t i = 0; i < n; i++) {
    double d = a->f ? fabs(a->f[i] - b->f[i]) / (size > 0 ? size : 1) : a->i[i] != b->i[i];
    if (d <= most) continue;
    most = isnan(d) ? INFINITY : d;
    at = i;
  }
  if (most <= (a->f ? tolerance : 0)) return 0;
  fprintf(stderr, "%s: element %lld differs: by %.3g of the greatest magnitude %.9g\n", name,
          (long long)at, most, size);
  return 1;
}

int main(int argc, char **argv) {
  RtErr e = {0};
  RtArchive a, b;
  int wrong = 0;
  if (argc != 4) give_up("expected A.npz B.npz TOLERANCE");
  if (!rt_archive_open(&a, argv[1], &e) || !rt_archive_open(&b, argv[2], &e)) give_up(e.text);
  if (a.n != b.n || a.n == 0) give_up("other numbers of arrays, or none");
  for (int i = 0; i < a.n; i++) {
    int k = 0;
    while (k < b.n && strcmp(a.name[i], b.name[k]) != 0) k++;
    if (k == b.n) give_up(a.name[i]);
    Array x = read_array(&a, i), y = read_array(&b, k);
    wrong |= differ(a.name[i], &x, &y, atof(argv[3]));
    free(x.f ? (void *)x.f : x.i);
    free(y.f ? (void *)y.f : y.i);
  }
  rt_archive_close(&a);
  rt_archive_close(&b);
  return wrong;
}
