/* Kernels in the emulator: right ones are clean and right in all orders of threads, broken ones are
 * caught, with the place in their text. */

#include "tests/unit/test_files.h"

#include "tests/emulator/broken.h"
#include "tests/emulator/driver.h"
#include "tests/emulator/kernels.h"

#include <math.h>

enum { MOST_BUFFERS = 4, MOST = 4096 };

/* A launch with float buffers, of which the last has the result. */
typedef struct Launch Launch;
struct Launch {
  const char *before, *text, *name; /* before: lines that stand before the text */
  unsigned grid, block;
  int count[MOST_BUFFERS + 1]; /* elements of each buffer; ended by 0 */
  unsigned long zeros;         /* a bit for each: it starts as zeros, else as values */
  bool in_double;
  int times;
  CUresult result;                        /* what the launch must answer */
  double (*want)(const Launch *l, int i); /* NULL: nothing is compared */
};

static double value(int buffer, int i) { return sin(1 + 3 * i + 7 * buffer); }

static double start(const Launch *l, int buffer, int i) {
  double x = l->zeros >> buffer & 1 ? 0 : value(buffer, i);
  return l->in_double ? x : (double)(float)x;
}

static CUdeviceptr fill(const Driver *d, const Launch *l, int buffer) {
  static double x[MOST];
  float *f = (float *)x;
  int n = l->count[buffer];
  for (int i = 0; i < n; i++)
    if (l->in_double)
      x[i] = start(l, buffer, i);
    else
      f[i] = (float)start(l, buffer, i);
  return driver_buffer(d, x, (size_t)n * (l->in_double ? 8 : 4));
}

static void compare(const Driver *d, const Launch *l, CUdeviceptr at, int n) {
  static double x[MOST];
  float *f = (float *)x;
  NEED(d->cuMemcpyDtoH_v2(x, at, (size_t)n * (l->in_double ? 8 : 4)) == CUDA_SUCCESS);
  for (int i = 0; i < n; i++) {
    double got = l->in_double ? x[i] : (double)f[i], want = l->want(l, i);
    NEED(isnan(want) ? isnan(got) : fabs(got - want) < (l->in_double ? 1e-14 : 1e-4));
  }
}

static void launch_body(const void *data) {
  const Launch *l = data;
  Driver d;
  char text[16384];
  CUdeviceptr at[MOST_BUFFERS];
  void *argument[MOST_BUFFERS];
  int n = 0;
  driver_open(&d);
  snprintf(text, sizeof text, "%s%s", l->before ? l->before : "", l->text);
  CUfunction f = driver_function(&d, driver_compile(&d, text, "text"), l->name);
  for (; l->count[n]; n++) {
    at[n] = fill(&d, l, n);
    argument[n] = &at[n];
  }
  for (int i = 0; i < (l->times ? l->times : 1); i++)
    NEED(d.cuLaunchKernel(f, l->grid, 1, 1, l->block, 1, 1, 0, NULL, argument, NULL) == l->result);
  NEED(d.cuCtxSynchronize() == l->result);
  if (l->want) compare(&d, l, at[n - 1], l->count[n - 1]);
}

static const char *const orders[] = {"forward", "reverse", "random"};

static void expect_clean(const Launch *l) {
  char said[4096];
  for (int o = 0; o < 6; o++) {
    Scene s = {{{"MLO_EMU_ORDER", orders[o % 3]},
                {"MLO_EMU_CHECK", o < 3 ? "0" : "1"},
                {"MLO_EMU_SEED", "7"}},
               launch_body,
               l};
    int status = scene_run(&s, said, sizeof said);
    assert_string_equal(said, "");
    assert_int_equal(status, 0);
  }
}

/* In every order, with these two texts in the message. */
static void expect_caught(const Launch *l, const char *what, const char *where) {
  char said[4096];
  for (int o = 0; o < 3; o++) {
    Scene s = {{{"MLO_EMU_ORDER", orders[o]}, {"MLO_EMU_CHECK", "1"}}, launch_body, l};
    int status = scene_run(&s, said, sizeof said);
    if (status != 0 || !strstr(said, what) || !strstr(said, where) || !strstr(said, l->name))
      fail_msg("%s, %s: status %d, expected \"%s\" and \"%s\" in: %s", l->name, orders[o], status,
               what, where, said);
  }
}

static double want_sum(const Launch *l, int i) {
  double s = i;
  for (int k = 0; k < 4096; k++) s += start(l, 0, k);
  return s;
}

static const Launch SUM_LAUNCH = {.text = SUM,
                                  .name = "sum",
                                  .grid = 8,
                                  .block = 128,
                                  .count = {4096, 8, 1, 1},
                                  .zeros = 4,
                                  .times = 3,
                                  .want = want_sum};

