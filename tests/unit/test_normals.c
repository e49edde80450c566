/* Normal numbers have the same bits whatever compiles them (runtime/mlo_normal.h): each C compiler
   that is here, for processors with and without FMA, with contraction of a * b + c allowed and not,
   scalar and in vectors; NVRTC, where it is installed, finds nothing to contract. */
#include "test_files.h"

#include "codegen/device_text.h"
#include "runtime/cpu.h"
#include "runtime/cuda_open.h"
#include "runtime/mlo_random.h"
#include "runtime/nvrtc.h"
#include "tests/emulator/nvrtc_api.h"

#include <dlfcn.h>
#include <stdbool.h>

enum { N = 50000 };

/* Of sums with a normal number each: its last product must not become part of them. */
typedef struct Numbers {
  float x[N], sum_x[N];
  double z[N], sum_z[N];
} Numbers;

static const char text[] =
    "#include \"runtime/mlo_random.h\"\n"
    "void fill(int n, float *restrict x, float *restrict sum_x, double *restrict z,\n"
    "          double *restrict sum_z);\n"
    "void fill(int n, float *restrict x, float *restrict sum_x, double *restrict z,\n"
    "          double *restrict sum_z) {\n"
    "#pragma omp simd\n"
    "  for (int i = 0; i < n; i++) x[i] = mlo_normalf(3u, 5u, 7, (uint64_t)i);\n"
    "#pragma omp simd\n"
    "  for (int i = 0; i < n; i++) z[i] = mlo_normal(3u, 5u, 7, (uint64_t)i);\n"
    "#pragma omp simd\n"
    "  for (int i = 0; i < n; i++) sum_x[i] += mlo_normalf(3u, 6u, 7, (uint64_t)i);\n"
    "#pragma omp simd\n"
    "  for (int i = 0; i < n; i++) sum_z[i] += mlo_normal(3u, 6u, 7, (uint64_t)i);\n"
    "}\n";
typedef void Fill(int n, float *x, float *sum_x, double *z, double *sum_z);

static void start(Numbers *a) {
  for (int i = 0; i < N; i++) {
    a->x[i] = 0, a->z[i] = 0;
    a->sum_x[i] = mlo_uniformf(3, 8, 0, (uint64_t)i);
    a->sum_z[i] = mlo_uniform(3, 8, 0, (uint64_t)i);
  }
}

/* One by one, stored before anything is added to them. */
static void expect(Numbers *a) {
  start(a);
  for (int i = 0; i < N; i++) {
    volatile float x = mlo_normalf(3, 6, 7, (uint64_t)i);
    volatile double z = mlo_normal(3, 6, 7, (uint64_t)i);
    a->x[i] = mlo_normalf(3, 5, 7, (uint64_t)i);
    a->z[i] = mlo_normal(3, 5, 7, (uint64_t)i);
    a->sum_x[i] += x;
    a->sum_z[i] += z;
  }
}

static bool run(const char *command) { return system(command) == 0; }

static bool is_here(const char *compiler) {
  char command[256];
  snprintf(command, sizeof command, "command -v %.200s >/dev/null", compiler);
  return run(command);
}

/* out: "a.so" or "a.s" in the folder. */
static void compile(const Folder *f, const char *compiler, const char *flags, const char *out) {
  char command[1024];
  const char *root = getenv("MLOC_SOURCE_DIR");
  snprintf(command, sizeof command,
           "%.200s -std=gnu11 -fopenmp-simd -fno-math-errno -fno-trapping-math -fPIC %s -I'%.300s' "
           "-o '%s/%s' '%s/a.c'",
           compiler, flags, root ? root : ".", f->path, out, f->path);
  if (!run(command)) fail_msg("%s", command);
}

/* In a process of its own: fills twice, where denormals are kept and, as runs have it, taken for
   zero, and writes both to a file. */
static int fill_into(const char *library, const char *path) {
  static Numbers got;
  Fill *fill;
  FILE *to = fopen(path, "wb");
  void *l = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!to || !l) return 1;
  *(void **)&fill = dlsym(l, "fill");
  for (int flush = 0; flush < 2; flush++) {
    start(&got);
    rt_set_float_mode(rt_float_mode() | (flush ? 0x8040 : 0));
    fill(N, got.x, got.sum_x, got.z, got.sum_z);
    if (fwrite(&got, sizeof got, 1, to) != 1) return 1;
  }
  return fclose(to) != 0;
}

