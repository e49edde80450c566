/* What is read from cubins: of NVRTC's where it is installed, of one made by hand anywhere; damaged
   ones give errors. */
#include "test_files.h"

#include "codegen/cubin.h"
#include "codegen/spans.h"
#include "runtime/nvrtc.h"
#include "support/made_cubin.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>

static void by_hand(void **state) {
  (void)state;
  Arena *a = arena_new();
  MadeCubin m = made_cubin();
  CubinKernel *k;
  int n;
  const char *error;
  assert_true(cubin_read(a, m.byte, sizeof m.byte, made_cubin_log, &k, &n, &error));
  assert_int_equal(n, 2);
  assert_string_equal(k[0].name, "tight");
  assert_int_equal(k[0].registers, 12);
  assert_int_equal(k[0].stack_frame + k[0].shared + k[0].code + k[0].local, 0);
  assert_true(cubin_is_tight(&k[0]) && !k[0].trig64);
  assert_string_equal(k[1].name, "loose");
  assert_int_equal(k[1].registers, 34);
  assert_int_equal(k[1].stack_frame, 40);
  assert_int_equal(k[1].local, 40);
  assert_int_equal(k[1].shared, 256);
  assert_int_equal(k[1].code, 384);
  assert_int_equal(k[1].spill_stores, 9); /* with those of what it calls */
  assert_int_equal(k[1].spill_loads, 14);
  assert_true(k[1].trig64 && !cubin_is_tight(&k[1]));
  /* Without the log, spills are not known; the array of the reduction is allowed, a larger is not.
   */
  assert_true(cubin_read(a, m.byte, sizeof m.byte, NULL, &k, &n, &error));
  assert_int_equal(k[1].spill_stores, -1);
  assert_true(cubin_is_tight(&k[1]));
  k[1].stack_frame = 48;
  assert_false(cubin_is_tight(&k[1]));
  arena_free(a);
}

/* ---- damage */

/* Reads an image from memory of its own size, so that a sanitizer sees every byte too far. */
static bool read_exact(const unsigned char *image, size_t n) {
  Arena *a = arena_new();
  unsigned char *own = malloc(n ? n : 1);
  CubinKernel *k;
  int nk;
  const char *error = NULL;
  assert_non_null(own);
  memcpy(own, image, n);
  bool ok = cubin_read(a, own, n, made_cubin_log, &k, &nk, &error);
  assert_true(ok || (error && *error && !k && !nk));
  free(own);
  arena_free(a);
  return ok;
}

static void damaged(void **state) {
  (void)state;
  MadeCubin m = made_cubin();
  uint32_t random = 1;
  assert_false(read_exact((const unsigned char *)"no cubin at all", 15));
  for (size_t n = 0; n < sizeof m.byte; n += n < 700 ? 1 : 13) read_exact(m.byte, n);
  assert_false(read_exact(m.byte, 512));
  m.byte[EI_CLASS] = ELFCLASS32;
  assert_false(read_exact(m.byte, sizeof m.byte));
  for (int round = 0; round < 20000; round++) {
    m = made_cubin();
    for (int i = 0; i < 3; i++) {
      random = random * 1664525u + 1013904223u;
      uint32_t at = (random >> 8) % sizeof m.byte;
      static const unsigned char value[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
      m.byte[round % 2 ? at : at % 700] = value[random % sizeof value];
    }
    read_exact(m.byte, sizeof m.byte);
  }
}

/* ---- of the real compiler */

static const char kernels[] =
    "#define KERNEL extern \"C\" __global__ void __launch_bounds__(256)\n"
    "KERNEL axpy(const float *x, float *y) { y[threadIdx.x] += 2.0f * x[threadIdx.x]; }\n"
    "KERNEL share(const double *x, double *y) {\n"
    "  __shared__ double s[256];\n"
    "  s[threadIdx.x] = x[threadIdx.x];\n"
    "  __syncthreads();\n"
    "  y[threadIdx.x] = s[255 - threadIdx.x];\n"
    "}\n"
    "KERNEL angle(const double *x, double *y) { y[threadIdx.x] = sin(x[threadIdx.x]); }\n"
    "extern \"C\" __global__ void __launch_bounds__(1024) full(const float *x, float *y) {\n"
    "  float a[96], s = 0;\n"
    "#pragma unroll\n"
    "  for (int i = 0; i < 96; i++) a[i] = x[1024 * i + threadIdx.x];\n"
    "  __syncthreads();\n"
    "#pragma unroll\n"
    "  for (int i = 0; i < 96; i++) s += a[i] * a[(7 * i + 5) % 96];\n"
    "#pragma unroll\n"
    "  for (int i = 0; i < 96; i++) y[1024 * i + threadIdx.x] = a[i] * s;\n"
    "}\n";

static const CubinKernel *named(const CubinKernel *k, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (!strcmp(k[i].name, name)) return &k[i];
  fail_msg("no kernel %s", name);
  return NULL;
}

static void check_compiled(RtNvrtc *nvrtc, const char *arch) {
  Arena *a = arena_new();
  RtErr e = {0};
  RtImage i;
  CubinKernel *k;
  int n;
  const char *error = "";
  if (!rt_nvrtc_compile(nvrtc, kernels, "kernels.cu", arch, &i, &e)) fail_msg("%s", e.text);
  if (!cubin_read(a, i.byte, i.n, i.log, &k, &n, &error)) fail_msg("%s: %s", arch, error);
  assert_int_equal(n, 4);
  const CubinKernel *axpy = named(k, n, "axpy"), *share = named(k, n, "share");
  const CubinKernel *angle = named(k, n, "angle"), *full = named(k, n, "full");
  assert_true(cubin_is_tight(axpy) && cubin_is_tight(share) && cubin_is_tight(angle));
  assert_true(axpy->registers >= 4 && axpy->registers <= 32);
  assert_int_equal(axpy->shared, 0);
  assert_int_equal(share->shared, 256 * 8);
  assert_true(axpy->code > 0 && axpy->code % 128 == 0);
  assert_true(angle->trig64);
  assert_int_equal(angle->stack_frame, CUBIN_TRIG_FRAME);
  assert_true(full->spill_stores > 0 && full->spill_loads > 0 && full->registers <= 64);
  assert_false(cubin_is_tight(full));
  rt_image_free(&i);
  arena_free(a);
}

static void compiled(void **state) {
  (void)state;
  static const char *const arch[] = {"sm_75", "sm_80",  "sm_86", "sm_89",
                                     "sm_90", "sm_100", "sm_120"};
  RtErr e = {0};
  RtNvrtc *n = rt_nvrtc_open(&e);
  if (!n) {
    print_message("skipped: %s\n", e.text);
    skip();
  }
  for (size_t i = 0; i < sizeof arch / sizeof *arch; i++) check_compiled(n, arch[i]);
  rt_nvrtc_close(n);
}

/* Lines of a source that begins and ends with empty ones. */
static void empty_lines(void **state) {
  (void)state;
  Arena *a = arena_new();
  Lines l = cg_find_lines(a, "\n\na\n");
  assert_int_equal(l.n, 4);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(l.start[i], i);
  assert_int_equal(l.start[3], 4);
  assert_int_equal(cg_find_lines(a, NULL).n, 0);
  assert_int_equal(cg_find_lines(a, "").n, 1);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(damaged),
                                     cmocka_unit_test(compiled), cmocka_unit_test(empty_lines)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