static double want_column(const Launch *l, int i) {
  double s = 0;
  for (int k = 0; k < 16; k++) s += start(l, 0, k * 64 + i);
  return s;
}

static const Launch COLUMNS_LAUNCH = {.text = COLUMNS,
                                      .name = "columns",
                                      .grid = 4,
                                      .block = 64,
                                      .count = {1024, 256, 1, 64},
                                      .zeros = 4,
                                      .times = 2,
                                      .want = want_column};

static void test_tickets(void **state) {
  (void)state;
  expect_clean(&SUM_LAUNCH);
  expect_clean(&COLUMNS_LAUNCH);
  Launch l = {.text = IN_PLACE,
              .name = "in_place",
              .grid = 5,
              .block = 64,
              .count = {320, 1, 1},
              .zeros = 4,
              .times = 2};
  expect_clean(&l);
  l.before = "#define GROUP 80\n"; /* a ticket each: who reads what another group's changes? */
  l.grid = 160, l.block = 32;
  l.count[0] = 160 * 32, l.count[1] = l.count[2] = 2;
  expect_clean(&l);
}

static void test_broken_tickets(void **state) {
  (void)state;
  static const struct {
    const char *before, *what, *where;
    bool columns;
  } broken[] = {
      {"#define FENCE ((void)0)\n", "race: load of 4 bytes", "sum.mlo:23", false},
      {"#define ACQUIRE ((void)0)\n", "race: load of 4 bytes", "sum.mlo:23", false},
      {"#define BARRIER ((void)0)\n", "race: ", "sum.mlo:", false},
      {"#define TICKET(p) (*(p))++\n", "race: ", "sum.mlo:18", false},
      {"#define FENCE ((void)0)\n", "race: load of 4 bytes", "columns.mlo:15", true},
      {"#define ACQUIRE ((void)0)\n", "race: load of 4 bytes", "columns.mlo:15", true},
      {"#define BARRIER ((void)0)\n", "race: load of 4 bytes", "columns.mlo:15", true},
      {"#define TICKET(p) (*(p))++\n", "race: ", "columns.mlo:10", true},
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    Launch l = broken[i].columns ? COLUMNS_LAUNCH : SUM_LAUNCH;
    l.before = broken[i].before;
    l.result = CUDA_ERROR_LAUNCH_FAILED;
    l.times = 1;
    l.want = NULL;
    expect_caught(&l, broken[i].what, broken[i].where);
  }
  Launch l = {.before = "#define TICKET(p) ((p)[blockIdx.x] = 4)\n",
              .text = IN_PLACE,
              .name = "in_place",
              .grid = 5,
              .block = 64,
              .count = {320, 1, 8},
              .zeros = 4,
              .result = CUDA_ERROR_LAUNCH_FAILED};
  expect_caught(&l, "race: ", "text:");
}

static double want_softmax(const Launch *l, int i) {
  double m = -1e300, s = 0;
  const int row = i / 100 * 100;
  for (int k = 0; k < 100; k++) m = fmax(m, start(l, 0, row + k));
  for (int k = 0; k < 100; k++) s += exp(start(l, 0, row + k) - m);
  return exp(start(l, 0, i) - m) / s;
}

static double want_product(const Launch *l, int i) {
  double s = 0;
  for (int k = 0; k < 40; k++) s += start(l, 0, i / 48 * 40 + k) * start(l, 1, k * 48 + i % 48);
  return s;
}

static const Launch MATMUL_LAUNCH = {.text = MATMUL,
                                     .name = "matmul",
                                     .grid = 24,
                                     .block = 64,
                                     .count = {32 * 40, 40 * 48, 32 * 48},
                                     .want = want_product};

static void test_warps_and_tiles(void **state) {
  (void)state;
  Launch softmax = {.text = SOFTMAX,
                    .name = "softmax",
                    .grid = 4,
                    .block = 64,
                    .count = {800, 800},
                    .in_double = true,
                    .want = want_softmax};
  expect_clean(&softmax);
  expect_clean(&MATMUL_LAUNCH);
  Launch broken = MATMUL_LAUNCH;
  broken.before = "#define BARRIER ((void)0)\n";
  broken.result = CUDA_ERROR_LAUNCH_FAILED;
  broken.want = NULL;
  expect_caught(&broken, "race: ", "matmul.mlo:");
}

/* Of the 128 bytes of flags, as floats: all 1 or 0 bytes, so only that they are what they must be.
 */
