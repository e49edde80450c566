/* Tables of text: columns by name and by number, quotes, line ends, compressed files, and wrong
 * ones. */

#include "test_files.h"

#include "runtime/data.h"

#include <zlib.h>

static bool load(const char *path, MloField *f, int n, void *dest, RtErr *e) {
  MloSource s = {.name = "s", .file = path, .nfield = n, .field = f};
  *e = (RtErr){0};
  return rt_load(&s, path, "", dest, e);
}

static void test_by_name(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  RtErr e;
  struct {
    float x[3][2];
    int32_t y[3];
    float z[3];
  } out;
  MloField f[] = {{.name = "x", .dtype = MLO_F32, .rank = 2, .dim = {3, 2}},
                  {.name = "y",
                   .dtype = MLO_I32,
                   .rank = 1,
                   .dim = {3},
                   .offset = 24,
                   .check = MLO_RANGE,
                   .lo = 0,
                   .hi = 3},
                  {.name = "z", .dtype = MLO_F32, .rank = 1, .dim = {3}, .offset = 36}};
  static const char *const text[] = {
      "x0,y,name,x1,z\n1,0,a,2,0.5\n3,1,b,4,1e-3\n5,2.0,c,6,-7\n",
      "\xef\xbb\xbfz , y,\"x_1\",x_0,name\r\n.5,0, "
      "2,1,\"a,\"\"b\"\r\n\r\n1e-3,1,4,3,\r\n-7,2,6,5,\"x\ny\"",
  };
  folder_file(&d, "a.csv", path);
  for (int i = 0; i < 2; i++) {
    write_text(path, text[i]);
    memset(&out, 0, sizeof out);
    assert_true(load(path, f, 3, &out, &e));
    for (int k = 0; k < 6; k++) assert_true(out.x[k / 2][k % 2] == (float)(k + 1));
    assert_true(out.y[0] == 0 && out.y[1] == 1 && out.y[2] == 2);
    assert_true(out.z[0] == 0.5f && out.z[1] == 1e-3f && out.z[2] == -7);
  }
  folder_remove(&d);
}

static void test_all_columns(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  RtErr e;
  double out[6];
  MloField f = {.name = "x", .dtype = MLO_F64, .rank = 2, .dim = {2, 3}};
  write_text(folder_file(&d, "a.csv", path), "1,2,3\n4,5,6\n");
  assert_true(load(path, &f, 1, out, &e));
  for (int k = 0; k < 6; k++) assert_true(out[k] == k + 1);
  write_text(path, "p,q,r\n1,2,3\n4,5,6\n");
  assert_true(load(path, &f, 1, out, &e));
  f.dim[1] = 2;
  assert_false(load(path, &f, 1, out, &e));
  assert_contains(e.text, "array `x`: expected 2 columns, found 3");
  MloField one = {.name = "v", .dtype = MLO_F64, .rank = 1, .dim = {2}};
  write_text(path, "true\nFALSE\n");
  assert_true(load(path, &one, 1, out, &e));
  assert_true(out[0] == 1 && out[1] == 0);
  folder_remove(&d);
}

static void test_compressed(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  RtErr e;
  size_t n;
  double *out = calloc(20000, sizeof *out);
  MloField f = {.name = "v", .dtype = MLO_F64, .rank = 1, .dim = {20000}};
  gzFile z = gzopen(folder_file(&d, "a.csv.gz", path), "wb");
  assert_non_null(z);
  gzprintf(z, "v\n");
  for (int i = 0; i < 20000; i++) gzprintf(z, "%d.25\n", i);
  gzclose(z);
  assert_true(load(path, &f, 1, out, &e));
  for (int i = 0; i < 20000; i++) assert_true(out[i] == i + 0.25);
  char *bytes = read_bytes(path, &n);
  write_bytes(path, bytes, n / 2);
  assert_false(load(path, &f, 1, out, &e));
  assert_contains(e.text, "truncated");
  free(bytes);
  free(out);
  folder_remove(&d);
}

static void test_wrong_tables(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } c[] = {
      {"", "the table is empty"},
      {"v\n1\n", "expected 2 rows, found 1"},
      {"v\n1\n2\n3\n", "expected 2 rows, found more"},
      {"v\n1\nabc\n", "row 1 (line 3): expected a number, found `abc`"},
      {"v,w\n1,2\n,3\n", "row 1 (line 3): expected a number, found an empty cell"},
      {"v,w\n1,2\n3\n", "line 3: expected 2 cells, found 1"},
      {"v,w\n1,2\n3,4,5\n", "line 3: expected 2 cells, found 3"},
      {"w,u\n1,2\n3,4\n", "array `v`: no such column"},
      {"1,2\n3,4\n", "no such column (the file has no header row)"},
      {"v,v\n1,2\n3,4\n", "column `v`: the name stands twice"},
      {"v\n1\n\"2\n", "a quote that never ends"},
      {"v\n1\n0x10\n", "expected a number, found `0x10`"},
      {"v\n1\nnan\n", "expected a finite number, found nan"},
      {"v\n1\n1e999\n", "expected a finite number, found inf"},
      {"v\n1\n99999999999999999999\n", "within the range of i32"},
      {"v\n1\n2.5\n", "expected an integer (i32), found 2.5"},
  };
  Folder d = folder_make();
  char path[512];
  int32_t out[2];
  RtErr e;
  MloField f = {.name = "v", .dtype = MLO_I32, .rank = 1, .dim = {2}};
  folder_file(&d, "a.csv", path);
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    write_text(path, c[i].text);
    assert_false(load(path, &f, 1, out, &e));
    assert_contains(e.text, path);
    assert_contains(e.text, c[i].message);
  }
  write_bytes(path, "v\n1\n\0\n", 6);
  assert_false(load(path, &f, 1, out, &e));
  assert_contains(e.text, "not a text file");
  MloField matrix = {.name = "x", .dtype = MLO_F32, .rank = 2, .dim = {1, 2}};
  write_text(path, "x0,x2,y\n1,2,3\n"); /* x1 is missing: x is not one column wide */
  assert_false(load(path, &matrix, 1, out, &e));
  folder_remove(&d);
}

static void test_probe(void **state) {
  (void)state;
  Folder d = folder_make();
  char path[512];
  MloProbe p;
  MloProbeArray a;
  write_text(folder_file(&d, "a.csv", path), "x0,x1,y,name\n1,2.5,0,a\n3,4,1,b\n\n5,6,0,c\n");
  assert_true(mlo_probe(path, &p));
  assert_int_equal(p.n, 4);
  assert_true(mlo_probe_field(&p, "x", 2, 2, &a));
  assert_true(a.rank == 2 && a.dim[0] == 3 && a.dim[1] == 2 && a.dtype == MLO_F64 && !a.problem);
  assert_true(mlo_probe_field(&p, "y", 1, 2, &a));
  assert_true(a.rank == 1 && a.dim[0] == 3 && a.dtype == MLO_I32);
  assert_true(mlo_probe_field(&p, "name", 1, 2, &a));
  assert_contains(a.problem, "not numbers");
  assert_false(mlo_probe_field(&p, "z", 1, 2, &a));
  assert_true(mlo_probe_field(&p, "z", 2, 1, &a)); /* all columns */
  assert_int_equal(a.dim[1], 4);
  assert_non_null(a.problem);
  mlo_probe_free(&p);
  folder_remove(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_name),    cmocka_unit_test(test_all_columns),
      cmocka_unit_test(test_compressed), cmocka_unit_test(test_wrong_tables),
      cmocka_unit_test(test_probe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
