/* Loops with a condition within a step on the CUDA device: as conditional nodes of its graph they
   make only the rounds that count, one in another and with products in them; the files are those of
   the CPU and of graphs with all the rounds, which there are where anything is missing. As
   test_device.c otherwise. */

#include "device_case.h"

#include "runtime/error.h"
#include "runtime/loop_check.h"

#include <stddef.h>

enum { MOST_OUTER = 12, MOST_INNER = 9, STEPS = 20, LONG_STEP = 7 };

typedef struct Arena {
  double x, y, total;
  float a[4], b[4], c[4];
  int32_t seed, steps, count, round;
  bool on, go;
} Arena;

#define IN_ARENA(field) ((int64_t)offsetof(Arena, field))
#define ARENA Arena *a = (Arena *)(void *)arena

/* As code generation has them: each round's first kernel keeps the condition, the others look at
   what it kept. The product has no condition: once more, it gives the same. */
static const char source[] =
    "#ifdef __cplusplus\n#define MLO_KERNEL extern \"C\" __global__\n"
    "#else\n#define MLO_KERNEL __global__\n#endif\n"
    "MLO_KERNEL void mlo_advance(int *counter) { *counter += 1; }\n"
    "MLO_KERNEL void init(float *a, float *b) {\n"
    "  for (int i = 0; i < 4; i++) {\n    a[i] = (float)i;\n    b[i] = (float)(i + 1);\n  }\n}\n"
    "MLO_KERNEL void begin(const int *count, double *x, bool *on) {\n"
    "  *x = *count == 7 ? 1e9 : *count;\n  *on = *x > 0;\n}\n"
    "MLO_KERNEL void keep(const bool *on, bool *kept) { *kept = *on; }\n"
    "MLO_KERNEL void outer(const bool *kept, const int *round, double *x, double *y, double "
    "*total, "
    "bool *on, bool *go) {\n"
    "  if (!*kept) return;\n"
    "  *total += *round;\n  *x /= 2;\n  *on = *x > 1;\n  *y = *x;\n  *go = *y > 0.5;\n}\n"
    "MLO_KERNEL void use(const bool *kept, const float *c, double *total) {\n"
    "  if (*kept) *total += c[3];\n}\n"
    "MLO_KERNEL void keep_within(const bool *go, const bool *outer, bool *kept) {\n"
    "  *kept = *go && *outer;\n}\n"
    "MLO_KERNEL void inner(const bool *kept, double *y, double *total, bool *go) {\n"
    "  if (!*kept) return;\n  *y /= 2;\n  *total += 0x1p-8;\n  *go = *y > 0.5;\n}\n";

static void host_init(unsigned char *arena) {
  ARENA;
  for (int i = 0; i < 4; i++) {
    a->a[i] = (float)i;
    a->b[i] = (float)(i + 1);
  }
}

static void host_begin(unsigned char *arena) {
  ARENA;
  a->x = a->count == LONG_STEP ? 1e9 : a->count;
  a->on = a->x > 0;
}

static void host_outer(unsigned char *arena) {
  ARENA;
  a->total += a->round;
  a->x /= 2;
  a->on = a->x > 1;
  a->y = a->x;
  a->go = a->y > 0.5;
}

static void host_product(unsigned char *arena) {
  ARENA;
  for (int i = 0; i < 4; i++)
    a->c[i] = a->a[i / 2 * 2] * a->b[i % 2] + a->a[i / 2 * 2 + 1] * a->b[2 + i % 2];
  a->total += (double)a->c[3];
}

static void host_inner(unsigned char *arena) {
  ARENA;
  a->y /= 2;
  a->total += 0x1p-8;
  a->go = a->y > 0.5;
}

static void host_keep(unsigned char *arena) { (void)arena; }

enum { F_INIT, F_BEGIN, F_KEEP, F_OUTER, F_PRODUCT, F_KEEP_WITHIN, F_INNER, NFUNC };
enum { K_INIT, K_BEGIN, K_KEEP, K_OUTER, K_USE, K_KEEP_WITHIN, K_INNER, NKERNEL };
enum { KEPT_OUTER = -1, KEPT_INNER = -2 /* in the scratch */ };

