/* Readers of .npy, .npz and IDX: types, byte orders, Fortran order, checks, and what is said about
 * wrong files. */

#define _GNU_SOURCE
#include "test_files.h"

#include "runtime/data.h"
#include "runtime/write.h"

#include <math.h>
#include <zip.h>
#include <zlib.h>

/* Loads one field from a file; the message is in e->text. */
static bool load1(const char *path, MloField f, void *dest, RtErr *e) {
  MloSource s = {.name = "s", .file = path, .nfield = 1, .field = &f};
  *e = (RtErr){0};
  return rt_load(&s, path, "", dest, e);
}

static void check_type(const char *descr, const void *raw, size_t n, double a, double b, double c) {
  Folder d = folder_make();
  char path[512], dict[128];
  double out[3] = {0};
  int32_t ints[3];
  RtErr e;
  snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }", descr);
  write_npy(folder_file(&d, "x.npy", path), dict, raw, n);
  MloField f = {.name = "x", .dtype = MLO_F64, .rank = 1, .dim = {3}};
  assert_true(load1(path, f, out, &e));
  assert_true(out[0] == a && out[1] == b && out[2] == c);
  f.dtype = MLO_I32;
  if (a == rint(a) && b == rint(b) && c == rint(c)) {
    assert_true(load1(path, f, ints, &e));
    assert_true(ints[0] == a && ints[1] == b && ints[2] == c);
  } else {
    assert_false(load1(path, f, ints, &e));
    assert_contains(e.text, "expected an integer");
  }
  folder_remove(&d);
}

static void test_types(void **state) {
  (void)state;
  check_type("|b1", (uint8_t[]){0, 1, 1}, 3, 0, 1, 1);
  check_type("|i1", (int8_t[]){-128, 0, 127}, 3, -128, 0, 127);
  check_type("|u1", (uint8_t[]){0, 128, 255}, 3, 0, 128, 255);
  check_type("<i2", (int16_t[]){-32768, 1, 32767}, 6, -32768, 1, 32767);
  check_type("<u2", (uint16_t[]){0, 1, 65535}, 6, 0, 1, 65535);
  check_type(">i2", (uint8_t[]){0xff, 0xfe, 0, 1, 0x7f, 0xff}, 6, -2, 1, 32767);
  check_type("<i4", (int32_t[]){INT32_MIN, 7, INT32_MAX}, 12, INT32_MIN, 7, INT32_MAX);
  check_type("<u4", (uint32_t[]){0, 9, 2147483647u}, 12, 0, 9, 2147483647.0);
  check_type("<i8", (int64_t[]){-5, 0, 1 << 30}, 24, -5, 0, 1 << 30);
  check_type("<u8", (uint64_t[]){5, 0, 1 << 30}, 24, 5, 0, 1 << 30);
  check_type("<f2", (uint16_t[]){0x3c00, 0xc100, 0x0001}, 6, 1, -2.5, 0x1p-24);
  check_type("<f4", (float[]){1, -2, 0.5f}, 12, 1, -2, 0.5);
  check_type(">f4", (uint8_t[]){0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0}, 12, 1, -2, 0);
  check_type("<f8", (double[]){0.1, -2, 1e300}, 24, 0.1, -2, 1e300);
  check_type(">f8", (uint8_t[]){0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0,
                                0,    0,    0, 0, 0, 0, 0, 0, 0,    0, 0, 0},
             24, 1, 2, 0);
}

static void test_fortran_order(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  float out[24], raw[24];
  RtErr e;
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 4; k++) raw[i + 2 * j + 6 * k] = (float)(100 * i + 10 * j + k);
  write_npy(folder_file(&d, "x.npy", path),
            "{'fortran_order': True, \"descr\": '<f4', 'shape': (2, 3L, 4)}", raw, sizeof raw);
  MloField f = {.name = "x", .dtype = MLO_F32, .rank = 3, .dim = {2, 3, 4}};
  assert_true(load1(path, f, out, &e));
  for (int i = 0; i < 24; i++)
    assert_true(out[i] == (float)(100 * (i / 12) + 10 * (i / 4 % 3) + i % 4));
  folder_remove(&d);
}

