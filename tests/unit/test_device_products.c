/* Products of matrices on the CUDA device: each transposition, type and precision, batched with
   strides, against loops. MLO_CUDA_PATH must name the emulator's folder. */

#include "test_files.h"

#include "runtime/data.h"
#include "runtime/mlo.h"

#include <math.h>

enum { M = 3, N = 5, K = 4, BATCH = 2, NF32 = 12, NF64 = 4, NA = M * K, NB = K * N, NC = M * N };

typedef struct Arena {
  float fa[BATCH * NA], fb[BATCH * NB], fc[NF32][BATCH * NC];
  double da[BATCH * NA], db[BATCH * NB], dc[NF64][BATCH * NC];
  int32_t seed, steps;
} Arena;

static const char source[] =
    "#ifdef __cplusplus\n#define MLO_KERNEL extern \"C\" __global__\n"
    "#else\n#define MLO_KERNEL __global__\n#endif\n"
    "MLO_KERNEL void mlo_advance(int *counter) { *counter += 1; }\n"
    "MLO_KERNEL void init(float *fa, float *fb, float *fc, double *da, double *db, double *dc) {\n"
    "  int i = (int)threadIdx.x;\n"
    "  if (i < 24) fa[i] = (float)(da[i] = (i * 7 % 11) / 7.0);\n"
    "  if (i < 40) fb[i] = (float)(db[i] = (i * 5 % 13) / 3.0);\n"
    "  if (i < 360) fc[i] = (float)(i % 3);\n"
    "  if (i < 120) dc[i] = i % 3;\n}\n";

/* The nearest of the floats that keep so many bits behind the first one. */
static double rounded(double x, int bits) {
  int exponent;
  double f = frexp(x, &exponent);
  return ldexp(rint(ldexp(f, bits + 1)), exponent - bits - 1);
}

static void product(bool ta, bool tb, int bits, const double *a, const double *b, double *c) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      double s = 0;
      for (int k = 0; k < K; k++)
        s += rounded(ta ? a[k * M + i] : a[i * K + k], bits) *
             rounded(tb ? b[j * K + k] : b[k * N + j], bits);
      c[i * N + j] = 2 * s + c[i * N + j];
    }
}

/* Bits of bfloat16 and of TensorFloat-32. */
static const int kept[] = {[MLO_EXACT] = 23, [MLO_BF16] = 7, [MLO_TF32] = 10};

/* Variant v: bit 0 transposes a, bit 1 b; the rest is the precision. */
static MloLaunch launch_of(bool wide, int v) {
  bool ta = v & 1, tb = v >> 1 & 1;
  return (MloLaunch){.kind = MLO_GEMM,
                     .arg = 6 + 3 * (wide ? NF32 + v : v),
                     .narg = 3,
                     .dtype = wide ? MLO_F64 : MLO_F32,
                     .ta = ta,
                     .tb = tb,
                     .m = M,
                     .n = N,
                     .k = K,
                     .batch = BATCH,
                     .stride_a = NA,
                     .stride_b = NB,
                     .stride_c = NC,
                     .alpha = 2,
                     .beta = 1,
                     .precision = wide ? MLO_EXACT : (MloPrecision)(v >> 2)};
}

#define IN_ARENA(field) ((int64_t)offsetof(Arena, field))

static void tables(MloLaunch *launch, int64_t *arg) {
  static const int64_t init[] = {IN_ARENA(fa), IN_ARENA(fb), IN_ARENA(fc),
                                 IN_ARENA(da), IN_ARENA(db), IN_ARENA(dc)};
  memcpy(arg, init, sizeof init);
  launch[0] = (MloLaunch){.kind = MLO_KERNEL, .grid = 1, .block = 384, .narg = 6};
  for (int v = 0; v < NF32 + NF64; v++) {
    bool wide = v >= NF32;
    int64_t to = wide ? IN_ARENA(dc) + (v - NF32) * BATCH * NC * 8
                      : IN_ARENA(fc) + v * BATCH * NC * (int64_t)sizeof(float);
    launch[1 + v] = launch_of(wide, wide ? v - NF32 : v);
    arg[6 + 3 * v] = wide ? IN_ARENA(da) : IN_ARENA(fa);
    arg[6 + 3 * v + 1] = wide ? IN_ARENA(db) : IN_ARENA(fb);
    arg[6 + 3 * v + 2] = to;
  }
  launch[1].batch = 1; /* another function of cuBLAS; the second matrix stays */
}