static const MloFunc funcs[NFUNC] = {{"init", host_init, 0, 1},       {"begin", host_begin, 1, 1},
                                     {"while", host_keep, 2, 1},      {"outer", host_outer, 3, 1},
                                     {"product", host_product, 4, 2}, {"while", host_keep, 6, 1},
                                     {"inner", host_inner, 7, 1}};
static const char *const kernels[NKERNEL] = {"init", "begin",       "keep", "outer",
                                             "use",  "keep_within", "inner"};

static const int64_t args[] = {
    /* init */ IN_ARENA(a),
    IN_ARENA(b),
    /* begin */ IN_ARENA(count),
    IN_ARENA(x),
    IN_ARENA(on),
    /* keep */ IN_ARENA(on),
    KEPT_OUTER,
    /* outer */ KEPT_OUTER,
    IN_ARENA(round),
    IN_ARENA(x),
    IN_ARENA(y),
    IN_ARENA(total),
    IN_ARENA(on),
    IN_ARENA(go),
    /* product */ IN_ARENA(a),
    IN_ARENA(b),
    IN_ARENA(c),
    /* use */ KEPT_OUTER,
    IN_ARENA(c),
    IN_ARENA(total),
    /* keep_within */ IN_ARENA(go),
    KEPT_OUTER,
    KEPT_INNER,
    /* inner */ KEPT_INNER,
    IN_ARENA(y),
    IN_ARENA(total),
    IN_ARENA(go),
};

#define KERNEL(number, first, count)                                                               \
  { .kind = MLO_KERNEL, .kernel = number, .grid = 1, .block = 1, .arg = first, .narg = count }

static const MloLaunch launches[] = {
    KERNEL(K_INIT, 0, 2),
    KERNEL(K_BEGIN, 2, 3),
    KERNEL(K_KEEP, 5, 2),
    KERNEL(K_OUTER, 7, 7),
    {.kind = MLO_GEMM,
     .arg = 14,
     .narg = 3,
     .dtype = MLO_F32,
     .m = 2,
     .n = 2,
     .k = 2,
     .batch = 1,
     .alpha = 1},
    KERNEL(K_USE, 17, 3),
    KERNEL(K_KEEP_WITHIN, 20, 3),
    KERNEL(K_INNER, 23, 4),
};

#define CALL(at, number)                                                                           \
  { MLO_CALL, (at) + 1, number, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE }

enum { S_OUTER = 4, NSTMT = 12 };

/* The outer loop counts its rounds, the inner one does not. */
static const MloStmt stmts[NSTMT] = {
    CALL(0, F_INIT),
    {MLO_INITIAL, 2, -1, -1, false, 0, MLO_NOWHERE, MLO_NOWHERE, MLO_NOWHERE},
    {MLO_REPEAT, 11, -1, -1, true, 0, IN_ARENA(steps), IN_ARENA(count), MLO_NOWHERE},
    CALL(3, F_BEGIN),
    {MLO_WHILE, 11, -1, -1, false, MOST_OUTER, MLO_NOWHERE, IN_ARENA(round), IN_ARENA(on)},
    CALL(5, F_KEEP),
    CALL(6, F_OUTER),
    CALL(7, F_PRODUCT),
    {MLO_WHILE, 11, -1, -1, false, MOST_INNER, MLO_NOWHERE, MLO_NOWHERE, IN_ARENA(go)},
    CALL(9, F_KEEP_WITHIN),
    CALL(10, F_INNER),
    {MLO_REPORT, 12, -1, -1, false, 0, MLO_NOWHERE, IN_ARENA(count), MLO_NOWHERE},
};

static const MloSetting settings[] = {{"steps", MLO_I32, offsetof(Arena, steps), STEPS, 0, 1e9}};
static const MloArray arrays[] = {
    {.name = "total", .dtype = MLO_F64, .offset = offsetof(Arena, total), .variable = true},
    {.name = "x", .dtype = MLO_F64, .offset = offsetof(Arena, x)},
    {.name = "y", .dtype = MLO_F64, .offset = offsetof(Arena, y)},
    {.name = "round", .dtype = MLO_I32, .offset = offsetof(Arena, round)}};
