#ifndef MLOC_TESTS_UNIT_DEVICE_PROGRAM_H
#define MLOC_TESTS_UNIT_DEVICE_PROGRAM_H

#include "runtime/mlo.h"

#include <math.h>
#include <stdbool.h>

/* A program by hand that has all of its functions twice, as C and as CUDA C: counters, loops, a
   condition, a sum over blocks, a product of matrices. Its numbers are small multiples of powers of
   two, so that every order of their sums gives the same bits. */

enum { WIDTH = 1000, BLOCKS = 4, ROUNDS = 6 };

typedef struct Arena {
  double w[WIDTH], x[4], v, sum, rate;
  float a[6], b[6], c[4], d[4];
  int32_t seed, steps, count, inner;
  bool go, on;
} Arena;

#define IN_ARENA(field) ((int64_t)offsetof(Arena, field))

static void host_init(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  for (int i = 0; i < WIDTH; i++) a->w[i] = a->seed;
  for (int i = 0; i < 6; i++) {
    a->a[i] = (float)i;
    a->b[i] = (float)(i % 4);
  }
  a->on = true;
}

static void host_move(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  for (int i = 0; i < WIDTH; i++) a->w[i] += a->rate * a->x[i % 4] + a->count;
  a->v = 40;
  a->go = true;
}

static void host_nudge(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  for (int i = 0; i < WIDTH; i++) a->w[i] += a->inner * 0x1p-10;
}

static void host_halve(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  a->v = a->v / 2;
  a->go = a->v > 1;
}

static void host_sum(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  a->sum = a->v + (double)a->d[3];
  for (int i = 0; i < WIDTH; i++) a->sum += a->w[i];
}

static void host_product(unsigned char *arena) {
  Arena *a = (Arena *)(void *)arena;
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      float s = 0;
      for (int k = 0; k < 3; k++) s += a->a[3 * i + k] * a->b[2 * k + j];
      a->c[2 * i + j] = s;
    }
  for (int i = 0; i < 4; i++) a->d[i] = a->c[i];
  a->on = a->w[0] < 500;
}

static const char device_source[] =
    "#ifdef __cplusplus\n#define MLO_KERNEL extern \"C\" __global__\n"
    "#else\n#define MLO_KERNEL __global__\n#endif\n"
    "MLO_KERNEL void mlo_advance(int *counter) { *counter += 1; }\n"
    "MLO_KERNEL void __launch_bounds__(256) init(const int *seed, double *w, float *a, float *b, "
    "bool *on) {\n"
    "  int i = (int)(blockIdx.x * 256 + threadIdx.x);\n"
    "  if (i < 1000) w[i] = *seed;\n"
    "  if (i < 6) {\n    a[i] = (float)i;\n    b[i] = (float)(i % 4);\n  }\n"
    "  if (i == 0) *on = true;\n}\n"
    "MLO_KERNEL void __launch_bounds__(256) move(const double *x, const double *rate, "
    "const int *count, double *w, double *v, bool *go) {\n"
    "  int i = (int)(blockIdx.x * 256 + threadIdx.x);\n"
    "  if (i < 1000) w[i] += *rate * x[i % 4] + *count;\n"
    "  if (i == 0) {\n    *v = 40;\n    *go = true;\n  }\n}\n"
    "MLO_KERNEL void __launch_bounds__(256) nudge(const int *inner, double *w) {\n"
    "  int i = (int)(blockIdx.x * 256 + threadIdx.x);\n"
    "  if (i < 1000) w[i] += *inner * 0x1p-10;\n}\n"
    "MLO_KERNEL void halve(double *v, bool *go) {\n"
    "  if (!*go) return;\n  *v = *v / 2;\n  *go = *v > 1;\n}\n"
    "MLO_KERNEL void __launch_bounds__(256) sum(const double *w, const double *v, const float *d, "
    "double *part, unsigned *ticket, double *out) {\n"
    "  __shared__ double own[256];\n  __shared__ bool last;\n"
    "  int i = (int)(blockIdx.x * 256 + threadIdx.x), t = (int)threadIdx.x;\n"
    "  own[t] = i < 1000 ? w[i] : 0;\n"
    "  for (int n = 128; n > 0; n /= 2) {\n"
    "    __syncthreads();\n    if (t < n) own[t] += own[t + n];\n  }\n"
    "  if (t == 0) part[blockIdx.x] = own[0];\n"
    "  __threadfence();\n  __syncthreads();\n"
    "  if (t == 0) last = atomicAdd(ticket, 1u) == gridDim.x - 1;\n"
    "  __syncthreads();\n"
    "  if (!last || t > 0) return;\n"
    "  __threadfence();\n"
    "  double s = *v + (double)d[3];\n"
    "  for (unsigned k = 0; k < gridDim.x; k++) s += part[k];\n"
    "  *out = s;\n  *ticket = 0;\n}\n"
    "MLO_KERNEL void check(const double *w, bool *on) { *on = w[0] < 500; }\n"
    "MLO_KERNEL void broken(double *w) { w[1 << 28] = 1; }\n";

