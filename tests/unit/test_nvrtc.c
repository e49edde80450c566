/* NVRTC is found, compiles and explains itself; where it is not installed, only that it is missed
   in words. */
#include "test_files.h"

#include "runtime/cuda_open.h"
#include "runtime/nvrtc.h"

#include <dlfcn.h>
#include <stdlib.h>

static const char axpy[] =
    "extern \"C\" __global__ void __launch_bounds__(256) axpy(const float *x, float *y) {\n"
    "  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);\n"
    "  y[i] = 2.0f * x[i] + y[i];\n"
    "}\n";

/* NVRTC, or the test is skipped. */
static RtNvrtc *nvrtc(void) {
  RtErr e = {0};
  RtNvrtc *n = rt_nvrtc_open(&e);
  if (!n) {
    print_message("skipped: %s\n", e.text);
    skip();
  }
  return n;
}

static void images_of_each_kind(void **state) {
  (void)state;
  RtErr e = {0};
  RtImage i;
  RtNvrtc *n = nvrtc();
  assert_true(rt_nvrtc_version(n) >= 11000 && rt_nvrtc_version(n) < 100000);
  assert_true(rt_nvrtc_compile(n, axpy, "axpy.cu", "sm_90", &i, &e));
  assert_true(i.n > 64 && !memcmp(i.byte, "\177ELF", 4));
  assert_non_null(i.log);
  assert_non_null(strstr(i.log, "0 bytes spill stores"));
  rt_image_free(&i);
  assert_null(i.byte);
  assert_true(rt_nvrtc_compile(n, axpy, "axpy.cu", "compute_90", &i, &e));
  assert_int_equal(i.byte[i.n - 1], 0);
  assert_int_equal(strlen((char *)i.byte), i.n - 1);
  assert_non_null(strstr((char *)i.byte, ".entry axpy"));
  assert_non_null(strstr((char *)i.byte, "fma.rn.f32")); /* contracts */
  rt_image_free(&i);
  rt_nvrtc_close(n);
}

/* What does not compile is named, with the compiler's own words and the source's lines. */
static void errors_in_words(void **state) {
  (void)state;
  RtErr e = {0}, arch = {0};
  RtImage i;
  RtNvrtc *n = nvrtc();
  assert_false(rt_nvrtc_compile(n, "#line 7 \"p.mlo\"\nint f(void) { return nothing; }", "p.cu",
                                "sm_90", &i, &e));
  assert_int_equal(e.code, RT_DEVICE);
  assert_non_null(strstr(e.text, "p.cu does not compile for sm_90"));
  assert_non_null(strstr(e.text, "p.mlo(7): error: identifier \"nothing\" is undefined"));
  assert_true(!i.byte && !i.log && !i.n);
  assert_false(rt_nvrtc_compile(n, axpy, "axpy.cu", "sm_20", &i, &arch));
  assert_int_equal(arch.code, RT_DEVICE);
  assert_non_null(strstr(arch.text, "axpy.cu does not compile for sm_20"));
  assert_non_null(strstr(arch.text, "--gpu-architecture"));
  rt_nvrtc_close(n);
}

static const char *const no_soname[] = {"libmlo-nobody-has-this.so.1", NULL};

static void nowhere(void **state) {
  (void)state;
  RtErr e = {0}, gone = {0}, broken = {0};
  char path[512];
  unsetenv("MLO_CUDA_PATH");
  setenv("CUDA_HOME", "/opt/some cuda", 1);
  assert_null(rt_cuda_open("nothing", no_soname, &e));
  assert_int_equal(e.code, RT_DEVICE);
  assert_non_null(strstr(e.text, "cannot find nothing: no libmlo-nobody-has-this.so.1 in "));
  assert_non_null(strstr(e.text, "/usr/local/cuda/lib64, /opt/some cuda/lib64; MLO_CUDA_PATH"));
  unsetenv("CUDA_HOME");

  setenv("MLO_CUDA_PATH", "/nonexistent", 1);
  assert_null(rt_nvrtc_open(&gone));
  assert_int_equal(gone.code, RT_DEVICE);
  assert_non_null(strstr(gone.text, "MLO_CUDA_PATH is /nonexistent, which is no folder"));

  /* A file that is no library is not passed over for another one elsewhere. */
  Folder folder = folder_make();
  write_text(folder_file(&folder, "libnvrtc.so.13", path), "no library");
  setenv("MLO_CUDA_PATH", folder.path, 1);
  assert_null(rt_nvrtc_open(&broken));
  assert_int_equal(broken.code, RT_DEVICE);
  assert_non_null(strstr(broken.text, path));
  folder_remove(&folder);
  unsetenv("MLO_CUDA_PATH");
}

/* A library that is not the one it is taken for. */
static void functions(void **state) {
  (void)state;
  RtErr e = {0};
  static const char *const libm[] = {"libm.so.6", NULL};
  double (*cosine)(double) = NULL;
  void *library = rt_cuda_open("the library of mathematics", libm, &e);
  assert_non_null(library);
  assert_true(rt_cuda_symbol(library, "libm", "cos", &cosine, &e));
  assert_true(cosine(0) == 1);
  assert_false(rt_cuda_symbol(library, "libm", "nvrtcVersion", &cosine, &e));
  assert_string_equal(e.text, "libm has no function nvrtcVersion: is it too old?");
  dlclose(library);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(images_of_each_kind),
                                     cmocka_unit_test(errors_in_words), cmocka_unit_test(nowhere),
                                     cmocka_unit_test(functions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