/* dict, bytes of data, what the message must say. */
static void test_malformed_headers(void **state) {
  (void)state;
  static const struct {
    const char *dict;
    size_t n;
    const char *message;
  } c[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8,
       "truncated: its shape needs 12 bytes, found 8"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 16, "needs 12 bytes, found 16"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", 16,
       "expected shape [N = 3], found [4]"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4,
       "expected shape [N = 3], found []"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (3,)}", 12, "malformed"},
      {"{'descr': '<f4', 'fortran_order': False}", 12, "malformed"},
      {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}", 12, "malformed"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", 12, "malformed"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x", 12, "malformed"},
      {"{'descr': '<f4", 12, "not supported"},
      {"", 12, "malformed"},
      {"{'descr': '<U8', 'fortran_order': False, 'shape': (3,)}", 96, "found `<U8`"},
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}", 24, "found `<c8`"},
      {"{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}", 48, "found `<f16`"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", 12, "not supported"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 12,
       "overflows"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 12,
       "malformed"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,3)}", 12,
       "more than 6 dimensions"},
  };
  Folder d = folder_make();
  char path[512], zeros[128] = {0};
  folder_file(&d, "x.npy", path);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    float out[4];
    RtErr e;
    MloField f = {.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {3}, .dim_name = {"N"}};
    write_npy(path, c[i].dict, zeros, c[i].n);
    assert_false(load1(path, f, out, &e));
    assert_int_equal(e.code, RT_DATA);
    assert_contains(e.text, path);
    assert_contains(e.text, c[i].message);
  }
  folder_remove(&d);
}

static void test_not_npy(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  float out[4];
  RtErr e;
  MloField f = {.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {3}};
  write_text(folder_file(&d, "x.npy", path), "hello, world");
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "not a .npy array");
  write_text(path, "\x93NUM");
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "truncated");
  write_bytes(path, "\x93NUMPY\x09\x00\x10\x00", 10);
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "version 1, 2 or 3, found 9");
  write_bytes(path, "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "header of at most 65536 bytes, found 4294967295");
  assert_false(load1(folder_file(&d, "absent.npy", path), f, out, &e));
  assert_contains(e.text, "No such file");
  assert_false(load1(d.path, f, out, &e));
  assert_contains(e.text, "ends in .npz, .npy, .csv, .csv.gz, .idx, -ubyte, .idx.gz");
  folder_remove(&d);
}

static void test_checks(void **state) {
  (void)state;
  static const struct {
    const char *descr;
    double value[2];
    MloField f;
    const char *message; /* NULL: accepted */
  } c[] = {
      {"f", {0, 1}, {.dtype = MLO_F32, .check = MLO_BOX, .lo = 0, .hi = 1}, NULL},
      {"f",
       {0, 1.5},
       {.dtype = MLO_F32, .check = MLO_BOX, .lo = 0, .hi = 1},
       "row 1: expected a value in box(0, 1), found 1.5"},
      {"f", {0, 0.1}, {.dtype = MLO_F32, .check = MLO_BOX, .lo = 0, .hi = 0.1}, NULL},
      {"f", {NAN, 1}, {.dtype = MLO_F32}, "row 0: expected a finite number, found nan"},
      {"f", {1, -INFINITY}, {.dtype = MLO_F64}, "row 1: expected a finite number, found -inf"},
      {"f",
       {1, 1e39},
       {.dtype = MLO_F32},
       "row 1: expected a number within the range of f32, found 1e+39"},
      {"f", {1, 1e10}, {.dtype = MLO_I32}, "row 1: expected an integer within the range of i32"},
      {"f", {1, 2.5}, {.dtype = MLO_I32}, "row 1: expected an integer (i32), found 2.5"},
      {"f", {1, 2}, {.dtype = MLO_BOOL}, "row 1: expected 0 or 1 (bool), found 2"},
      {"i",
       {0, 12},
       {.dtype = MLO_I32, .check = MLO_RANGE, .lo = 0, .hi = 10},
       "row 1: expected a value in range(0, 10), found 12"},
      {"i", {0, 10}, {.dtype = MLO_I32, .check = MLO_RANGE, .lo = 0, .hi = 10}, "found 10"},
      {"i", {0, 9}, {.dtype = MLO_I32, .check = MLO_RANGE, .lo = 0, .hi = 10}, NULL},
      {"i", {0, -1}, {.dtype = MLO_F32, .check = MLO_RANGE, .lo = 0, .hi = 10}, "found -1"},
      {"i", {0, 4294967296.0}, {.dtype = MLO_I32}, "within the range of i32, found 4294967296"},
  };
  Folder d = folder_make();
  char path[512];
  folder_file(&d, "x.npy", path);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    double out[2];
    int64_t ints[2] = {(int64_t)(*c[i].descr == 'i' ? c[i].value[0] : 0),
                       (int64_t)(*c[i].descr == 'i' ? c[i].value[1] : 0)};
    RtErr e;
    MloField f = c[i].f;
    f.name = "x";
    f.rank = 1;
    f.dim[0] = 2;
    write_npy(path,
              *c[i].descr == 'i' ? "{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}"
                                 : "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
              *c[i].descr == 'i' ? (const void *)ints : (const void *)c[i].value, 16);
    assert_int_equal(load1(path, f, out, &e), c[i].message == NULL);
    if (c[i].message) assert_contains(e.text, c[i].message);
  }
  folder_remove(&d);
}