enum { F_INIT, F_MOVE, F_NUDGE, F_HALVE, F_SUM, F_PRODUCT, NFUNC };
enum { K_INIT, K_MOVE, K_NUDGE, K_HALVE, K_SUM, K_CHECK, K_BROKEN, NKERNEL };

static const MloFunc device_funcs[NFUNC] = {
    {"fit.init", host_init, 0, 1},   {"fit.move", host_move, 1, 1},
    {"fit.nudge", host_nudge, 2, 1}, {"fit.halve", host_halve, 3, 1},
    {"sum", host_sum, 4, 1},         {"product", host_product, 5, 3}};

static const char *const device_kernels[NKERNEL] = {"init", "move",  "nudge", "halve",
                                                    "sum",  "check", "broken"};

/* The scratch: partial sums, then the ticket. */
static const int64_t device_args[] = {
    /* init */ IN_ARENA(seed),
    IN_ARENA(w),
    IN_ARENA(a),
    IN_ARENA(b),
    IN_ARENA(on),
    /* move */ IN_ARENA(x),
    IN_ARENA(rate),
    IN_ARENA(count),
    IN_ARENA(w),
    IN_ARENA(v),
    IN_ARENA(go),
    /* nudge */ IN_ARENA(inner),
    IN_ARENA(w),
    /* halve */ IN_ARENA(v),
    IN_ARENA(go),
    /* sum */ IN_ARENA(w),
    IN_ARENA(v),
    IN_ARENA(d),
    -1,
    -1 - 8 * BLOCKS,
    IN_ARENA(sum),
    /* product */ IN_ARENA(a),
    IN_ARENA(b),
    IN_ARENA(c),
    /* copy */ IN_ARENA(d),
    IN_ARENA(c),
    /* check */ IN_ARENA(w),
    IN_ARENA(on),
};

#define KERNEL(number, blocks, threads, first, count)                                              \
  {                                                                                                \
    .kind = MLO_KERNEL, .kernel = number, .grid = blocks, .block = threads, .arg = first,          \
    .narg = count                                                                                  \
  }

static const MloLaunch device_launches[] = {
    KERNEL(K_INIT, BLOCKS, 256, 0, 5),
    KERNEL(K_MOVE, BLOCKS, 256, 5, 6),
    KERNEL(K_NUDGE, BLOCKS, 256, 11, 2),
    KERNEL(K_HALVE, 1, 1, 13, 2),
    KERNEL(K_SUM, BLOCKS, 256, 15, 6),
    {.kind = MLO_GEMM,
     .arg = 21,
     .narg = 3,
     .dtype = MLO_F32,
     .m = 2,
     .n = 2,
     .k = 3,
     .batch = 1,
     .alpha = 1},
    {.kind = MLO_COPY, .arg = 24, .narg = 2, .bytes = 16},
    KERNEL(K_CHECK, 1, 1, 26, 2),
};

#define CALL(at, number)                                                                           \
  { MLO_CALL, (at) + 1, number, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE }
#define REPORT(kind, last, step)                                                                   \
  { kind, last, -1, -1, false, 0, MLO_NOWHERE, step, MLO_NOWHERE }

enum { S_TOP = 2, S_INNER = 4, NSTMT = 13 };

