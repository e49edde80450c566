/* The emulated CUDA stack through its entry points: right kernels are clean and right in all
 * orders, broken ones are caught; graphs, captures, products, and the errors that a program must
 * handle. */

#include "tests/unit/test_files.h"

#include "tests/emulator/driver.h"
#include "tests/emulator/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const orders[] = {"forward", "reverse", "random"};

static double value(int i) { return sin(1 + 3 * i); }

static void sum_body(const void *text) {
  Driver d;
  float x[4096], out = 0, want = 0;
  double s = 0;
  driver_open(&d);
  for (int i = 0; i < 4096; i++) s += x[i] = (float)value(i);
  want = (float)s;
  CUfunction f = driver_function(&d, driver_compile(&d, text, "sum"), "sum");
  unsigned zero = 0;
  CUdeviceptr dx = driver_buffer(&d, x, sizeof x), partial = driver_buffer(&d, NULL, 32),
              ticket = driver_buffer(&d, &zero, 4), dout = driver_buffer(&d, NULL, 4);
  void *arguments[] = {&dx, &partial, &ticket, &dout};
  for (int i = 0; i < 2; i++) {
    NEED(d.cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, NULL, arguments, NULL) == CUDA_SUCCESS);
    NEED(d.cuMemcpyDtoH_v2(&out, dout, 4) == CUDA_SUCCESS);
    NEED(fabsf(out - want) < 1e-4f);
  }
}

static void expect_clean(void (*body)(const void *), const void *data) {
  char said[4096];
  for (int o = 0; o < 3; o++) {
    int status = scene_run(&(Scene){{{"MLO_EMU_ORDER", orders[o]}}, body, data}, said, sizeof said);
    assert_string_equal(said, "");
    assert_int_equal(status, 0);
  }
}

static void test_sum(void **state) {
  (void)state;
  expect_clean(sum_body, SUM);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sum)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