/* An archive with entries of the given names, each a .npy of two floats, deflated or not. */
static void write_zip(const char *path, const char *const *name, int n, bool deflate) {
  char bytes[4][256];
  float data[2] = {1, 2};
  int code;
  zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  assert_non_null(z);
  for (int i = 0; i < n; i++) {
    size_t k =
        npy_bytes(bytes[i], "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", data, 8);
    zip_source_t *s = zip_source_buffer(z, bytes[i], k, 0);
    zip_int64_t at = zip_file_add(z, name[i], s, 0);
    assert_true(at >= 0);
    zip_set_file_compression(z, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  assert_int_equal(zip_close(z), 0);
}

static void test_npz(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  folder_file(&d, "a.npz", path);
  static const char *const names[] = {"x.npy", "y.npy", "note.txt"};
  for (int deflate = 0; deflate < 2; deflate++) {
    float out[4];
    RtErr e = {0};
    write_zip(path, names, 3, deflate);
    MloField f[] = {{.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {2}},
                    {.name = "y", .dtype = MLO_F32, .rank = 1, .dim = {2}, .offset = 8}};
    MloSource s = {.name = "s", .file = path, .nfield = 2, .field = f};
    assert_true(rt_load(&s, path, "", (unsigned char *)out, &e));
    assert_true(out[0] == 1 && out[1] == 2 && out[2] == 1 && out[3] == 2);
    f[1].name = "z";
    assert_false(rt_load(&s, path, "", (unsigned char *)out, &e));
    assert_contains(e.text, "expected an array `z`, found `x`, `y`");
  }
  folder_remove(&d);
}

static void test_damaged_npz(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  float out[2];
  size_t n;
  RtErr e;
  MloField f = {.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {2}};
  static const char *const names[] = {"x.npy", "y.npy"};
  write_zip(folder_file(&d, "a.npz", path), names, 2, false);
  char *bytes = read_bytes(path, &n);
  char *first = memmem(bytes, n, "\x00\x00\x80\x3f", 4); /* x[0] */
  assert_non_null(first);
  first[2] ^= 1;
  write_bytes(path, bytes, n);
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "damaged");
  for (char *p = bytes; (p = memmem(p, (size_t)(bytes + (ptrdiff_t)n - p), "y.npy", 5)); p++)
    *p = 'x';
  write_bytes(path, bytes, n);
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "the name stands twice");
  write_bytes(path, bytes, n / 2);
  assert_false(load1(path, f, out, &e));
  assert_contains(e.text, "cannot be read as a .npz archive");
  write_text(path, "");
  assert_false(load1(path, f, out, &e));
  free(bytes);
  folder_remove(&d);
}

static void test_probe(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  MloProbe p;
  MloProbeArray a;
  write_npy(folder_file(&d, "x.npy", path),
            "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 1)}", "0123456789abcdef", 16);
  assert_true(mlo_probe(path, &p));
  assert_true(mlo_probe_field(&p, "anything", 2, 1, &a));
  assert_true(a.dtype == MLO_I32 && a.rank == 2 && a.dim[0] == 2 && a.dim[1] == 1 && !a.problem);
  assert_false(mlo_probe_field(&p, "anything", 2, 2, &a));
  mlo_probe_free(&p);
  static const char *const names[] = {"x.npy", "sub/y.npy"};
  write_zip(folder_file(&d, "a.npz", path), names, 2, true);
  assert_true(mlo_probe(path, &p));
  assert_int_equal(p.n, 2);
  assert_true(mlo_probe_field(&p, "sub/y", 1, 5, &a));
  assert_true(a.dtype == MLO_F32 && a.rank == 1 && a.dim[0] == 2);
  assert_false(mlo_probe_field(&p, "y", 1, 5, &a));
  mlo_probe_free(&p);
  write_npy(folder_file(&d, "u.npy", path),
            "{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", "abcd", 4);
  assert_true(mlo_probe(path, &p));
  assert_contains(p.array[0].problem, "<U1");
  mlo_probe_free(&p);
  assert_false(mlo_probe("/nowhere/a.npz", &p));
  assert_contains(p.error, "/nowhere/a.npz: No such file");
  mlo_probe_free(&p);
  folder_remove(&d);
}

