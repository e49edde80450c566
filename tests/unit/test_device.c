/* The CUDA device, on the emulated driver, NVRTC and cuBLAS of tests/emulator: a whole program
   gives the same files as on the CPU, a step of the top level is one graph, nothing waits between
   reports, and what is missing or fails is told. MLO_CUDA_PATH must name the emulator's folder;
   with MLO_TEST_DEVICE=real, those tests that can be run on this machine's own device. */

#include "device_case.h"
#include "device_program.h"

#include "runtime/cubin_cache.h"
#include "runtime/error.h"

#include <sys/stat.h>

static Case *setup(void) {
  Case *c = calloc(1, sizeof *c);
  char path[512];
  assert_non_null(c);
  c->folder = folder_make();
  snprintf(c->cache, sizeof c->cache, "XDG_CACHE_HOME=%s/cache", c->folder.path);
  c->code = device_code();
  c->program = device_program(c->folder.path, &c->code);
  write_text(folder_file(&c->folder, "x.csv", path), "x\n1\n2\n3\n7\n");
  return c;
}

/* ---- results */

static void test_results(void **state) {
  (void)state;
  Case *c = setup();
  char path[512];
  size_t n;
  both(c);
  char *json = read_bytes(at(c, "cuda/run.json", path), &n);
  assert_non_null(strstr(json, "\"kind\": \"cuda\""));
  assert_true(on_real() || strstr(json, "\"name\": \"Emulated device\""));
  assert_true(on_real() || strstr(json, "\"arch\": \"sm_90\""));
  assert_true(on_real() || strstr(json, "\"driver\": 13000"));
  free(json);
  json = read_bytes(at(c, "cpu/run.json", path), &n);
  assert_non_null(strstr(json, "\"kind\": \"cpu\""));
  free(json);
  CHECK(0, on_real() ? "CUDA driver " : "Emulated device, sm_90, CUDA driver 13.0",
        "-v");                          /* auto */
  c->environment[0] = "MLO_EMU_LAZY=1"; /* nothing happens before somebody waits */
  both(c);
  c->environment[0] = "MLO_EMU_CHECK=1"; /* races, and accesses where nothing is */
  c->environment[1] = c->cache;          /* for its images are others */
  both(c);
  teardown(c);
}

static void test_best_and_load(void **state) {
  (void)state;
  Case *c = setup();
  char cpu[512], cuda[512], file[512];
  c->program.best = "sum"; /* least at the first report */
  both(c);
  at(c, "cuda/final.npz", file);
  c->program.best = NULL;
  CHECK(0, "", "-q", "--device=cpu", "--out", at(c, "cpu2", cpu), "--load", file);
  CHECK(0, "", "-q", "--device=cuda", "--out", at(c, "cuda2", cuda), "--load", file);
  same(c, "cpu2/final.npz", "cuda2/final.npz");
  CHECK(0, "over 3 of 3 seeds", "--device=cpu", "--out", at(c, "cpu3", cpu), "--seeds=3");
  CHECK(0, "over 3 of 3 seeds", "--device=cuda", "--out", at(c, "cuda3", cuda), "--seeds=3");
  same(c, "cpu3/seed-5/final.npz", "cuda3/seed-5/final.npz");
  same(c, "cpu3/summary.csv", "cuda3/summary.csv");
  teardown(c);
}

/* A seed more: settings and the seed are sent, and what is not data is cleared; the rest is there.
 */