static const MloMetric metric = {
    .name = "total", .dtype = MLO_F64, .offset = offsetof(Arena, total), .level = "fit"};

static Case *setup(void) {
  Case *c = calloc(1, sizeof *c);
  assert_non_null(c);
  c->folder = folder_make();
  snprintf(c->cache, sizeof c->cache, "XDG_CACHE_HOME=%s/cache", c->folder.path);
  c->code = (MloDevice){.source = source,
                        .kernel = kernels,
                        .nkernel = NKERNEL,
                        .launch = launches,
                        .nlaunch = sizeof launches / sizeof *launches,
                        .arg = args,
                        .scratch_bytes = 2,
                        .stmt = stmts,
                        .nstmt = NSTMT};
  c->program = (MloProgram){.abi = MLO_ABI,
                            .name = "p",
                            .run = "main",
                            .source = "p.mlo",
                            .dir = c->folder.path,
                            .hash = "0123",
                            .version = "0.1.0",
                            .arch = "x86-64",
                            .precision = "f64",
                            .arena_bytes = sizeof(Arena),
                            .nsetting = 1,
                            .setting = settings,
                            .narray = 4,
                            .array = arrays,
                            .nmetric = 1,
                            .metric = &metric,
                            .seed_offset = offsetof(Arena, seed),
                            .top_steps = "steps",
                            .top_steps_offset = offsetof(Arena, steps),
                            .steps = STEPS,
                            .report_every = 5,
                            .report_csv = true,
                            .schedule = mlo_schedule,
                            .nfunc = NFUNC,
                            .func = funcs,
                            .nstmt = NSTMT,
                            .stmt = stmts,
                            .cuda = &c->code};
  return c;
}

/* The rounds of both loops in a step. */
static unsigned long rounds(int count) {
  unsigned long n = 0;
  double x = count == LONG_STEP ? 1e9 : count;
  for (int i = 0; i < MOST_OUTER && (i == 0 ? x > 0 : x > 1); i++) {
    x /= 2;
    double y = x;
    for (int k = 0; k < MOST_INNER && y > 0.5; k++, n++) y /= 2;
    n++;
  }
  return n;
}

static unsigned long rounds_between(int from, int to) {
  unsigned long n = 0;
  for (int i = from; i < to; i++) n += rounds(i);
  return n;
}

/* ---- */

static void test_results(void **state) {
  (void)state;
  Case *c = setup();
  both(c);
  assert_true(on_real() || c->counts.loop_rounds > 0);
  c->environment[0] = "MLO_GRAPH_LOOPS=fixed";
  both(c);
  assert_int_equal(c->counts.loop_rounds, 0);
  c->environment[0] = "MLO_EMU_LAZY=1";
  both(c);
  c->environment[0] = "MLO_EMU_ORDER=random";
  both(c);
  c->environment[0] = "MLO_EMU_CHECK=1";
  c->environment[1] = c->cache; /* for its images are others */
  both(c);
  assert_true(on_real() || c->counts.loop_rounds > 0);
  teardown(c);
}

/* Only the rounds that count, and no more waiting; the step in which no condition ends the loops is
   among them. */
static void test_rounds(void **state) {
  (void)state;
  Case *c = setup();
  EmuCounts few = counted(c, "3"), many = counted(c, "20");
  assert_int_equal(many.loop_rounds - few.loop_rounds, rounds_between(3, 20));
  assert_int_equal(many.graph_launches - few.graph_launches, 17);
  assert_int_equal(many.synchronizations, few.synchronizations);
  assert_int_equal(many.captures, few.captures);
  c->environment[0] = "MLO_GRAPH_LOOPS=fixed";
  EmuCounts few_fixed = counted(c, "3"), many_fixed = counted(c, "20");
  assert_int_equal(many_fixed.loop_rounds, 0);
  assert_true(2 * (many.graph_kernels - few.graph_kernels) <
              many_fixed.graph_kernels - few_fixed.graph_kernels);
  teardown(c);
}

