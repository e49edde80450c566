/* How far the arrays of two .npz files are apart: `apart A B` prints the greatest distance of an
   array's elements, relative to the greatest element that A has of it, and the array's name. Fails
   where an array of A is missing in B or has another shape, and where an element is not finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/npz.h"

typedef struct Values {
  double *value;
  int64_t n;
} Values;

static bool read_values(const RtArchive *a, int i, Values *out, RtErr *e) {
  RtArrayFile f;
  RtNpy npy;
  if (!rt_array_open(a, i, a->name[i], &f, e)) return false;
  bool good = rt_array_header(&f, &npy, e);
  size_t bytes = good ? (size_t)npy.count * (size_t)npy.size : 0;
  unsigned char *raw = malloc(bytes + 1);
  union {
    double f;
    int64_t i;
  } *number = malloc(sizeof *number * ((size_t)(good ? npy.count : 0) + 1));
  good = good && raw && number && rt_read(&f.stream, raw, bytes, e);
  if (good) {
    int64_t bad;
    bool real = npy.kind == 'f';
    RtNumbers to = real ? (RtNumbers){.f = &number->f} : (RtNumbers){.i = &number->i};
    good = rt_npy_decode(&npy, raw, npy.count, to, &bad);
    for (int64_t k = 0; k < npy.count && !real; k++) number[k].f = (double)number[k].i;
    *out = (Values){&number->f, npy.count};
  }
  if (!good) free(number);
  free(raw);
  rt_array_close(&f);
  return good;
}

/* Negative where the arrays cannot be compared. */
static double distance(const RtArchive *a, int i, const RtArchive *b, RtErr *e) {
  Values x = {0}, y = {0};
  double worst = -1, size = 0;
  int k = 0;
  while (k < b->n && strcmp(a->name[i], b->name[k]) != 0) k++;
  if (k < b->n && read_values(a, i, &x, e) && read_values(b, k, &y, e) && x.n == y.n) {
    worst = 0;
    for (int64_t j = 0; j < x.n; j++) {
      double d = fabs(x.value[j] - y.value[j]);
      if (!(d <= worst)) worst = d; /* NaN too */
      size = fmax(size, fabs(x.value[j]));
    }
    worst = worst > 0 ? worst / fmax(size, 1e-30) : worst;
  }
  free(x.value);
  free(y.value);
  return isfinite(worst) ? worst : -1;
}

int main(int argc, char **argv) {
  RtArchive a = {0}, b = {0};
  RtErr e = {0};
  double worst = 0;
  const char *where = "-";
  if (argc != 3) {
    fputs("usage: apart A.npz B.npz\n", stderr);
    return 2;
  }
  bool good = rt_archive_open(&a, argv[1], &e) && rt_archive_open(&b, argv[2], &e) && a.n > 0;
  for (int i = 0; i < a.n && good; i++) {
    double d = distance(&a, i, &b, &e);
    if (d < 0) fprintf(stderr, "apart: array `%s` cannot be compared\n", a.name[i]);
    good = d >= 0;
    if (d > worst) where = a.name[i];
    worst = fmax(worst, d);
  }
  if (e.code) fprintf(stderr, "apart: %s\n", e.text);
  if (good) printf("%.1e\t%s\n", worst, where);
  rt_archive_close(&a);
  rt_archive_close(&b);
  return good ? 0 : 1;
}
