/* Data files: what they hold (the prober), and their arrays' way into the arena (the loader), one
   field after another through a buffer of a few thousand elements. */

#include "runtime/data.h"

#include "runtime/csv.h"
#include "runtime/idx.h"
#include "runtime/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 8192 };

typedef enum FileKind { FILE_UNKNOWN, FILE_ARRAYS, FILE_TABLE } FileKind;

static FileKind kind_of(const char *path) {
  bool gzip;
  if (rt_idx_name(path, &gzip)) return FILE_ARRAYS;
  static const struct {
    const char *end;
    FileKind kind;
  } known[] = {
      {".npz", FILE_ARRAYS}, {".npy", FILE_ARRAYS}, {".csv", FILE_TABLE}, {".csv.gz", FILE_TABLE}};
  size_t n = strlen(path);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t m = strlen(known[i].end);
    if (n > m && strcmp(path + n - m, known[i].end) == 0) return known[i].kind;
  }
  return FILE_UNKNOWN;
}

static bool unknown_kind(const char *path, RtErr *e) {
  return rt_fail(e, RT_DATA,
                 "%s: expected a file name that ends in .npz, .npy, .csv, .csv.gz, .idx, -ubyte, "
                 ".idx.gz or -ubyte.gz",
                 path);
}

static void array_label(char *text, size_t size, const char *path, const char *name) {
  if (*name)
    snprintf(text, size, "%s: array `%.80s`", path, name);
  else
    snprintf(text, size, "%s", path);
}

/* One chunk: reads, decodes, stores. place(k) is the row-major position of element first + k. */
typedef struct Chunk {
  unsigned char raw[CHUNK * 8];
  int64_t number[CHUNK];
  double real[CHUNK];
} Chunk;

/* Row-major position of the k-th element of a column-major file. */
static int64_t fortran_place(const RtNpy *a, int64_t k) {
  int64_t at = 0, stride[MLO_MAX_RANK + 1];
  stride[a->rank] = 1;
  for (int i = a->rank - 1; i >= 0; i--) stride[i] = stride[i + 1] * a->dim[i];
  for (int i = 0; i < a->rank; i++) {
    at += k % a->dim[i] * stride[i + 1];
    k /= a->dim[i];
  }
  return at;
}

static bool store_chunk(const RtTarget *t, const RtNpy *a, const Chunk *c, int64_t first, int64_t n,
                        RtErr *e) {
  bool scatter = a->fortran && a->rank > 1;
  for (int64_t k = 0; k < n; k++) {
    int64_t at = scatter ? fortran_place(a, first + k) : first + k;
    if (!(a->kind == 'f' ? rt_store_float(t, at, c->real[k], e)
                         : rt_store_int(t, at, c->number[k], e)))
      return false;
  }
  return true;
}

/* Reading on to the end makes libzip and zlib compare the checksum. */
static bool ends_here(const RtTarget *t, const RtArrayFile *f, RtErr *e) {
  unsigned char beyond;
  int64_t got = f->stream.read(f->stream.handle, &beyond, 1);
  if (got > 0 && f->packing == RT_GZIP)
    return rt_fail(e, RT_DATA, "%s: the file goes on after the last element of its shape",
                   t->label);
  return got == 0 || rt_fail(e, RT_DATA, "%s: damaged: the checksum differs", t->label);
}

static bool load_elements(const RtTarget *t, const RtArrayFile *f, const RtNpy *a, RtErr *e) {
  Chunk *c = malloc(sizeof *c);
  bool ok = c || rt_fail(e, RT_DATA, "%s: out of memory", t->label);
  for (int64_t first = 0, n; ok && first < a->count; first += n) {
    n = a->count - first < CHUNK ? a->count - first : CHUNK;
    int64_t bad = 0;
    RtNumbers out = {.i = c->number};
    if (a->kind == 'f') out.f = c->real;
    ok = rt_read(&f->stream, c->raw, (uint64_t)(n * a->size), e);
    if (ok && !rt_npy_decode(a, c->raw, n, out, &bad)) {
      char where[256];
      rt_where(t, first + bad, where, sizeof where);
      ok = rt_fail(e, RT_DATA, "%s%s: expected an integer that fits 64 bits with a sign", t->label,
                   where);
    }
    ok = ok && store_chunk(t, a, c, first, n, e);
  }
  free(c);
  return ok && ends_here(t, f, e);
}

