/* IDX files, plain or gzip: the header becomes an RtNpy, as if the array came from a big-endian
   .npy file, and compressed bytes become a stream. Nothing that the file says is believed: ranks,
   sizes and the bytes that a compressed file can hold are bounded before they are used. */

#include "runtime/idx.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

static bool ends_at(const char *path, size_t n, const char *end) {
  size_t m = strlen(end);
  return n > m && memcmp(path + n - m, end, m) == 0;
}

bool rt_idx_name(const char *path, bool *gzip) {
  size_t n = strlen(path);
  *gzip = ends_at(path, n, ".gz");
  if (*gzip) n -= 3;
  return ends_at(path, n, ".idx") || ends_at(path, n, "-ubyte");
}

static bool element_type(unsigned char code, RtNpy *a) {
  static const struct {
    unsigned char code;
    char kind;
    int size;
  } known[] = {{0x08, 'u', 1}, {0x09, 'i', 1}, {0x0b, 'i', 2},
               {0x0c, 'i', 4}, {0x0d, 'f', 4}, {0x0e, 'f', 8}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (known[i].code != code) continue;
    a->kind = known[i].kind;
    a->size = known[i].size;
    snprintf(a->descr, sizeof a->descr, ">%c%d", a->kind, a->size);
    return true;
  }
  return false;
}

bool rt_idx_read_header(const RtStream *s, RtNpy *a, RtErr *e) {
  unsigned char start[4], size[4 * MLO_MAX_RANK];
  *a = (RtNpy){.big = true};
  if (!rt_read(s, start, sizeof start, e)) return false;
  if (start[0] || start[1])
    return rt_fail(e, RT_DATA,
                   "%s: not an IDX array: expected the bytes \\x00\\x00 at its start, "
                   "found \\x%02x%02x",
                   s->label, start[0], start[1]);
  if (!element_type(start[2], a))
    return rt_fail(e, RT_DATA,
                   "%s: expected an IDX element type (08, 09, 0b, 0c, 0d, 0e), found %02x",
                   s->label, start[2]);
  if (start[3] > MLO_MAX_RANK)
    return rt_fail(e, RT_DATA, "%s: more than %d dimensions", s->label, MLO_MAX_RANK);
  a->rank = start[3];
  if (!rt_read(s, size, (uint64_t)a->rank * 4, e)) return false;
  for (int i = 0; i < a->rank; i++) {
    const unsigned char *d = size + 4 * i;
    a->dim[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
  }
  a->header_bytes = 4 + 4 * (int64_t)a->rank;
  return rt_npy_count(a, s->label, e);
}

static int64_t read_gzip(void *handle, void *buffer, uint64_t n) {
  int code = Z_OK, got = gzread(handle, buffer, n < INT_MAX ? (unsigned)n : INT_MAX);
  if (got > 0) return got;
  gzerror(handle, &code); /* a file that ends within its compressed data is told here alone */
  return got < 0 || (code != Z_OK && code != Z_STREAM_END) ? -1 : 0;
}

bool rt_gzip_open(const char *path, RtStream *s, int64_t *most, RtErr *e) {
  struct stat st;
  if (stat(path, &st) == 0) s->handle = gzopen(path, "rb");
  if (!s->handle) return rt_fail(e, RT_DATA, "%s: %s", path, strerror(errno));
  if (__builtin_mul_overflow((int64_t)st.st_size, 1032, most)) *most = INT64_MAX;
  s->read = read_gzip;
  return true;
}

void rt_gzip_close(void *handle) { gzclose(handle); }
