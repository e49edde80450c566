/* The data readers on damaged files: valid .npy, .npz, .csv, .csv.gz and IDX files with bytes
   changed, cut, doubled or replaced by chosen ones, the same ones every time, for about two
   seconds. A reader may refuse with a message or accept; it must not crash, hang or write outside
   its fields (guard bytes stand around them). */

#include "unit/test_files.h"

#include "runtime/data.h"

#include <time.h>
#include <zip.h>
#include <zlib.h>

enum { ROWS = 7, COLUMNS = 3, GUARD = 64, SPACE = ROWS * COLUMNS * 4 };

static uint32_t next(uint64_t *s) {
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*s >> 33);
}

static size_t valid_npy(char *out, bool fortran) {
  float x[ROWS * COLUMNS];
  char dict[128];
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (float)i;
  snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': %s, 'shape': (7, 3), }",
           fortran ? "True" : "False");
  return npy_bytes(out, dict, x, sizeof x);
}

static void make_npz(const char *path, bool deflate) {
  char x[512];
  size_t n = valid_npy(x, false);
  int code;
  zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  assert_non_null(z);
  zip_int64_t i = zip_file_add(z, "x.npy", zip_source_buffer(z, x, n, 0), 0);
  zip_set_file_compression(z, (zip_uint64_t)i, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  zip_file_add(z, "y.npy", zip_source_buffer(z, x, n, 0), 0);
  assert_int_equal(zip_close(z), 0);
}

static void make_csv(const char *path, bool compress) {
  gzFile f = gzopen(path, compress ? "wb" : "wbT");
  assert_non_null(f);
  gzprintf(f, "x0,\"x1\",x2\n");
  for (int i = 0; i < ROWS; i++) gzprintf(f, "%d,%g,\"%d\"\r\n", i, i * 0.5, -i);
  gzclose(f);
}

static void make_idx(const char *path, bool compress) {
  static const unsigned char start[] = {0, 0, 8, 2, 0, 0, 0, ROWS, 0, 0, 0, COLUMNS};
  gzFile f = gzopen(path, compress ? "wb" : "wbT");
  assert_non_null(f);
  gzwrite(f, start, sizeof start);
  for (int i = 0; i < ROWS * COLUMNS; i++) gzputc(f, i);
  gzclose(f);
}

/* One to four changes; returns the new length. */
static size_t mutate(char *bytes, size_t n, uint64_t *s) {
  static const unsigned char chosen[] = {0, 0xff, 0x7f, 0x80, '9', '(', ',', '"', '\n', '\''};
  for (uint32_t k = 1 + next(s) % 4; k > 0 && n > 0; k--) {
    size_t at = next(s) % n;
    switch (next(s) % 6) {
    case 0: bytes[at] ^= (char)(1 << next(s) % 8); break;
    case 1: bytes[at] = (char)next(s); break;
    case 2: n = at; break;
    case 3:
      memmove(bytes + at, bytes + at + 1, n - at - 1);
      n--;
      break;
    case 4:
      memmove(bytes + at + 1, bytes + at, n - at);
      n++;
      break;
    default: bytes[at] = (char)chosen[next(s) % sizeof chosen]; break;
    }
  }
  return n;
}

static void try_file(const char *path) {
  unsigned char memory[2 * GUARD + SPACE];
  MloField f = {.name = "x",
                .dtype = MLO_F32,
                .rank = 2,
                .dim = {ROWS, COLUMNS},
                .check = MLO_BOX,
                .lo = -100,
                .hi = 100};
  MloSource s = {.name = "s", .file = path, .nfield = 1, .field = &f};
  MloProbe p;
  MloProbeArray a;
  RtErr e = {0};
  memset(memory, 0xa5, sizeof memory);
  bool ok = rt_load(&s, path, "", memory + GUARD, &e);
  assert_int_equal(ok, e.code == 0);
  assert_true(ok || strstr(e.text, path) == e.text);
  for (int i = 0; i < GUARD; i++)
    assert_true(memory[i] == 0xa5 && memory[GUARD + SPACE + i] == 0xa5);
  bool probed = mlo_probe(path, &p);
  assert_true(probed || p.error[0]);
  assert_true(!ok || (probed && mlo_probe_field(&p, "x", 2, 1, &a) && !a.problem));
  mlo_probe_free(&p);
}

static void test_mutations(void **state) {
  (void)state;
  static const char *const names[] = {"c.npy", "f.npy",    "s.npz", "d.npz",
                                      "t.csv", "t.csv.gz", "i.idx", "i.idx.gz"};
  enum { FILES = 8 };
  Folder d = folder_make();
  char path[FILES][512], *valid[FILES], npy[512];
  size_t size[FILES], n;
  for (int i = 0; i < FILES; i++) folder_file(&d, names[i], path[i]);
  for (int i = 0; i < 2; i++) {
    n = valid_npy(npy, i == 1);
    write_bytes(path[i], npy, n);
    make_npz(path[2 + i], i == 1);
    make_csv(path[4 + i], i == 1);
    make_idx(path[6 + i], i == 1);
  }
  for (int i = 0; i < FILES; i++) {
    valid[i] = read_bytes(path[i], &size[i]);
    try_file(path[i]);
  }
  uint64_t s = 2024;
  time_t end = time(NULL) + 2;
  for (int round = 0; round < 20000 && time(NULL) <= end; round++) {
    int i = round % FILES;
    char *bytes = malloc(size[i] + 16);
    memcpy(bytes, valid[i], size[i]);
    n = mutate(bytes, size[i], &s);
    write_bytes(path[i], bytes, n);
    try_file(path[i]);
    free(bytes);
  }
  for (int i = 0; i < FILES; i++) free(valid[i]);
  folder_remove(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