static void test_seeds(void **state) {
  (void)state;
  Case *c = setup();
  EmuCounts n[3];
  char out[512], option[20];
  c->program.report_every = 0;
  for (int k = 0; k < 3; k++) {
    snprintf(option, sizeof option, "--seeds=%d", k + 1);
    CHECK(0, "", "-q", "--device=cuda", option);
    n[k] = c->counts;
  }
  assert_int_equal(n[2].copies_in - n[1].copies_in, 2 + 1 + 1); /* the seed, steps */
  assert_int_equal(n[1].copies_in - n[0].copies_in, 2 + 1 + 1);
  assert_int_equal(n[0].copies_in, 2 + 1 + 1 + 1);
  assert_int_equal(n[2].modules, n[0].modules);
  assert_int_equal(n[2].captures, n[1].captures); /* what a seed launches once is captured later */
  assert_int_equal(n[2].allocations, n[0].allocations);
  c->environment[0] = "MLO_EMU_LAZY=1";
  CHECK(0, "", "-q", "--device=cuda", "--seeds=3", "--out", at(c, "all", out));
  CHECK(0, "", "-q", "--device=cuda", "--seed=5", "--out", at(c, "alone", out));
  same(c, "all/seed-5/final.npz", "alone/final.npz");
  same(c, "all/seed-5/metrics.csv", "alone/metrics.csv");
  teardown(c);
}

/* A checkpoint does not know on which device it was made. */
static void test_checkpoints(void **state) {
  (void)state;
  Case *c = setup();
  char path[512], out[512];
  c->program.checkpoint_every = 10;
  both(c);
  same(c, "cpu/checkpoints/0000000010.npz", "cuda/checkpoints/0000000010.npz");
  at(c, "cpu/checkpoints/0000000010.npz", path);
  CHECK(0, "resumed at step 10", "--device=cuda", "--resume", path, "--out", at(c, "on", out));
  same(c, "cpu/final.npz", "on/final.npz");
  same(c, "cpu/metrics.csv", "on/metrics.csv");
  teardown(c);
}

/* A signal ends the run soon, whatever the device has still to do; what it has done is kept. */
static void test_interrupted(void **state) {
  (void)state;
  Case *c = setup();
  char out[512], file[512], command[600];
  at(c, "out", out);
  c->interrupt = at(c, "out/run.json", file);
  CHECK(75, "interrupted at step ", "-q", "--device=cuda", "--steps=1000000000", "--out", out);
  assert_int_equal(access(at(c, "out/final.npz", file), R_OK), 0);
  snprintf(command, sizeof command, "test -s '%s'/checkpoints/*.npz", out);
  assert_int_equal(system(command), 0);
  teardown(c);
}

/* The top level's condition is looked at after each step. */
static void test_stop(void **state) {
  (void)state;
  Case *c = setup();
  MloStmt stmt[NSTMT];
  char out[512];
  memcpy(stmt, device_stmts, sizeof stmt);
  stmt[S_TOP].kind = MLO_WHILE;
  stmt[S_TOP].cond_at = IN_ARENA(on);
  c->program.stmt = c->code.stmt = stmt;
  c->program.steps = 100;
  both(c);
  CHECK(0, "stopped after step 32 of 100", "--device=cpu", "--out", at(c, "out", out));
  CHECK(0, "stopped after step 32 of 100", "--device=cuda", "--out", at(c, "out", out));
  teardown(c);
}

/* Reports in a loop that is not the top level's, which a condition ends after five of its rounds.
 */
static void test_other_loops(void **state) {
  (void)state;
  Case *c = setup();
  const MloStmt stmt[] = {
      CALL(0, F_INIT),
      {MLO_WHILE, 6, -1, -1, false, 9, MLO_NOWHERE, IN_ARENA(inner), IN_ARENA(on)},
      CALL(2, F_MOVE),
      CALL(3, F_PRODUCT),
      REPORT(MLO_REPORT, 6, IN_ARENA(inner)),
      CALL(5, F_SUM),
  };
  char out[512], path[512];
  size_t n;
  c->program.stmt = c->code.stmt = stmt;
  c->program.nstmt = c->code.nstmt = sizeof stmt / sizeof *stmt;
  c->program.report_every = 1;
  CHECK(0, "", "-q", "--device=cpu", "--set", "rate=100", "--out", at(c, "cpu", out));
  CHECK(0, "", "-q", "--device=cuda", "--set", "rate=100", "--out", at(c, "cuda", out));
  same_results(c);
  char *rows = read_bytes(at(c, "cuda/metrics.csv", path), &n);
  assert_non_null(strstr(rows, "\n4,"));
  assert_null(strstr(rows, "\n5,"));
  free(rows);
  teardown(c);
}

/* ---- graphs */