static void compare(const Folder *f, const char *environment, const char *what,
                    const Numbers *want) {
  static Numbers got;
  char command[2048], path[512], own[1024] = "";
  assert_true(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
  snprintf(command, sizeof command, "%s '%s' '%s/a.so' '%s/a.bits'", environment, own, f->path,
           f->path);
  if (!run(command)) fail_msg("%s", command);
  FILE *from = fopen(folder_file(f, "a.bits", path), "rb");
  assert_non_null(from);
  for (int flush = 0; flush < 2; flush++) {
    assert_int_equal(fread(&got, sizeof got, 1, from), 1);
    for (int i = 0; i < N; i++)
      if (memcmp(&got.x[i], &want->x[i], sizeof(float)) ||
          memcmp(&got.z[i], &want->z[i], sizeof(double)) || got.sum_x[i] != want->sum_x[i] ||
          got.sum_z[i] != want->sum_z[i])
        fail_msg("%s %s, element %d: %a and %a, sums %a and %a, not %a and %a, sums %a and %a",
                 environment, what, i, (double)got.x[i], got.z[i], (double)got.sum_x[i],
                 got.sum_z[i], (double)want->x[i], want->z[i], (double)want->sum_x[i],
                 want->sum_z[i]);
  }
  fclose(from);
}

static bool has_fma(void) {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

/* $CC, gcc and clang, as far as they are here; else cc. */
static int compilers(const char **out) {
  static const char *const known[] = {"gcc", "clang"};
  const char *cc = getenv("CC");
  int n = 0;
  if (cc && *cc) out[n++] = cc;
  for (int i = 0; i < 2; i++)
    if (is_here(known[i]) && !(n && !strcmp(out[0], known[i]))) out[n++] = known[i];
  if (!n) out[n++] = "cc";
  return n;
}

/* Which fma the library takes on a processor without. */
static const char soft[] = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4";

static void same_bits(void **state) {
  (void)state;
  static const struct {
    const char *flags;
    bool fma, calls; /* needs a processor with FMA; calls the library's */
  } of[] = {
      {"-shared -O0 -ffp-contract=off", false, false},
      {"-shared -O2 -ffp-contract=fast", false, true}, /* any x86-64 */
      {"-shared -O0 -march=x86-64-v3 -ffp-contract=fast", true, false},
      {"-shared -O2 -march=x86-64-v3 -ffp-contract=off", true, false},
      {"-shared -O2 -march=x86-64-v3 -ffp-contract=fast", true, false},
      {"-shared -O3 -march=native -ffp-contract=fast", false, false},
  };
  static Numbers want;
  const char *compiler[3];
  int n = compilers(compiler);
  Folder f = folder_make();
  char path[512], what[512];
  write_text(folder_file(&f, "a.c", path), text);
  expect(&want);
  for (int k = 0; k < n; k++)
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
      if (of[i].fma && !has_fma()) continue;
      snprintf(what, sizeof what, "%s %s", compiler[k], of[i].flags);
      compile(&f, compiler[k], of[i].flags, "a.so");
      compare(&f, "", what, &want);
      if (of[i].calls) compare(&f, soft, what, &want);
    }
  folder_remove(&f);
}

static char *assembly(const Folder *f, const char *compiler, const char *contract) {
  char flags[256], path[512];
  size_t size;
  snprintf(flags, sizeof flags, "-S -O2 %s -ffp-contract=%s",
           has_fma() ? "-march=x86-64-v3" : "-march=native", contract);
  compile(f, compiler, flags, "a.s");
  char *s = read_bytes(folder_file(f, "a.s", path), &size);
  assert_non_null(s);
  return s;
}

/* The same instructions where compilers may contract and where not, so there is nothing to: values
   alone would not show every a * b + c. And they are vector code: the roots are of 256 bits. */
static void same_code(void **state) {
  (void)state;
  const char *compiler[3];
  int n = compilers(compiler);
  Folder f = folder_make();
  char path[512];
  write_text(folder_file(&f, "a.c", path), text);
  for (int k = 0; k < n; k++) {
    char *may = assembly(&f, compiler[k], "fast"), *not = assembly(&f, compiler[k], "off");
    if (strcmp(may, not )) fail_msg("%s contracts something", compiler[k]);
    if (has_fma() && !strstr(may, "vsqrtps\t%ymm")) fail_msg("%s: no vectors of f32", compiler[k]);
    if (has_fma() && !strstr(may, "vsqrtpd\t%ymm")) fail_msg("%s: no vectors of f64", compiler[k]);
    free(may);
    free(not );
  }
  folder_remove(&f);
}

/* ---- NVRTC */

typedef struct Nvrtc {
  void *library;
  __typeof__(&nvrtcCreateProgram) create;
  __typeof__(&nvrtcCompileProgram) compile;
  __typeof__(&nvrtcGetPTXSize) size;
  __typeof__(&nvrtcGetPTX) ptx;
  __typeof__(&nvrtcDestroyProgram) destroy;
} Nvrtc;

static bool find(const Nvrtc *n, const char *name, void *to) {
  RtErr e = {0};
  return rt_cuda_symbol(n->library, "NVRTC", name, to, &e);
}

static char *kernel(void) {
  static const char fill[] = "MLO_KERNEL fill(float *x, double *z) {\n"
                             "  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);\n"
                             "  x[i] += mlo_normalf(3u, 5u, 7, (uint64_t)i);\n"
                             "  z[i] += mlo_normal(3u, 5u, 7, (uint64_t)i);\n"
                             "}\n";
  const char *const part[] = {cg_mlo_device, cg_mlo_math64, cg_mlo_math,
                              cg_mlo_normal, cg_mlo_random, fill};
  size_t size = 1;
  for (int i = 0; i < 6; i++) size += strlen(part[i]);
  char *source = calloc(1, size);
  assert_non_null(source);
  for (int i = 0; i < 6; i++) strcat(source, part[i]);
  return source;
}

/* PTX with the runtime's options but for --fmad; free it. */
static char *ptx_with(const Nvrtc *n, const char *fmad) {
  const char *option[16] = {"--gpu-architecture=compute_90", fmad};
  int count = 2;
  size_t size;
  char *source = kernel();
  nvrtcProgram p;
  for (const char *const *o = rt_nvrtc_options(); *o; o++)
    if (strncmp(*o, "--fmad=", strlen("--fmad="))) option[count++] = *o;
  assert_int_equal(n->create(&p, source, "normals.cu", 0, NULL, NULL), NVRTC_SUCCESS);
  assert_int_equal(n->compile(p, count, option), NVRTC_SUCCESS);
  assert_int_equal(n->size(p, &size), NVRTC_SUCCESS);
  char *ptx = malloc(size);
  assert_non_null(ptx);
  assert_int_equal(n->ptx(p, ptx), NVRTC_SUCCESS);
  assert_int_equal(n->destroy(&p), NVRTC_SUCCESS);
  free(source);
  return ptx;
}

/* Drops each ".rn": without contraction, sums and products have it, too. */
static char *without_rounding(char *ptx) {
  char *to = ptx;
  for (const char *from = ptx; *from;) {
    if (!strncmp(from, ".rn", 3))
      from += 3;
    else
      *to++ = *from++;
  }
  *to = '\0';
  return ptx;
}

/* The same PTX where NVRTC may contract and where not: there is nothing to. Roots and quotients are
   rounded correctly, and denormals are not flushed. */
static void nothing_contracts(void **state) {
  (void)state;
  static const char *const soname[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL};
  static const char *const has[] = {"fma.rn.f32", "fma.rn.f64", "sqrt.rn.f32", "sqrt.rn.f64",
                                    "div.rn.f64"};
  static const char *const lacks[] = {".ftz", ".approx", ".full"};
  RtErr e = {0};
  Nvrtc n = {.library = rt_cuda_open("NVRTC", soname, &e)};
  if (!n.library) {
    print_message("skipped: %s\n", e.text);
    skip();
  }
  assert_true(find(&n, "nvrtcCreateProgram", &n.create) &&
              find(&n, "nvrtcCompileProgram", &n.compile) && find(&n, "nvrtcGetPTXSize", &n.size) &&
              find(&n, "nvrtcGetPTX", &n.ptx) && find(&n, "nvrtcDestroyProgram", &n.destroy));
  char *with = ptx_with(&n, "--fmad=true"), *without = ptx_with(&n, "--fmad=false");
  for (size_t i = 0; i < sizeof has / sizeof *has; i++)
    if (!strstr(with, has[i])) fail_msg("no %s", has[i]);
  for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++)
    if (strstr(with, lacks[i])) fail_msg("there is %s", lacks[i]);
  assert_string_equal(without_rounding(with), without_rounding(without));
  free(with);
  free(without);
  dlclose(n.library);
}

/* With a library and a file: fill_into. */
int main(int argc, char **argv) {
  if (argc == 3) return fill_into(argv[1], argv[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(same_code),
                                     cmocka_unit_test(nothing_contracts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
