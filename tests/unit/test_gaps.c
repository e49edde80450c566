/* What of the arena is not data: with the data, all of it, each byte once. */
#include "test_files.h"

#include "runtime/gaps.h"

static void test_between(void **state) {
  (void)state;
  const MloField late[] = {
      {.name = "y", .dtype = MLO_I32, .rank = 1, .dim = {5}, .offset = 640},
      {.name = "x", .dtype = MLO_F64, .rank = 2, .dim = {5, 3}, .offset = 512},
      {.name = "none", .dtype = MLO_F32, .rank = 1, .dim = {0}, .offset = 576}};
  const MloField early = {.name = "one", .dtype = MLO_BOOL, .rank = 0, .offset = 64};
  const MloPart part[] = {{.offset = 128, .count = 3}, {.offset = 140, .count = 2}};
  const MloSource source[] = {
      {.name = "late", .nfield = 3, .field = late},
      {.name = "early", .nfield = 1, .field = &early, .npart = 2, .part = part}};
  const MloProgram p = {.arena_bytes = 1000, .nsource = 2, .data = source};
  static const RtGap want[] = {{0, 64}, {65, 63}, {148, 364}, {632, 8}, {660, 340}};
  RtErr e = {0};
  int n;
  RtGap *gap = rt_gaps(&p, &n, &e);
  assert_non_null(gap);
  assert_int_equal(n, 5);
  for (int i = 0; i < n; i++) {
    assert_int_equal(gap[i].at, want[i].at);
    assert_int_equal(gap[i].n, want[i].n);
  }
  free(gap);
}

/* Nothing but data, and no data. */
static void test_ends(void **state) {
  (void)state;
  const MloField all = {.name = "x", .dtype = MLO_F64, .rank = 1, .dim = {8}, .offset = 0};
  const MloSource source = {.name = "s", .nfield = 1, .field = &all};
  MloProgram p = {.arena_bytes = 64, .nsource = 1, .data = &source};
  RtErr e = {0};
  int n;
  RtGap *gap = rt_gaps(&p, &n, &e);
  assert_true(gap && n == 0);
  free(gap);
  p.nsource = 0;
  gap = rt_gaps(&p, &n, &e);
  assert_true(gap && n == 1 && gap[0].at == 0 && gap[0].n == 64);
  free(gap);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_between), cmocka_unit_test(test_ends)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