static void test_graphs(void **state) {
  (void)state;
  Case *c = setup();
  EmuCounts few = counted(c, "20"), many = counted(c, "120");
  assert_int_equal(many.graph_launches - few.graph_launches, 100);
  /* the loop with a condition: a check before it and in each of its rounds */
  assert_int_equal(many.graph_kernels - few.graph_kernels,
                   100 * (1 + 1 + 3 + 1 + 2 * ROUNDS + 1 + 1));
  assert_int_equal(many.loop_rounds - few.loop_rounds, 100 * ROUNDS);
  assert_int_equal(many.kernels, few.kernels);
  assert_int_equal(many.synchronizations, few.synchronizations);
  assert_int_equal(many.copies_in, few.copies_in);
  assert_int_equal(many.copies_out, few.copies_out);
  assert_int_equal(many.captures, few.captures);
  assert_int_equal(many.allocations, 4); /* arena, scratch, cuBLAS's workspace, loops' counters */
  teardown(c);
}

/* A step of more nodes than a graph should have: more launches, still without waiting. */
static void test_large_step(void **state) {
  (void)state;
  Case *c = setup();
  MloStmt stmt[NSTMT];
  memcpy(stmt, device_stmts, sizeof stmt);
  stmt[S_INNER].count = 12345;
  c->program.stmt = c->code.stmt = stmt;
  c->program.steps = 4;
  both(c);
  if (on_real()) {
    teardown(c);
    return;
  }
  EmuCounts few = counted(c, "3"), many = counted(c, "5");
  assert_int_equal(many.synchronizations, few.synchronizations);
  assert_int_equal(many.captures, few.captures);
  assert_int_equal(many.kernels, few.kernels);
  /* its beginning, 5000 rounds of the inner loop, 5000 more, 2345, its end */
  assert_int_equal(many.graph_launches - few.graph_launches, 2 * 5);
  teardown(c);
}

/* ---- devices and kernels that are not there */

static void test_choice(void **state) {
  (void)state;
  Case *c = setup();
  MloFunc func[NFUNC];
  char *output;
  c->environment[0] = "MLO_EMU_DEVICES=0";
  c->environment[1] = "CUDA_VISIBLE_DEVICES=-1"; /* of a real one */
  CHECK(5, "CUDA_ERROR_NO_DEVICE", "--device=cuda");
  CHECK(0, "running on the CPU", "--device=auto");
  assert_int_equal(run(c, (const char *const[]){"-q", NULL}, &output), 0);
  assert_null(strstr(output, "CPU"));
  free(output);
  memcpy(func, device_funcs, sizeof func);
  for (int i = 0; i < NFUNC; i++) func[i].host = NULL;
  c->program.func = func;
  c->program.nstmt = 0; /* no code for CPUs */
  CHECK(5, "CUDA_ERROR_NO_DEVICE", "-q");
  CHECK(5, "has no code for CPUs; build one that has: mloc build p.mlo", "--device=cpu");
  c->environment[0] = NULL;
  CHECK(0, "20 of 20 steps", "--device=auto");
  c->program.cuda = NULL;
  CHECK(5, "no code for CUDA devices", "--device=cuda");
  teardown(c);
}

static void test_memory(void **state) {
  (void)state;
  Case *c = setup();
  c->environment[0] = "MLO_EMU_MEMORY=40000000";
  CHECK(0, "", "-q", "--device=cuda");
  c->environment[0] = "MLO_EMU_MEMORY=30000000";
  CHECK(5, "out of memory on Emulated device: the program needs 33.6 MB, and 30.0 MB of 30.0 MB",
        "--device=cuda");
  teardown(c);
}

/* A file of the cache, in a folder of the test's own. */
static void cached(const Case *c, char file[512]) {
  char key[RT_CUBIN_KEY];
  rt_cubin_key(key, device_source, "sm_90", 13000);
  snprintf(file, 512, "%.100s/cache/mloc/cubin/%s", c->folder.path, key);
}

