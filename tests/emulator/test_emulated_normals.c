/* Normal numbers on the emulated device, whose NVRTC may contract a * b + c or not: the bits that
   the runtime's headers give here, and in a sum with them, too. */
#include "tests/unit/test_files.h"

#include "codegen/device_text.h"
#include "runtime/mlo_random.h"
#include "tests/emulator/driver.h"

enum { BLOCKS = 40, BLOCK = 256, N = BLOCKS * BLOCK };

static const char kernel[] = "MLO_KERNEL fill(float *x, double *z) {\n"
                             "  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);\n"
                             "  x[i] += mlo_normalf(3u, 5u, 7, (uint64_t)i);\n"
                             "  z[i] += mlo_normal(3u, 5u, 7, (uint64_t)i);\n"
                             "}\n"
                             "MLO_KERNEL contract(float *x) {\n"
                             "  x[3] = x[0] * x[1] + x[2];\n"
                             "}\n";

/* Whether the device contracts (1 + 2^-23)^2 - (1 + 2^-22), where this processor has fma: rounded
   first, the square is 1 + 2^-22. */
static void contract(const Driver *d, CUmodule m, bool may) {
  float x[] = {1 + 0x1p-23f, 1 + 0x1p-23f, -1 - 0x1p-22f, 0};
  CUdeviceptr at = driver_buffer(d, x, sizeof x);
  void *argument[] = {&at};
  NEED(d->cuLaunchKernel(driver_function(d, m, "contract"), 1, 1, 1, 1, 1, 1, 0, NULL, argument,
                         NULL) == CUDA_SUCCESS);
  NEED(d->cuMemcpyDtoH_v2(x, at, sizeof x) == CUDA_SUCCESS);
  may = may && __builtin_cpu_supports("fma"); /* the emulator is x86-64's */
  NEED(x[3] == (may ? 0x1p-46f : 0));
}

static void body(const void *option) {
  static char text[1 << 17];
  static float x[N], sum_x[N];
  static double z[N], sum_z[N];
  Driver d;
  for (int i = 0; i < N; i++) { /* the first half: nothing but the numbers */
    x[i] = i < N / 2 ? 0 : mlo_uniformf(3, 8, 0, (uint64_t)i);
    z[i] = i < N / 2 ? 0 : mlo_uniform(3, 8, 0, (uint64_t)i);
    volatile float y = mlo_normalf(3, 5, 7, (uint64_t)i);
    volatile double w = mlo_normal(3, 5, 7, (uint64_t)i);
    sum_x[i] = x[i] + y;
    sum_z[i] = z[i] + w;
  }
  const char *const part[] = {cg_mlo_device, cg_mlo_math64, cg_mlo_math,
                              cg_mlo_normal, cg_mlo_random, kernel};
  for (int i = 0; i < 6; i++) {
    NEED(strlen(text) + strlen(part[i]) < sizeof text);
    strcat(text, part[i]);
  }
  driver_open(&d);
  CUmodule m = driver_compile_with(&d, text, "normals", option);
  CUfunction f = driver_function(&d, m, "fill");
  CUdeviceptr at[] = {driver_buffer(&d, x, sizeof x), driver_buffer(&d, z, sizeof z)};
  void *argument[] = {&at[0], &at[1]};
  NEED(d.cuLaunchKernel(f, BLOCKS, 1, 1, BLOCK, 1, 1, 0, NULL, argument, NULL) == CUDA_SUCCESS);
  NEED(d.cuMemcpyDtoH_v2(x, at[0], sizeof x) == CUDA_SUCCESS);
  NEED(d.cuMemcpyDtoH_v2(z, at[1], sizeof z) == CUDA_SUCCESS);
  NEED(!memcmp(x, sum_x, sizeof x) && !memcmp(z, sum_z, sizeof z));
  contract(&d, m, !strcmp(option, "--fmad=true"));
}

static void same_bits(void **state) {
  (void)state;
  static const char *const option[] = {"--fmad=true", "--fmad=false"};
  for (int i = 0; i < 2; i++) {
    char said[4096];
    const Scene s = {.body = body, .data = option[i]};
    if (scene_run(&s, said, sizeof said)) fail_msg("%s: %s", option[i], said);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
