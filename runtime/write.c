/* Everything that a run leaves on disk: small text files and the .npz archive of its arrays. Write,
   then rename; so a reader never sees half of a file. */

#include "runtime/write.h"

#include "runtime/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

static bool write_all(int fd, const char *text, size_t n) {
  while (n > 0) {
    ssize_t k = write(fd, text, n);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return false;
    text += k;
    n -= (size_t)k;
  }
  return true;
}

bool rt_write_file(const char *path, const char *text, size_t n, RtErr *e) {
  size_t length = strlen(path);
  char *temporary = malloc(length + 32);
  if (!temporary) return rt_fail(e, RT_DATA, "%s: out of memory", path);
  sprintf(temporary, "%s.%ld.tmp", path, (long)getpid());
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool ok = fd >= 0 && write_all(fd, text, n);
  int why = errno;
  if (fd >= 0 && close(fd) != 0 && ok) {
    ok = false;
    why = errno;
  }
  if (ok && rename(temporary, path) != 0) {
    ok = false;
    why = errno;
  }
  if (!ok) {
    unlink(temporary);
    rt_fail(e, RT_DATA, "%s: cannot be written: %s", path, strerror(why));
  }
  free(temporary);
  return ok;
}

static uint64_t array_bytes(const MloArray *a) { return rt_array_bytes(a->dtype, a->rank, a->dim); }

uint64_t rt_npz_bytes(const MloArray *array, int n) {
  uint64_t bytes = 1024;
  for (int i = 0; i < n; i++) bytes += array_bytes(&array[i]) + 512 + 2 * strlen(array[i].name);
  return bytes;
}

enum { HEADER = 256 };

/* An array is header and data as two fragments: nothing is copied. 1 January 1980 is the first day
   that the format knows. */
static bool add_entry(zip_t *zip, const RtEntry *a, char *header) {
  char name[512];
  bool text = a->rank < 0;
  zip_uint64_t length = text ? 0 : rt_npy_write_header(header, a->dtype, a->rank, a->dim);
  zip_buffer_fragment_t part[2] = {{(zip_uint8_t *)header, length},
                                   {(zip_uint8_t *)(uintptr_t)a->data, a->bytes}};
  snprintf(name, sizeof name, "%s%s", a->name, text ? "" : ".npy");
  zip_source_t *source =
      zip_source_buffer_fragment(zip, part + (text ? 1 : 0), text || !a->bytes ? 1 : 2, 0);
  if (!source) return false;
  zip_int64_t i = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
  if (i < 0) {
    zip_source_free(source);
    return false;
  }
  return zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) == 0 &&
         zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 1 << 5 | 1, 0) == 0;
}

static bool sync_path(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

/* libzip itself writes into a temporary file beside `path` and renames it in zip_close. */
bool rt_write_entries(const char *path, const RtEntry *entry, int n, bool sync, RtErr *e) {
  int code = 0;
  zip_error_t err;
  char *header = malloc((size_t)(n + 1) * HEADER);
  if (!header) return rt_fail(e, RT_DATA, "%s: out of memory", path);
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!zip) {
    zip_error_init_with_code(&err, code);
    rt_fail(e, RT_DATA, "%s: cannot be written: %s", path, zip_error_strerror(&err));
    zip_error_fini(&err);
    free(header);
    return false;
  }
  bool ok = true;
  for (int i = 0; ok && i < n; i++) ok = add_entry(zip, &entry[i], header + i * HEADER);
  ok = ok && zip_close(zip) == 0;
  if (!ok) {
    rt_fail(e, RT_DATA, "%s: cannot be written: %s", path, zip_strerror(zip));
    zip_discard(zip);
  }
  free(header);
  if (ok && sync && !sync_path(path))
    ok = rt_fail(e, RT_DATA, "%s: cannot be written: %s", path, strerror(errno));
  return ok;
}

void rt_entry_of(const MloArray *a, const unsigned char *arena, RtEntry *out) {
  *out = (RtEntry){a->name, a->dtype, a->rank, {0}, arena + a->offset, array_bytes(a)};
  for (int i = 0; i < a->rank; i++) out->dim[i] = a->dim[i];
}

bool rt_write_npz(const char *path, const MloArray *array, int n, const unsigned char *arena,
                  RtErr *e) {
  RtEntry *entry = malloc(((size_t)n + 1) * sizeof *entry);
  if (!entry) return rt_fail(e, RT_DATA, "%s: out of memory", path);
  for (int i = 0; i < n; i++) rt_entry_of(&array[i], arena, &entry[i]);
  bool ok = rt_write_entries(path, entry, n, false, e);
  free(entry);
  return ok;
}