/* Whole, but not what the driver takes. */
static void keep_other(const Case *c, const char *key, char *bytes) {
  char folder[512];
  const char *now = getenv("XDG_CACHE_HOME");
  char *before = now ? strdup(now) : NULL;
  RtImage image = {(unsigned char *)bytes, 64, NULL};
  RtErr e = {0};
  assert_int_equal(setenv("XDG_CACHE_HOME", at(c, "cache", folder), 1), 0);
  assert_true(rt_cubin_keep(key, &image, &e));
  if (before)
    setenv("XDG_CACHE_HOME", before, 1);
  else
    unsetenv("XDG_CACHE_HOME");
  free(before);
}

static void test_cache(void **state) {
  (void)state;
  Case *c = setup();
  char file[512];
  size_t n;
  c->environment[0] = c->cache;
  cached(c, file);
  CHECK(0, "kernels compiled in", "-v", "--device=cuda");
  CHECK(0, "kernels from the cache", "-v", "--device=cuda");
  char *image = read_bytes(file, &n);
  assert_true(image && n > 1000);
  image[n - 1] ^= 1;
  write_bytes(file, image, n);
  CHECK(0, "kernels compiled in", "-v", "--device=cuda"); /* damaged */
  CHECK(0, "kernels from the cache", "-v", "--device=cuda");
  write_bytes(file, image, n / 2);
  CHECK(0, "kernels compiled in", "-v", "--device=cuda"); /* cut off */
  keep_other(c, strrchr(file, '/') + 1, image);
  free(image);
  CHECK(0, "kernels compiled in", "-v", "--device=cuda");
  CHECK(0, "kernels from the cache", "-v", "--device=cuda");
  teardown(c);
}

/* Kernels that cannot be kept: the run goes on, and says it where it says such things. */
static void test_no_cache(void **state) {
  (void)state;
  Case *c = setup();
  char folder[512], text[600], *output;
  c->environment[0] = c->cache;
  CHECK(0, "kernels compiled in", "-v", "--device=cuda");
  assert_int_equal(chmod(at(c, "cache/mloc", folder), 0777), 0);
  snprintf(text, sizeof text, "\np: kernels are not kept: %s: other users may write into it\n",
           folder);
  CHECK(0, text, "-v", "--device=cuda");
  c->environment[0] = "XDG_CACHE_HOME=/proc/none";
  snprintf(text, sizeof text, "\np: kernels are not kept: /proc/none/mloc: cannot be made: ");
  assert_int_equal(run(c, (const char *const[]){"-v", "--device=cuda", NULL}, &output), 0);
  char *once = strstr(output, text);
  assert_non_null(once); /* and not again for mlo_check */
  assert_null(strstr(once + strlen(text), "not kept"));
  free(output);
  assert_int_equal(run(c, (const char *const[]){"--device=cuda", NULL}, &output), 0);
  assert_null(strstr(output, "not kept"));
  free(output);
  teardown(c);
}

/* What the executable carries. */
static void test_images(void **state) {
  (void)state;
  Case *c = setup();
  RtErr e = {0};
  RtImage image;
  RtNvrtc *n = rt_nvrtc_open(&e);
  assert_non_null(n);
  assert_true(rt_nvrtc_compile(n, device_source, "p.cu", "sm_90", &image, &e));
  MloCubin cubin[] = {{"sm_80", (const unsigned char *)"x", 1},
                      {"sm_90", image.byte, image.n},
                      {"sm_91", (const unsigned char *)"x", 1},
                      {"sm_91a", (const unsigned char *)"x", 1}};
  c->code.cubin = cubin;
  c->code.ncubin = 4;
  c->code.source = NULL;
  CHECK(0, "20 of 20 steps", "--device=cuda");
  c->environment[0] = "MLO_EMU_CC=120";
  CHECK(5,
        "is sm_120; this executable has kernels for sm_80, sm_90, sm_91, sm_91a alone and no "
        "source of them",
        "--device=cuda");
  c->environment[0] = NULL;
  c->code.ncubin = 1;
  CHECK(5, "has kernels for sm_80 alone", "--device=cuda");
  c->code.source = "#line 7 \"p.mlo\"\nint nothing(void) { return nowhere; }\n";
  CHECK(5, "p.cu does not compile for sm_90", "--device=cuda");
  c->code.source =
      "#define MLO_KERNEL __global__\nMLO_KERNEL void mlo_advance(int *n) { *n += 1; }\n";
  CHECK(5, "there is no kernel `init`", "--device=cuda");
  rt_image_free(&image);
  rt_nvrtc_close(n);
  teardown(c);
}