static void write_gzip(const char *path, const void *bytes, size_t n) {
  gzFile f = gzopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(gzwrite(f, bytes, (unsigned)n), (int)n);
  assert_int_equal(gzclose(f), Z_OK);
}

/* Three elements of each type: 1, -2 (254 where there is no sign), 0. */
static void test_idx_types(void **state) {
  (void)state;
  static const struct {
    unsigned char code, raw[24];
    size_t n;
    double second;
  } c[] = {
      {0x08, {1, 254, 0}, 3, 254},
      {0x09, {1, 254, 0}, 3, -2},
      {0x0b, {0, 1, 255, 254, 0, 0}, 6, -2},
      {0x0c, {0, 0, 0, 1, 255, 255, 255, 254}, 12, -2},
      {0x0d, {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0}, 12, -2},
      {0x0e, {0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0}, 24, -2},
  };
  Folder d = folder_make();
  char path[512], zipped[512];
  folder_file(&d, "x.idx", path);
  folder_file(&d, "x.idx.gz", zipped);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    unsigned char bytes[32] = {0, 0, c[i].code, 1, 0, 0, 0, 3};
    RtErr e;
    memcpy(bytes + 8, c[i].raw, c[i].n);
    write_bytes(path, bytes, 8 + c[i].n);
    write_gzip(zipped, bytes, 8 + c[i].n);
    for (int gzip = 0; gzip < 2; gzip++) {
      double out[3] = {9, 9, 9};
      int32_t ints[3];
      MloField f = {.name = "any", .dtype = MLO_F64, .rank = 1, .dim = {3}};
      assert_true(load1(gzip ? zipped : path, f, out, &e));
      assert_true(out[0] == 1 && out[1] == c[i].second && out[2] == 0);
      f.dtype = MLO_I32;
      assert_true(load1(gzip ? zipped : path, f, ints, &e));
      assert_true(ints[0] == 1 && ints[1] == c[i].second && ints[2] == 0);
    }
  }
  folder_remove(&d);
}

static void test_idx_names(void **state) {
  (void)state;
  static const char *const names[] = {"a.idx", "train-labels.idx1-ubyte", "t10k-images-idx3-ubyte",
                                      "a.idx.gz", "train-images-idx3-ubyte.gz"};
  static const unsigned char bytes[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 7, 0, 9, 3};
  Folder d = folder_make();
  char path[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    float out[4];
    RtErr e;
    MloProbe p;
    MloProbeArray a;
    MloField f = {.name = "x", .dtype = MLO_F32, .rank = 2, .dim = {2, 2}};
    folder_file(&d, names[i], path);
    if (strstr(path, ".gz"))
      write_gzip(path, bytes, sizeof bytes);
    else
      write_bytes(path, bytes, sizeof bytes);
    assert_true(load1(path, f, out, &e));
    assert_true(out[0] == 7 && out[1] == 0 && out[2] == 9 && out[3] == 3);
    assert_true(mlo_probe(path, &p));
    assert_true(mlo_probe_field(&p, "x", 2, 1, &a));
    assert_true(a.dtype == MLO_I32 && a.rank == 2 && a.dim[0] == 2 && a.dim[1] == 2 && !a.problem);
    assert_false(mlo_probe_field(&p, "x", 2, 2, &a));
    mlo_probe_free(&p);
    f.check = MLO_RANGE;
    f.hi = 9;
    assert_false(load1(path, f, out, &e));
    assert_contains(e.text, "row 1, column 0: expected a value in range(0, 9), found 9");
  }
  folder_remove(&d);
}