static bool load_array(const RtArchive *a, int i, const RtTarget *t, RtErr *e) {
  RtArrayFile f;
  RtNpy header;
  bool ok = rt_array_open(a, i, t->label, &f, e) && rt_array_header(&f, &header, e) &&
            rt_check_shape(t, header.rank, header.dim, e) && load_elements(t, &f, &header, e);
  rt_array_close(&f);
  return ok;
}

static int find_array(const RtArchive *a, const char *name) {
  for (int i = 0; i < a->n; i++)
    if (strcmp(a->name[i], name) == 0) return i;
  return a->zip ? -1 : 0;
}

static bool no_array(const RtArchive *a, const char *name, RtErr *e) {
  char list[400] = "";
  size_t n = 0;
  for (int i = 0; i < a->n && n + 60 < sizeof list; i++)
    n += (size_t)snprintf(list + n, sizeof list - n, "%s`%.48s`", i ? ", " : "", a->name[i]);
  return rt_fail(e, RT_DATA, "%s: expected an array `%s`, found %s", a->path, name,
                 a->n ? list : "none");
}

static bool load_archive(const char *path, RtTarget *target, int n, RtErr *e) {
  RtArchive a;
  bool ok = rt_archive_open(&a, path, e);
  if (ok && !a.zip && n != 1)
    ok = rt_fail(e, RT_DATA, "%s: a file of this kind holds one array, expected %d", path, n);
  for (int i = 0; ok && i < n; i++) {
    int k = find_array(&a, target[i].field->name);
    ok = k >= 0 ? load_array(&a, k, &target[i], e) : no_array(&a, target[i].field->name, e);
  }
  rt_archive_close(&a);
  return ok;
}

static bool load_table(const char *path, RtTarget *target, int n, RtErr *e) {
  RtCsv t;
  bool ok = rt_csv_open(&t, path, e) && rt_csv_load(&t, target, n, e);
  rt_csv_close(&t);
  return ok;
}

bool rt_load(const MloSource *source, const char *path, const char *hint, unsigned char *arena,
             RtErr *e) {
  enum { LABEL = 512 };
  int n = source->nfield;
  FileKind kind = kind_of(path);
  if (kind == FILE_UNKNOWN) return unknown_kind(path, e);
  RtTarget *target = calloc((size_t)n + 1, sizeof *target);
  char(*label)[LABEL] = calloc((size_t)n + 1, LABEL);
  bool ok = (target && label) || rt_fail(e, RT_DATA, "%s: out of memory", path);
  for (int i = 0; ok && i < n; i++) {
    const MloField *f = &source->field[i];
    array_label(label[i], LABEL, path, f->name);
    target[i] = (RtTarget){f, arena + f->offset, label[i], hint, 0};
  }
  if (ok)
    ok = kind == FILE_TABLE ? load_table(path, target, n, e) : load_archive(path, target, n, e);
  free(target);
  free(label);
  return ok;
}

/* An array that cannot be loaded is no reason to refuse the file's others: it only gets a problem.
 */
static bool probe_array(const RtArchive *a, int i, MloProbeArray *out, RtErr *e) {
  char label[512];
  RtErr trouble = {0};
  RtArrayFile f;
  RtNpy h = {0};
  array_label(label, sizeof label, a->path, a->name[i]);
  out->name = strdup(a->name[i]);
  if (!out->name) return rt_fail(e, RT_DATA, "%s: out of memory", a->path);
  if (rt_array_open(a, i, label, &f, &trouble) && rt_array_header(&f, &h, &trouble)) {
    out->dtype = rt_npy_dtype(&h);
    out->rank = h.rank;
    memcpy(out->dim, h.dim, sizeof h.dim);
  }
  rt_array_close(&f);
  if (!trouble.code) return true;
  out->problem = strdup(trouble.text);
  return out->problem || rt_fail(e, RT_DATA, "%s: out of memory", a->path);
}

