/* Occupancy against values of NVIDIA's cuda_occupancy.h (CUDA 13.0), taken with as much shared
   memory as a multiprocessor can have. */
#include "test_files.h"

#include "codegen/arch.h"

#include <math.h>

typedef struct Case {
  int threads, registers, shared;
} Case;

enum { NCASE = 12 };
static const Case cases[NCASE] = {{256, 32, 0},      {256, 33, 0},    {256, 64, 2048},
                                  {256, 65, 2048},   {1024, 64, 0},   {1024, 63, 4096},
                                  {32, 16, 0},       {128, 255, 0},   {96, 48, 10000},
                                  {512, 128, 49152}, {64, 40, 16384}, {256, 16, 24576}};

typedef struct Expected {
  const char *arch;
  int blocks[NCASE]; /* of a multiprocessor */
} Expected;

static const Expected expected[] = {
    {"sm_75", {4, 4, 4, 3, 1, 1, 16, 2, 6, 1, 4, 2}},
    {"sm_80", {8, 6, 4, 3, 1, 1, 32, 2, 13, 1, 9, 6}},
    {"sm_86", {6, 6, 4, 3, 1, 1, 16, 2, 9, 1, 5, 4}},
    {"sm_89", {6, 6, 4, 3, 1, 1, 24, 2, 9, 1, 5, 4}},
    {"sm_90", {8, 6, 4, 3, 1, 1, 32, 2, 13, 1, 13, 8}},
    {"sm_100", {8, 6, 4, 3, 1, 1, 32, 2, 13, 1, 13, 8}},
    {"sm_120", {6, 6, 4, 3, 1, 1, 24, 2, 9, 1, 5, 4}},
};

static void values_of_nvidia(void **state) {
  (void)state;
  int n = 0;
  for (; arch_at(n); n++) {
    const Arch *a = arch_at(n);
    assert_string_equal(a->name, expected[n].arch);
    assert_ptr_equal(arch_find(a->name), a);
    assert_true(a->bandwidth > 1e11 && a->f32 > a->f64 && a->f64 > 1e11 && a->processors > 0 &&
                a->bf16 >= a->tf32 && a->tf32 >= a->f32);
    for (int i = 0; i < NCASE; i++) {
      const Case *c = &cases[i];
      Occupancy o = occupancy(a, c->threads, c->registers, c->shared);
      assert_int_equal(o.blocks, expected[n].blocks[i]);
      double warps = (double)o.blocks * c->threads / a->threads; /* cases have whole warps */
      assert_true(fabs(o.part - warps) < 1e-12 && o.part > 0 && o.part <= 1);
    }
  }
  assert_int_equal(n, sizeof expected / sizeof *expected);
  assert_null(arch_at(-1));
  assert_null(arch_find("sm_20"));
}

static void limits(void **state) {
  (void)state;
  const Arch *a = arch_find("sm_90");
  assert_int_equal(occupancy(a, 256, 16, 0).limit, LIMIT_THREADS);
  assert_int_equal(occupancy(a, 32, 16, 0).limit, LIMIT_BLOCKS);
  assert_int_equal(occupancy(a, 256, 128, 0).limit, LIMIT_REGISTERS);
  assert_int_equal(occupancy(a, 256, 16, 40000).limit, LIMIT_SHARED);
  assert_string_equal(limit_name(LIMIT_SHARED), "shared memory");
  /* What cannot be launched. */
  assert_int_equal(occupancy(a, 1025, 16, 0).blocks, 0);
  assert_int_equal(occupancy(a, 1024, 65, 0).blocks, 0);
  assert_int_equal(occupancy(a, 256, 256, 0).blocks, 0);
  assert_int_equal(occupancy(a, 256, 16, 48 * 1024 + 1).blocks, 0);
  assert_true(occupancy(a, 256, 256, 0).part == 0);
  /* A part of a warp counts as one. */
  assert_int_equal(occupancy(a, 33, 16, 0).blocks, 32);
  assert_true(occupancy(a, 33, 16, 0).part == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(values_of_nvidia), cmocka_unit_test(limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