static void test_malformed_idx(void **state) {
  (void)state;
  static const struct {
    unsigned char bytes[40];
    size_t n;
    const char *message, *zipped; /* NULL: the same of a gzip file */
  } c[] = {
      {{0}, 0, "truncated", NULL},
      {{0, 0, 8}, 3, "truncated", NULL},
      {{1, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3}, 11, "expected the bytes \\x00\\x00", NULL},
      {{0, 0, 10, 1, 0, 0, 0, 3, 1, 2, 3}, 11, "IDX element type", NULL},
      {{0, 0, 8, 7}, 32, "more than 6 dimensions", NULL},
      {{0, 0, 8, 2, 0, 0, 0, 3}, 8, "truncated", NULL},
      {{0, 0, 8, 1, 0, 0, 0, 2, 1, 2}, 10, "expected shape [N = 3], found [2]", NULL},
      {{0, 0, 8, 0, 1}, 5, "expected shape [N = 3], found []", NULL},
      {{0, 0, 8, 1, 0, 0, 0, 3, 1, 2}, 10, "needs 3 bytes, found 2", "truncated"},
      {{0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4}, 12, "needs 3 bytes, found 4", "goes on after"},
      {{0, 0, 8, 1, 255, 255, 255, 255},
       8,
       "needs 4294967295 bytes",
       "more than the file can hold"},
      {{0, 0, 14, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
       16,
       "overflows",
       NULL},
  };
  Folder d = folder_make();
  char path[512], zipped[512];
  folder_file(&d, "x-ubyte", path);
  folder_file(&d, "x-ubyte.gz", zipped);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    float out[3];
    RtErr e;
    MloField f = {.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {3}, .dim_name = {"N"}};
    write_bytes(path, c[i].bytes, c[i].n);
    write_gzip(zipped, c[i].bytes, c[i].n);
    assert_false(load1(path, f, out, &e));
    assert_int_equal(e.code, RT_DATA);
    assert_contains(e.text, path);
    assert_contains(e.text, c[i].message);
    assert_false(load1(zipped, f, out, &e));
    assert_contains(e.text, c[i].zipped ? c[i].zipped : c[i].message);
  }
  folder_remove(&d);
}

/* Every truncation, and every changed byte of the checksum, is an error. */
static void test_damaged_idx_gzip(void **state) {
  (void)state;
  static const unsigned char bytes[] = {0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7};
  Folder d = folder_make();
  char path[512];
  float out[3];
  size_t n;
  RtErr e;
  MloField f = {.name = "x", .dtype = MLO_F32, .rank = 1, .dim = {3}};
  write_gzip(folder_file(&d, "x.idx.gz", path), bytes, sizeof bytes);
  char *whole = read_bytes(path, &n);
  for (size_t k = 0; k < n; k++) {
    write_bytes(path, whole, k);
    assert_false(load1(path, f, out, &e));
  }
  for (size_t k = n - 8; k < n; k++) {
    whole[k] ^= 1;
    write_bytes(path, whole, n);
    assert_false(load1(path, f, out, &e));
    assert_contains(e.text, "damaged");
    whole[k] ^= 1;
  }
  write_bytes(path, whole, n);
  assert_true(load1(path, f, out, &e));
  free(whole);
  folder_remove(&d);
}

static void test_writer(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  RtErr e = {0};
  size_t n, m;
  double arena[8] = {1, 2, 3, 4, 5, 6, 7.5}, back[8] = {0};
  MloArray a[] = {{.name = "fit.w", .dtype = MLO_F64, .rank = 2, .dim = {2, 3}},
                  {.name = "tune.rho", .dtype = MLO_F64, .offset = 48},
                  {.name = "none", .dtype = MLO_F32, .rank = 1}};
  folder_file(&d, "final.npz", path);
  assert_true(rt_write_npz(path, a, 3, (unsigned char *)arena, &e));
  char *first = read_bytes(path, &n);
  assert_true(n <= rt_npz_bytes(a, 3));
  assert_true(rt_write_npz(path, a, 3, (unsigned char *)arena, &e));
  char *second = read_bytes(path, &m);
  assert_true(n == m && memcmp(first, second, n) == 0);
  free(first);
  free(second);
  MloField f[] = {{.name = "fit.w", .dtype = MLO_F64, .rank = 2, .dim = {2, 3}},
                  {.name = "tune.rho", .dtype = MLO_F64, .offset = 48},
                  {.name = "none", .dtype = MLO_F32, .rank = 1}};
  MloSource s = {.name = "s", .file = path, .nfield = 3, .field = f};
  assert_true(rt_load(&s, path, "", (unsigned char *)back, &e));
  assert_memory_equal(arena, back, 56);
  assert_false(rt_write_npz("/nowhere/final.npz", a, 3, (unsigned char *)arena, &e));
  assert_contains(e.text, "/nowhere/final.npz: cannot be written");
  e = (RtErr){0};
  assert_false(rt_write_file("/nowhere/x", "x", 1, &e));
  assert_contains(e.text, "No such file");
  folder_remove(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_fortran_order),
      cmocka_unit_test(test_malformed_headers),
      cmocka_unit_test(test_not_npy),
      cmocka_unit_test(test_checks),
      cmocka_unit_test(test_npz),
      cmocka_unit_test(test_damaged_npz),
      cmocka_unit_test(test_probe),
      cmocka_unit_test(test_idx_types),
      cmocka_unit_test(test_idx_names),
      cmocka_unit_test(test_malformed_idx),
      cmocka_unit_test(test_damaged_idx_gzip),
      cmocka_unit_test(test_writer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