static void read_results(const char *folder, Arena *out) {
  char path[512];
  RtErr e = {0};
  MloField f[] = {{.name = "f",
                   .dtype = MLO_F32,
                   .rank = 1,
                   .dim = {NF32 * BATCH * NC},
                   .dim_name = {"N"},
                   .offset = offsetof(Arena, fc)},
                  {.name = "d",
                   .dtype = MLO_F64,
                   .rank = 1,
                   .dim = {NF64 * BATCH * NC},
                   .dim_name = {"N"},
                   .offset = offsetof(Arena, dc)}};
  MloSource s = {.name = "final", .nfield = 2, .field = f};
  snprintf(path, sizeof path, "%s/final.npz", folder);
  if (!rt_load(&s, path, "", (unsigned char *)out, &e)) fail_msg("%s", e.text);
}

static void expect(int v, bool wide, const double *got) {
  double a[BATCH * NA], b[BATCH * NB], c[BATCH * NC], error = wide ? 1e-13 : 1e-5;
  int offset = v * BATCH * NC;
  for (int i = 0; i < BATCH * NA; i++) a[i] = (i * 7 % 11) / 7.0;
  for (int i = 0; i < BATCH * NB; i++) b[i] = (i * 5 % 13) / 3.0;
  for (int i = 0; i < BATCH * NC; i++) c[i] = (i + offset) % 3;
  for (int k = 0; k < (!wide && v == 0 ? 1 : BATCH); k++)
    product(v & 1, v >> 1 & 1, wide ? 52 : kept[v >> 2], a + k * NA, b + k * NB, c + k * NC);
  for (int i = 0; i < BATCH * NC; i++)
    if (!(fabs(got[i] - c[i]) <= error * (1 + fabs(c[i]))))
      fail_msg("%s, variant %d, element %d: %.9g, not %.9g", wide ? "f64" : "f32", v, i, got[i],
               c[i]);
}

static const char *const kernel[] = {"init"};
static const MloFunc func = {"all", NULL, 0, 1 + NF32 + NF64};
static const MloStmt stmt = {MLO_CALL, 1, 0, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE};
static const MloArray arrays[] = {{.name = "f",
                                   .dtype = MLO_F32,
                                   .rank = 1,
                                   .dim = {NF32 * BATCH * NC},
                                   .offset = offsetof(Arena, fc)},
                                  {.name = "d",
                                   .dtype = MLO_F64,
                                   .rank = 1,
                                   .dim = {NF64 * BATCH * NC},
                                   .offset = offsetof(Arena, dc)}};

static void test_products(void **state) {
  (void)state;
  Folder folder = folder_make();
  MloLaunch launch[1 + NF32 + NF64];
  int64_t arg[6 + 3 * (NF32 + NF64)];
  tables(launch, arg);
  MloDevice code = {.source = source,
                    .kernel = kernel,
                    .nkernel = 1,
                    .launch = launch,
                    .nlaunch = 1 + NF32 + NF64,
                    .arg = arg,
                    .stmt = &stmt,
                    .nstmt = 1};
  MloProgram p = {.abi = MLO_ABI,
                  .name = "products",
                  .run = "main",
                  .source = "products.mlo",
                  .hash = "0",
                  .version = "0",
                  .arch = "x86-64",
                  .precision = "f32",
                  .arena_bytes = sizeof(Arena),
                  .narray = 2,
                  .array = arrays,
                  .seed_offset = offsetof(Arena, seed),
                  .top_steps_offset = offsetof(Arena, steps),
                  .schedule = mlo_schedule,
                  .nfunc = 1,
                  .func = &func,
                  .cuda = &code};
  char *argv[] = {(char *)"products", (char *)"-q", (char *)"--out", folder.path, NULL};
  Arena got;
  double c[BATCH * NC];
  assert_int_equal(mlo_main(4, argv, &p), 0);
  read_results(folder.path, &got);
  for (int v = 0; v < NF32; v++) {
    for (int i = 0; i < BATCH * NC; i++) c[i] = (double)got.fc[v][i];
    expect(v, false, c);
  }
  for (int v = 0; v < NF64; v++) expect(v, true, got.dc[v]);
  folder_remove(&folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
