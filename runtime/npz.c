/* Opens .npz archives (through libzip), .npy and IDX files and hands out each array as a stream of
   bytes. Archives are not believed: duplicate names, encrypted or damaged entries and sizes that
   contradict the declared shape are errors before anything is allocated. */

#include "runtime/npz.h"

#include "runtime/idx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

static int64_t read_file(void *handle, void *buffer, uint64_t n) {
  size_t got = fread(buffer, 1, n, handle);
  return got == 0 && ferror((FILE *)handle) ? -1 : (int64_t)got;
}

static int64_t read_entry(void *handle, void *buffer, uint64_t n) {
  return zip_fread(handle, buffer, n);
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool check_unique(const RtArchive *a, RtErr *e) {
  char **sorted = malloc(sizeof *sorted * ((size_t)a->n + 1));
  if (!sorted) return rt_fail(e, RT_DATA, "%s: out of memory", a->path);
  for (int i = 0; i < a->n; i++) sorted[i] = a->name[i];
  qsort(sorted, (size_t)a->n, sizeof *sorted, by_name);
  bool ok = true;
  for (int i = 1; ok && i < a->n; i++)
    if (strcmp(sorted[i - 1], sorted[i]) == 0)
      ok = rt_fail(e, RT_DATA, "%s: array `%.80s`: the name stands twice in the archive", a->path,
                   sorted[i]);
  free(sorted);
  return ok;
}

static bool list_entries(RtArchive *a, RtErr *e) {
  int64_t n = zip_get_num_entries(a->zip, 0);
  a->name = calloc((size_t)n + 1, sizeof *a->name);
  a->entry = calloc((size_t)n + 1, sizeof *a->entry);
  if (!a->name || !a->entry) return rt_fail(e, RT_DATA, "%s: out of memory", a->path);
  for (int64_t i = 0; i < n; i++) {
    const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
    if (!name || !ends_with(name, ".npy")) continue;
    char *copy = strdup(name);
    if (!copy) return rt_fail(e, RT_DATA, "%s: out of memory", a->path);
    copy[strlen(copy) - 4] = 0;
    a->name[a->n] = copy;
    a->entry[a->n++] = i;
  }
  return check_unique(a, e);
}

bool rt_archive_open(RtArchive *a, const char *path, RtErr *e) {
  struct stat st;
  *a = (RtArchive){.path = path};
  if (stat(path, &st) != 0) return rt_fail(e, RT_DATA, "%s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode)) return rt_fail(e, RT_DATA, "%s: not a regular file", path);
  bool gzip;
  if (ends_with(path, ".npy") || rt_idx_name(path, &gzip)) {
    a->n = 1;
    a->name = calloc(1, sizeof *a->name);
    if (a->name) a->name[0] = strdup("");
    if (!a->name || !a->name[0]) return rt_fail(e, RT_DATA, "%s: out of memory", path);
    return true;
  }
  int code = 0;
  a->zip = zip_open(path, ZIP_RDONLY, &code);
  if (!a->zip) {
    zip_error_t err;
    zip_error_init_with_code(&err, code);
    rt_fail(e, RT_DATA, "%s: cannot be read as a .npz archive: %s", path, zip_error_strerror(&err));
    zip_error_fini(&err);
    return false;
  }
  return list_entries(a, e);
}

void rt_archive_close(RtArchive *a) {
  if (a->zip) zip_discard(a->zip);
  for (int i = 0; a->name && i < a->n; i++) free(a->name[i]);
  free(a->name);
  free(a->entry);
  *a = (RtArchive){0};
}

static bool open_entry(const RtArchive *a, int i, RtArrayFile *out, RtErr *e) {
  zip_stat_t st;
  if (zip_stat_index(a->zip, (zip_uint64_t)a->entry[i], 0, &st) == 0 &&
      (st.valid & ZIP_STAT_SIZE) && st.size <= INT64_MAX)
    out->file = zip_fopen_index(a->zip, (zip_uint64_t)a->entry[i], 0);
  if (!out->file)
    return rt_fail(e, RT_DATA, "%s: cannot be read: %s", out->stream.label, zip_strerror(a->zip));
  out->bytes = (int64_t)st.size;
  return true;
}

static bool open_plain(const RtArchive *a, RtArrayFile *out, RtErr *e) {
  struct stat st;
  FILE *f = fopen(a->path, "rb");
  if (!f || fstat(fileno(f), &st) != 0) {
    rt_fail(e, RT_DATA, "%s: %s", a->path, strerror(errno));
    if (f) fclose(f);
    return false;
  }
  out->file = f;
  out->bytes = st.st_size;
  return true;
}

bool rt_array_open(const RtArchive *a, int i, const char *label, RtArrayFile *out, RtErr *e) {
  bool gzip = false;
  *out = (RtArrayFile){.stream = {.label = label, .read = a->zip ? read_entry : read_file}};
  out->idx = !a->zip && rt_idx_name(a->path, &gzip);
  out->packing = a->zip ? RT_ZIPPED : gzip && out->idx ? RT_GZIP : RT_PLAIN;
  if (out->packing == RT_GZIP) {
    if (!rt_gzip_open(a->path, &out->stream, &out->bytes, e)) return false;
    out->file = out->stream.handle;
    return true;
  }
  if (!(a->zip ? open_entry(a, i, out, e) : open_plain(a, out, e))) return false;
  out->stream.handle = out->file;
  return true;
}

void rt_array_close(RtArrayFile *f) {
  if (!f->file) return;
  switch (f->packing) {
  case RT_PLAIN: fclose(f->file); break;
  case RT_ZIPPED: zip_fclose(f->file); break;
  case RT_GZIP: rt_gzip_close(f->file); break;
  }
  f->file = NULL;
}

bool rt_array_header(const RtArrayFile *f, RtNpy *out, RtErr *e) {
  if (!(f->idx ? rt_idx_read_header : rt_npy_read_header)(&f->stream, out, e)) return false;
  int64_t expected = out->count * out->size, found = f->bytes - out->header_bytes;
  if (found < expected && f->packing == RT_GZIP)
    return rt_fail(e, RT_DATA, "%s: its shape needs %lld bytes, more than the file can hold",
                   f->stream.label, (long long)expected);
  if (found < expected)
    return rt_fail(e, RT_DATA, "%s: the file is truncated: its shape needs %lld bytes, found %lld",
                   f->stream.label, (long long)expected, (long long)found);
  if (found > expected && f->packing != RT_GZIP)
    return rt_fail(e, RT_DATA, "%s: its shape needs %lld bytes, found %lld", f->stream.label,
                   (long long)expected, (long long)found);
  return true;
}