static bool probe_archive(const char *path, MloProbe *out, RtErr *e) {
  RtArchive a;
  bool ok = rt_archive_open(&a, path, e);
  if (ok) out->array = calloc((size_t)a.n + 1, sizeof *out->array);
  if (ok && !out->array) ok = rt_fail(e, RT_DATA, "%s: out of memory", path);
  for (int i = 0; ok && i < a.n; i++) {
    out->n = i + 1;
    ok = probe_array(&a, i, &out->array[i], e);
  }
  rt_archive_close(&a);
  return ok;
}

static bool probe_columns(RtCsv *t, MloProbe *out, RtErr *e) {
  int64_t nrow;
  RtColumnFacts *fact = calloc((size_t)t->ncolumn + 1, sizeof *fact);
  out->array = calloc((size_t)t->ncolumn + 1, sizeof *out->array);
  bool ok = fact && out->array;
  if (!ok) rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  ok = ok && rt_csv_survey(t, &nrow, fact, e);
  for (int i = 0; ok && i < t->ncolumn; i++) {
    char problem[512];
    MloProbeArray *a = &out->array[i];
    *a = (MloProbeArray){.name = strdup(t->column[i]),
                         .dtype = fact[i].integer ? MLO_I32 : MLO_F64,
                         .rank = 1,
                         .dim = {nrow}};
    snprintf(problem, sizeof problem, "%s: column `%.80s`: some cells are not numbers", t->path,
             t->column[i]);
    if (!fact[i].number) a->problem = strdup(problem);
    out->n = i + 1;
    ok = (a->name && (fact[i].number || a->problem)) ||
         rt_fail(e, RT_DATA, "%s: out of memory", t->path);
  }
  free(fact);
  return ok;
}

static bool probe_table(const char *path, MloProbe *out, RtErr *e) {
  RtCsv t;
  out->table = true;
  bool ok = rt_csv_open(&t, path, e) && probe_columns(&t, out, e);
  rt_csv_close(&t);
  return ok;
}

bool mlo_probe(const char *path, MloProbe *out) {
  RtErr e = {0};
  *out = (MloProbe){0};
  switch (kind_of(path)) {
  case FILE_ARRAYS: probe_archive(path, out, &e); break;
  case FILE_TABLE: probe_table(path, out, &e); break;
  case FILE_UNKNOWN: unknown_kind(path, &e); break;
  }
  memcpy(out->error, e.text, sizeof out->error);
  return e.code == 0;
}

void mlo_probe_free(MloProbe *p) {
  for (int i = 0; p->array && i < p->n; i++) {
    free((char *)p->array[i].name);
    free((char *)p->array[i].problem);
  }
  free(p->array);
  *p = (MloProbe){0};
}

static bool probe_matrix(const MloProbe *p, const char *name, int rank, int nfield,
                         MloProbeArray *out) {
  char **names = calloc((size_t)p->n + 1, sizeof *names);
  int *column = calloc((size_t)p->n + 1, sizeof *column), width = 0;
  for (int i = 0; names && i < p->n; i++) names[i] = (char *)p->array[i].name;
  if (names && column) width = rt_csv_match(names, p->n, name, rank, nfield, column);
  if (width > 0) *out = p->array[column[0]];
  for (int i = 1; i < width; i++) {
    const MloProbeArray *a = &p->array[column[i]];
    if (a->dtype != MLO_I32) out->dtype = a->dtype;
    if (!out->problem) out->problem = a->problem;
  }
  if (width > 0 && rank == 2) {
    out->rank = 2;
    out->dim[1] = width;
  }
  free(names);
  free(column);
  return width > 0;
}

bool mlo_probe_field(const MloProbe *p, const char *name, int rank, int nfield,
                     MloProbeArray *out) {
  if (p->table) return probe_matrix(p, name, rank, nfield, out);
  for (int i = 0; i < p->n; i++) {
    if (strcmp(p->array[i].name, name) != 0 && !(p->array[i].name[0] == 0 && nfield == 1)) continue;
    *out = p->array[i];
    return true;
  }
  return false;
}