/* A loop counts once among a graph's nodes, however many rounds it may have. */
static void test_many_rounds(void **state) {
  (void)state;
  Case *c = setup();
  MloStmt stmt[NSTMT];
  memcpy(stmt, stmts, sizeof stmt);
  stmt[S_OUTER].count = 2000;
  c->program.stmt = c->code.stmt = stmt;
  both(c);
  if (!on_real()) {
    EmuCounts few = counted(c, "3"), many = counted(c, "6");
    assert_int_equal(many.graph_launches - few.graph_launches, 3);
    c->environment[0] = "MLO_GRAPH_LOOPS=fixed";
    EmuCounts few_fixed = counted(c, "3"), many_fixed = counted(c, "6");
    assert_true(many_fixed.graph_launches - few_fixed.graph_launches > 3);
  }
  teardown(c);
}

/* All the rounds where a driver, a compiler or an executable lacks something. */
static void test_missing(void **state) {
  (void)state;
  Case *c = setup();
  CHECK(0, "loops with a condition end early in graphs", "-v", "--device=cuda");
  c->environment[0] = "MLO_GRAPH_LOOPS=fixed";
  CHECK(0, "make all their rounds in graphs: MLO_GRAPH_LOOPS=fixed", "-v", "--device=cuda");
  c->environment[0] =
      "MLO_EMU_CONDITIONAL=0"; /* the driver knows the functions, and no such node */
  CHECK(0, "make all their rounds in graphs from now on: a loop cannot be captured", "-v",
        "--device=cuda");
  both(c);
  assert_int_equal(c->counts.loop_rounds, 0);
  assert_true(c->counts.graph_launches > 0);
  teardown(c);
}

/* Falling back where the graphs are many: they are made anew. */
static void test_missing_in_pieces(void **state) {
  (void)state;
  Case *c = setup();
  MloStmt stmt[NSTMT];
  memcpy(stmt, stmts, sizeof stmt);
  stmt[S_OUTER].count = 2000;
  c->program.stmt = c->code.stmt = stmt;
  c->environment[0] = "MLO_EMU_CONDITIONAL=0";
  both(c);
  assert_int_equal(c->counts.loop_rounds, 0);
  EmuCounts few = counted(c, "4"), many = counted(c, "6");
  assert_int_equal(many.captures, few.captures);
  assert_true(many.graph_launches - few.graph_launches > 2);
  teardown(c);
}

/* What the executable carries. */
static void test_carried(void **state) {
  (void)state;
  Case *c = setup();
  RtErr e = {0};
  RtImage image, check_image;
  RtNvrtc *n = rt_nvrtc_open(&e);
  assert_non_null(n);
  assert_true(rt_nvrtc_compile(n, source, "p.cu", "sm_90", &image, &e));
  assert_true(rt_loop_check(n, "sm_90", &check_image, &e));
  MloCubin cubin = {"sm_90", image.byte, image.n},
           checks[] = {{"sm_80", (const unsigned char *)"x", 1},
                       {"sm_90", check_image.byte, check_image.n}};
  c->code.source = NULL;
  c->code.cubin = &cubin;
  c->code.ncubin = 1;
  CHECK(0, "in graphs: the executable does not carry mlo_check", "-v", "--device=cuda");
  c->code.check = checks;
  c->code.ncheck = 2;
  CHECK(0, "end early in graphs", "-v", "--device=cuda");
  both(c);
  assert_true(c->counts.loop_rounds > 0);
  rt_image_free(&image);
  rt_image_free(&check_image);
  rt_nvrtc_close(n);
  teardown(c);
}

static int run_on_real(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_results),
                                     cmocka_unit_test(test_many_rounds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
  if (on_real()) return run_on_real();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results),           cmocka_unit_test(test_rounds),
      cmocka_unit_test(test_many_rounds),       cmocka_unit_test(test_missing),
      cmocka_unit_test(test_missing_in_pieces), cmocka_unit_test(test_carried),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