static const MloStmt device_stmts[NSTMT] = {
    CALL(0, F_INIT),
    REPORT(MLO_INITIAL, 2, MLO_NOWHERE),
    {MLO_REPEAT, 11, -1, -1, true, 0, IN_ARENA(steps), IN_ARENA(count), MLO_NOWHERE},
    CALL(3, F_MOVE),
    {MLO_REPEAT, 6, -1, -1, false, 3, MLO_NOWHERE, IN_ARENA(inner), MLO_NOWHERE},
    CALL(5, F_NUDGE),
    {MLO_WHILE, 8, -1, -1, false, ROUNDS + 2, MLO_NOWHERE, MLO_NOWHERE, IN_ARENA(go)},
    CALL(7, F_HALVE),
    REPORT(MLO_REPORT, 10, IN_ARENA(count)),
    CALL(9, F_SUM),
    CALL(10, F_PRODUCT),
    REPORT(MLO_REPORT, 13, IN_ARENA(count)),
    CALL(12, F_SUM),
};

static const MloField device_field = {.name = "x",
                                      .dtype = MLO_F64,
                                      .rank = 1,
                                      .dim = {4},
                                      .dim_name = {"N"},
                                      .check = MLO_ANY,
                                      .offset = offsetof(Arena, x)};
static const MloSource device_data = {
    .name = "train", .file = "x.csv", .nfield = 1, .field = &device_field};
static const MloSetting device_settings[] = {
    {"rate", MLO_F64, offsetof(Arena, rate), 0.25, 0, INFINITY},
    {"steps", MLO_I32, offsetof(Arena, steps), 20, 0, INFINITY}};
static const MloArray device_arrays[] = {
    {.name = "fit.w",
     .dtype = MLO_F64,
     .rank = 1,
     .dim = {WIDTH},
     .offset = offsetof(Arena, w),
     .variable = true},
    {.name = "product", .dtype = MLO_F32, .rank = 2, .dim = {2, 2}, .offset = offsetof(Arena, d)}};
static const MloArray device_states[] = {
    {.name = "fit.w", .dtype = MLO_F64, .rank = 1, .dim = {WIDTH}, .offset = offsetof(Arena, w)},
    {.name = "fit.count", .dtype = MLO_I32, .offset = offsetof(Arena, count)},
    {.name = "product", .dtype = MLO_F32, .rank = 2, .dim = {2, 2}, .offset = offsetof(Arena, d)}};
static const MloMetric device_metric = {
    .name = "sum", .dtype = MLO_F64, .offset = offsetof(Arena, sum), .level = "fit"};

static inline MloDevice device_code(void) {
  return (MloDevice){.source = device_source,
                     .kernel = device_kernels,
                     .nkernel = NKERNEL,
                     .launch = device_launches,
                     .nlaunch = sizeof device_launches / sizeof *device_launches,
                     .arg = device_args,
                     .scratch_bytes = 8 * BLOCKS + 4,
                     .stmt = device_stmts,
                     .nstmt = NSTMT};
}

static inline MloProgram device_program(const char *dir, const MloDevice *code) {
  return (MloProgram){.abi = MLO_ABI,
                      .name = "p",
                      .run = "main",
                      .source = "p.mlo",
                      .dir = dir,
                      .hash = "0123",
                      .version = "0.1.0",
                      .arch = "x86-64",
                      .precision = "f64",
                      .arena_bytes = sizeof(Arena),
                      .nsource = 1,
                      .nsetting = 2,
                      .narray = 2,
                      .nmetric = 1,
                      .data = &device_data,
                      .setting = device_settings,
                      .array = device_arrays,
                      .metric = &device_metric,
                      .nstate = 3,
                      .state = device_states,
                      .seed_offset = offsetof(Arena, seed),
                      .top_steps = "steps",
                      .top_steps_offset = offsetof(Arena, steps),
                      .seed = 3,
                      .steps = 20,
                      .report_every = 5,
                      .report_csv = true,
                      .schedule = mlo_schedule,
                      .nfunc = NFUNC,
                      .func = device_funcs,
                      .nstmt = NSTMT,
                      .stmt = device_stmts,
                      .cuda = code};
}

#endif