/* A driver without a compiler that goes with it: there is none, or it is of another make. */
static void test_driver_alone(void **state) {
  (void)state;
  Case *c = setup();
  char folder[512], link[600], path[600], own[600], *real = realpath(getenv("MLO_CUDA_PATH"), NULL);
  assert_non_null(real);
  assert_int_equal(mkdir(at(c, "driver", folder), 0700), 0);
  snprintf(path, sizeof path, "%s/libcuda.so.1", real);
  snprintf(link, sizeof link, "%s/libcuda.so.1", folder);
  assert_int_equal(symlink(path, link), 0);
  snprintf(own, sizeof own, "MLO_CUDA_PATH=%s", folder);
  c->environment[0] = own;
  c->environment[1] = c->cache;
  CHECK(5, "p: ", "--device=cuda");
  CHECK(0, "running on the CPU", "--device=auto");
  free(real);
  teardown(c);
}

/* A kernel that leaves its memory ends the run; a launch that no device takes does not begin it. */
static void test_failures(void **state) {
  (void)state;
  Case *c = setup();
  enum { N = sizeof device_launches / sizeof *device_launches };
  MloLaunch launch[N];
  char out[512];
  memcpy(launch, device_launches, sizeof launch);
  launch[3].kernel = K_BROKEN;
  launch[3].narg = 1;
  c->code.launch = launch;
  c->environment[0] = "MLO_EMU_CHECK=1";
  c->environment[1] = c->cache;
  CHECK(5, "Emulated device failed at step 0, in kernel `broken` of `fit.halve` or before it",
        "--device=cuda");
  c->environment[2] = "MLO_EMU_LAZY=1"; /* known when the first report waits */
  CHECK(5, "Emulated device failed at step 0: CUDA_ERROR_ILLEGAL_ADDRESS", "--device=cuda", "--out",
        at(c, "out", out));
  c->environment[0] = c->environment[1] = NULL;
  launch[3] = device_launches[3];
  launch[3].block = 2000;
  CHECK(5, "kernel `halve`: 1 blocks of 2000 threads cannot be launched", "--device=cuda");
  launch[3] = device_launches[3];
  launch[3].grid = 0; /* of an empty array: left out */
  CHECK(0, "20 of 20 steps", "--device=cuda");
  teardown(c);
}

static void test_words(void **state) {
  (void)state;
  Case *c = setup();
  CHECK(0, "--device KIND", "--help");
  CHECK(0, "compiled kernels\nare kept in $XDG_CACHE_HOME/mloc/cubin", "--help");
  CHECK(0, "(f64, x86-64, CUDA)", "--help");
  CHECK(0, "xxHash", "--licenses");
  teardown(c);
}

/* Those that need no more of a device than any has. */
static int run_on_real(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results),     cmocka_unit_test(test_best_and_load),
      cmocka_unit_test(test_checkpoints), cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_stop),        cmocka_unit_test(test_large_step),
      cmocka_unit_test(test_choice),      cmocka_unit_test(test_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
  if (on_real()) return run_on_real();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results),      cmocka_unit_test(test_best_and_load),
      cmocka_unit_test(test_checkpoints),  cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_stop),         cmocka_unit_test(test_other_loops),
      cmocka_unit_test(test_graphs),       cmocka_unit_test(test_large_step),
      cmocka_unit_test(test_seeds),        cmocka_unit_test(test_choice),
      cmocka_unit_test(test_memory),       cmocka_unit_test(test_cache),
      cmocka_unit_test(test_images),       cmocka_unit_test(test_no_cache),
      cmocka_unit_test(test_driver_alone), cmocka_unit_test(test_failures),
      cmocka_unit_test(test_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
