/* `apart A.npz B.npz [MOST]`: how far two archives are apart. They have the same arrays, by name,
   type and shape, and the same integers; floats are finite, and their distance is relative to the
   greatest magnitude of their array in either. Without MOST it prints the greatest distance and the
   array; with it, it names all arrays that are farther apart. Exits with 1 where some are, or where
   the archives differ in more than rounding. */
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
  fprintf(stderr, "apart: %s\n", what);
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

/* Infinite where the difference is none of rounding; at an element, or -1: of types or shapes. */
static double distance(const Array *a, const Array *b, int64_t *at) {
  double size = 0, most = 0;
  int64_t n = a->type.count;
  *at = -1;
  if (strcmp(a->type.descr, b->type.descr) != 0 || a->type.rank != b->type.rank ||
      memcmp(a->type.dim, b->type.dim, (size_t)a->type.rank * sizeof *a->type.dim) != 0)
    return INFINITY;
  for (int64_t i = 0; a->f && i < n; i++) size = fmax(size, fmax(fabs(a->f[i]), fabs(b->f[i])));
  for (int64_t i = 0; i < n; i++) {
    double d = 0;
    if (a->f) d = fabs(a->f[i] - b->f[i]) / (size > 0 ? size : 1);
    if (a->i && a->i[i] != b->i[i]) d = INFINITY;
    if (d <= most) continue;
    most = isfinite(d) && isfinite(size) ? d : INFINITY; /* NaN as well */
    *at = i;
  }
  return most;
}

/* That of the array i of `a` and its namesake; says where it is more than `most`. */
static double compare(const RtArchive *a, int i, const RtArchive *b, double most) {
  int k = 0;
  int64_t at;
  while (k < b->n && strcmp(a->name[i], b->name[k]) != 0) k++;
  if (k == b->n) {
    fprintf(stderr, "%s: only one of them has it\n", a->name[i]);
    return INFINITY;
  }
  Array x = read_array(a, i), y = read_array(b, k);
  double d = distance(&x, &y, &at);
  if (!isfinite(d) && at < 0)
    fprintf(stderr, "%s: another type or shape\n", a->name[i]);
  else if (!isfinite(d))
    fprintf(stderr, "%s: element %lld differs by more than rounding\n", a->name[i], (long long)at);
  else if (d > most)
    fprintf(stderr, "%s: element %lld differs by %.3g of the greatest magnitude\n", a->name[i],
            (long long)at, d);
  free(x.f ? (void *)x.f : x.i);
  free(y.f ? (void *)y.f : y.i);
  return d;
}

int main(int argc, char **argv) {
  RtErr e = {0};
  RtArchive a, b;
  if (argc < 3 || argc > 4) give_up("expected A.npz B.npz [MOST]");
  double most = argc == 4 ? atof(argv[3]) : HUGE_VAL, worst = 0;
  const char *where = "-";
  if (!rt_archive_open(&a, argv[1], &e) || !rt_archive_open(&b, argv[2], &e)) give_up(e.text);
  if (a.n != b.n || a.n == 0) give_up("other numbers of arrays, or none");
  for (int i = 0; i < a.n; i++) {
    double d = compare(&a, i, &b, most);
    if (d <= worst) continue;
    worst = d;
    where = a.name[i];
  }
  if (argc == 3) printf("%.1e\t%s\n", worst, where);
  rt_archive_close(&a);
  rt_archive_close(&b);
  return isfinite(worst) && worst <= most ? 0 : 1;
}