static double want_flag(const Launch *l, int i) {
  unsigned char byte[4];
  float f;
  (void)l;
  for (int k = 0; k < 4; k++) {
    int t = i * 4 + k;
    byte[k] = t < 64 ? t & 1 : t - 64 >= 32;
  }
  memcpy(&f, byte, sizeof f);
  return (double)f;
}

static void test_syncwarp(void **state) {
  (void)state;
  Launch l = {.text = EXCHANGE,
              .name = "exchange",
              .grid = 1,
              .block = 64,
              .count = {64, 64, 32},
              .want = want_flag};
  expect_clean(&l);
  l.before = "#define WARP ((void)0)\n";
  l.result = CUDA_ERROR_LAUNCH_FAILED;
  l.want = NULL;
  expect_caught(&l, "race: ", "exchange.mlo:");
}

static void test_broken(void **state) {
  (void)state;
  static const struct {
    const char *name;
    unsigned grid;
    CUresult result;
    const char *what, *where;
  } broken[] = {
      {"misaligned", 1, CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned", "broken.mlo:2"},
      {"behind", 1, CUDA_ERROR_ILLEGAL_ADDRESS, "load of 4 bytes outside of every buffer",
       "broken.mlo:5"},
      {"before", 1, CUDA_ERROR_ILLEGAL_ADDRESS, "store of 4 bytes outside of every buffer",
       "broken.mlo:6"},
      {"shared_index", 1, CUDA_ERROR_LAUNCH_FAILED, "index 63 is outside of its array",
       "broken.mlo:9"},
      {"shared_pointer", 1, CUDA_ERROR_ILLEGAL_ADDRESS, "store of 4 bytes outside of every buffer",
       "broken.mlo:15"},
      {"local_index", 1, CUDA_ERROR_LAUNCH_FAILED, "is outside of its array", "broken.mlo:20"},
      {"two_stores", 1, CUDA_ERROR_LAUNCH_FAILED, "race: store of 4 bytes", "broken.mlo:23"},
      {"two_blocks", 2, CUDA_ERROR_LAUNCH_FAILED, "race: store of 4 bytes", "broken.mlo:24"},
      {"two_barriers", 1, CUDA_ERROR_LAUNCH_FAILED, "divergent barrier", "broken.mlo:"},
      {"ended", 1, CUDA_ERROR_LAUNCH_FAILED, "divergent barrier: 24 of 64 threads have ended",
       "broken.mlo:36"},
      {"two_shuffles", 1, CUDA_ERROR_LAUNCH_FAILED, "divergent operation of a warp",
       "broken.mlo:4"},
      {"half_shuffle", 1, CUDA_ERROR_LAUNCH_FAILED, "deadlock", "broken.mlo:49"},
      {"ended_lane", 1, CUDA_ERROR_LAUNCH_FAILED, "lane 4 of warp 0 reads lane 5", "broken.mlo:55"},
      {"own_mask", 1, CUDA_ERROR_LAUNCH_FAILED, "is not in its own mask", "broken.mlo:58"},
      {"shuffle_orders_nothing", 1, CUDA_ERROR_LAUNCH_FAILED, "race: load of 4 bytes",
       "broken.mlo:65"},
      {"block_copy", 1, CUDA_ERROR_ILLEGAL_ADDRESS, "load of 8 bytes outside of every",
       "broken.mlo:68"},
      {"misaligned_atomic", 1, CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned atomic", "broken.mlo:71"},
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    Launch l = {.text = BROKEN,
                .name = broken[i].name,
                .grid = broken[i].grid,
                .block = 64,
                .count = {64, 64},
                .result = broken[i].result};
    expect_caught(&l, broken[i].what, broken[i].where);
  }
}

static double want_device(const Launch *l, int i) {
  double s = i * 0;
  for (int k = 0; k < 64; k++) s += 3 * start(l, 0, k);
  return s;
}

static void test_device_functions(void **state) {
  (void)state;
  Launch l = {.text = DEVICE,
              .name = "device",
              .grid = 1,
              .block = 64,
              .count = {64, 64},
              .want = want_device};
  expect_clean(&l);
}

static double want_written(const Launch *l, int i) {
  return i == 127 ? (double)NAN : start(l, 0, i % 64);
}

static void test_unwritten(void **state) {
  (void)state;
  Launch l = {.text = UNWRITTEN,
              .name = "unwritten",
              .grid = 2,
              .block = 64,
              .count = {64, 128},
              .want = want_written};
  expect_clean(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tickets),          cmocka_unit_test(test_broken_tickets),
      cmocka_unit_test(test_warps_and_tiles),  cmocka_unit_test(test_syncwarp),
      cmocka_unit_test(test_broken),           cmocka_unit_test(test_unwritten),
      cmocka_unit_test(test_device_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
