/* A whole run of a small program by hand: gradient descent on (w - target)^2 with the data's mean
   as target. Its options, its run directory, its exit codes. */

#include "test_files.h"

#include "runtime/cpu.h"
#include "runtime/data.h"
#include "runtime/mlo.h"
#include "runtime/write.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct Arena {
  double w, loss, lr;
  int32_t seed, steps;
  float x[4];
} Arena;

static int schedule(MloRun *run, unsigned char *memory) {
  Arena *a = (Arena *)(void *)memory;
  double target = (a->x[0] + a->x[1] + a->x[2] + a->x[3]) / 4;
  if (mlo_load(run)) return 3;
  for (int64_t t = 0;; t++) {
    int status;
    if (mlo_due(run, t)) {
      a->loss = (a->w - target) * (a->w - target);
      if ((status = mlo_report(run, t))) return status;
    }
    if (t == a->steps) return 0;
    if ((status = mlo_tick(run, t))) return status;
    a->w -= a->lr * 2 * (a->w - target);
  }
}

/* Interrupts itself at step 3. */
static int schedule_interrupted(MloRun *run, unsigned char *memory) {
  Arena *a = (Arena *)(void *)memory;
  for (int64_t t = 0; t < a->steps; t++) {
    int status;
    if (mlo_due(run, t) && (status = mlo_report(run, t))) return status;
    if (t == 3) kill(getpid(), SIGTERM);
    for (int wait = 0; t == 3 && wait < 1000 && !(status = mlo_tick(run, t)); wait++) usleep(1000);
    if ((status = mlo_tick(run, t))) return status;
  }
  return 0;
}

static const MloField field = {.name = "x",
                               .dtype = MLO_F32,
                               .rank = 1,
                               .dim = {4},
                               .dim_name = {"N"},
                               .check = MLO_BOX,
                               .lo = 0,
                               .hi = 10,
                               .offset = offsetof(Arena, x)};
static const MloSource source = {
    .name = "train", .file = "x.csv", .nfield = 1, .field = &field};
static const MloSetting setting = {
    "tune.optimizer.lr", MLO_F64, offsetof(Arena, lr), 0.25, 0, INFINITY};
static const MloArray array = {.name = "fit.w",
                               .dtype = MLO_F64,
                               .offset = offsetof(Arena, w),
                               .variable = true,
                               .check = MLO_BOX,
                               .lo = -100,
                               .hi = 100};
static const MloMetric metric = {
    .name = "tune.loss", .dtype = MLO_F64, .offset = offsetof(Arena, loss), .level = "tune"};

static MloProgram program(const char *dir) {
  return (MloProgram){.abi = MLO_ABI,
                      .name = "mean",
                      .run = "main",
                      .source = "mean.mlo",
                      .dir = dir,
                      .hash = "0123",
                      .version = "0.1.0",
                      .arch = "x86-64",
                      .precision = "f64",
                      .arena_bytes = sizeof(Arena),
                      .nsource = 1,
                      .nsetting = 1,
                      .narray = 1,
                      .nmetric = 1,
                      .data = &source,
                      .setting = &setting,
                      .array = &array,
                      .metric = &metric,
                      .seed_offset = offsetof(Arena, seed),
                      .top_steps_offset = offsetof(Arena, steps),
                      .seed = 1,
                      .steps = 20,
                      .report_every = 5,
                      .report_csv = true,
                      .schedule = schedule};
}

/* Runs with the arguments (NULL-terminated) in a child whose output goes to a file; returns the
 * exit code. */
static int run(const MloProgram *p, const Folder *d, const char *const *argument, char **output) {
  char *argv[16] = {(char *)"mean"}, path[512];
  int argc = 1, status;
  size_t n;
  for (; argument[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)argument[argc - 1];
  folder_file(d, "output.txt", path);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (!freopen(path, "w", stdout) || dup2(fileno(stdout), 2) < 0) _exit(99);
    status = mlo_main(argc, argv, p);
    fflush(stdout);
    _exit(status);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  *output = read_bytes(path, &n);
  return WEXITSTATUS(status);
}

#define RUN(p, d, output, ...) run(p, d, (const char *const[]){__VA_ARGS__, NULL}, output)

static void check(const MloProgram *p, const Folder *d, int code, const char *text,
                  const char *const *argument) {
  char *output;
  int got = run(p, d, argument, &output);
  if (got != code) fail_msg("exit code %d, expected %d: %s", got, code, output);
  assert_contains(output, text);
  free(output);
}

#define CHECK(code, text, ...) check(&p, &d, code, text, (const char *const[]){__VA_ARGS__, NULL})

static Folder setup(void) {
  Folder d = folder_make();
  char path[512];
  write_text(folder_file(&d, "x.csv", path), "x\n1\n2\n3\n6\n");
  return d;
}

static void test_run_directory(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char out[512], path[600], *output, *text;
  size_t n;
  folder_file(&d, "deep/run", out);
  assert_int_equal(RUN(&p, &d, &output, "--out", out, "--seed=7", "--set", "tune.optimizer.lr=0.5"),
                   0);
  assert_contains(output, "step 20/20  tune.loss 0");
  free(output);
  snprintf(path, sizeof path, "%s/metrics.csv", out);
  text = read_bytes(path, &n);
  assert_string_equal(text, "step,tune.loss\n0,9\n5,0\n10,0\n15,0\n20,0\n");
  free(text);
  snprintf(path, sizeof path, "%s/run.json", out);
  json_t *o = json_load_file(path, 0, NULL);
  assert_non_null(o);
  assert_int_equal(json_integer_value(json_object_get(o, "seed")), 7);
  assert_int_equal(json_integer_value(json_object_get(o, "steps_done")), 20);
  assert_int_equal(json_integer_value(json_object_get(o, "exit_status")), 0);
  assert_string_equal(json_string_value(json_object_get(o, "status")), "ok");
  assert_string_equal(json_string_value(json_object_get(o, "hash")), "0123");
  assert_true(
      json_real_value(json_object_get(json_object_get(o, "settings"), "tune.optimizer.lr")) == 0.5);
  json_decref(o);
  snprintf(path, sizeof path, "%s/final.npz", out);
  assert_int_equal(access(path, R_OK), 0);
  folder_remove(&d);
}

static void test_without_out(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  CHECK(0, "tune.loss", "--progress=none");
  CHECK(0, "20 of 20 steps", "--progress=none");
  CHECK(0, "\"tune.loss\": 9}", "--progress=json", "--steps", "0");
  CHECK(0, "step 2/2", "--steps=2", "-v");
  folder_remove(&d);
}

static void test_usage_errors(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char file[512];
  folder_file(&d, "x.csv", file);
  CHECK(2, "did you mean `tune.optimizer.lr`?", "--set", "tune.optimzer.lr=1");
  CHECK(2, "did you mean `tune.optimizer.lr`?", "--set", "lr=1");
  CHECK(2, "expected a value of at least 0, found -1", "--set", "tune.optimizer.lr=-1");
  CHECK(2, "expected a number, found `fast`", "--set", "tune.optimizer.lr=fast");
  CHECK(2, "expected NAME=VALUE", "--set", "prox");
  CHECK(2, "did you mean `train`?", "--data", "trian=x.npz");
  CHECK(2, "did you mean `--steps`?", "--step=3");
  CHECK(2, "--steps: expected an integer from 0", "--steps=-3");
  CHECK(2, "--seed: expected an integer", "--seed=1.5");
  CHECK(2, "unexpected argument `extra`", "extra");
  CHECK(2, "--progress: expected bar", "--progress=loud");
  CHECK(2, "expected a folder, found a file", "--out", file);
  CHECK(2, "cannot be made", "--out", "/proc/none/x");
  CHECK(5, "no code for CUDA devices; build one that has: mloc build mean.mlo --target=cuda",
        "--device=cuda");
  CHECK(2, "--device: expected cpu, cuda or auto, found `gpu`", "--device=gpu");
  folder_remove(&d);
}

static void test_words(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  CHECK(0, "tune.optimizer.lr            f64  = 0.25   at least 0", "--help");
  CHECK(0, "x : f32[4] in box(0, 10)", "-h");
  CHECK(0, "mean (mloc 0.1.0, program 0123)", "--version");
  CHECK(0, "Apache License 2.0. What mloc emits", "--licenses");
  folder_remove(&d);
}

static void test_data_errors(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char path[512], option[600];
  write_text(folder_file(&d, "y.csv", path), "x\n1\n2\n11\n3\n");
  snprintf(option, sizeof option, "train=%s", path);
  CHECK(3, "array `x`, row 2 (line 4): expected a value in box(0, 10), found 11", "--data", option);
  write_text(path, "x\n1\n2\n");
  CHECK(3, "rebuild with: mloc build mean.mlo --data train=", "--data", option);
  CHECK(3, "data error: nowhere.npz: No such file", "--data", "train=nowhere.npz");
  folder_remove(&d);
}

static void test_diverged(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char out[512], path[600];
  folder_file(&d, "run", out);
  CHECK(4, "diverged: level `tune`, step 5: metric `tune.loss` is ", "--set",
        "tune.optimizer.lr=1e60", "--out", out);
  snprintf(path, sizeof path, "%s/final.npz", out);
  assert_int_not_equal(access(path, F_OK), 0);
  snprintf(path, sizeof path, "%s/metrics.csv", out);
  assert_int_equal(access(path, F_OK), 0);
  folder_remove(&d);
}

static void test_interrupted(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  p.schedule = schedule_interrupted;
  char out[512], path[600];
  size_t n;
  folder_file(&d, "run", out);
  CHECK(75, "interrupted at step 3 of 20", "--out", out);
  snprintf(path, sizeof path, "%s/final.npz", out);
  assert_int_equal(access(path, F_OK), 0);
  snprintf(path, sizeof path, "%s/run.json", out);
  char *text = read_bytes(path, &n);
  assert_contains(text, "\"interrupted\"");
  free(text);
  folder_remove(&d);
}

/* A file of one array of the given type and rank, beside one that no program knows. */
static void write_arrays(const char *path, const char *name, MloDType t, int rank, double value) {
  double memory[2] = {value, value};
  int32_t *integer = (int32_t *)(void *)memory;
  if (t == MLO_I32) integer[0] = (int32_t)value;
  MloArray a[] = {{.name = name, .dtype = t, .rank = rank, .dim = {2}},
                  {.name = "other", .dtype = MLO_F64}};
  RtErr e = {0};
  assert_true(rt_write_npz(path, a, 2, (unsigned char *)memory, &e));
}

static void test_load(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char file[512], out[512], path[600], *text;
  size_t n;
  folder_file(&d, "first.npz", file);
  folder_file(&d, "run", out);
  write_arrays(file, "fit.w", MLO_F64, 0, 5);
  CHECK(0, "step 0/20  tune.loss 4", "--load", file);
  CHECK(0, "array `other` is no variable of this program: ignored", "--load", file, "-v");
  CHECK(0, "", "--load", file, "--out", out);
  snprintf(path, sizeof path, "%s/run.json", out);
  text = read_bytes(path, &n);
  assert_contains(text, "first.npz\"");
  free(text);
  CHECK(2, "both say where to begin", "--load", file, "--resume", "x.npz");
  write_arrays(file, "fit.w", MLO_F64, 0, 101);
  CHECK(3, "array `fit.w`: expected a value in box(-100, 100), found 101", "--load", file);
  write_arrays(file, "fit.w", MLO_F64, 0, NAN);
  CHECK(3, "array `fit.w`: expected a finite number", "--load", file);
  write_arrays(file, "fit.w", MLO_F64, 1, 5);
  CHECK(3, "array `fit.w`: expected f64[], found f64[2]", "--load", file, "--out", out);
  assert_int_equal(access(path, R_OK), 0); /* the results of before are still there */
  write_arrays(file, "fit.w", MLO_I32, 0, 5);
  CHECK(3, "array `fit.w`: expected f64[], found i32[]", "--load", file);
  write_arrays(file, "w", MLO_F64, 0, 5);
  CHECK(3, "none of its 2 arrays is a variable of this program", "--load", file);
  CHECK(3, "nowhere.npz: No such file", "--load", "nowhere.npz");
  CHECK(3, "cannot be read as a .npz archive", "--load", folder_file(&d, "x.csv", path));
  folder_remove(&d);
}

/* A metric that falls and rises again, with an array that is the step: the best is kept. */
static int schedule_valley(MloRun *run, unsigned char *memory) {
  Arena *a = (Arena *)(void *)memory;
  int64_t first = 0;
  int status = mlo_resume(run, &first);
  for (int64_t t = first; !status && t <= a->steps; t++) {
    if (mlo_due(run, t)) {
      a->w = (double)t;
      a->loss = (double)((t - 8) * (t - 8));
      status = mlo_report(run, t);
    }
    if (!status && t < a->steps) status = mlo_tick(run, t + 1);
  }
  return status;
}

static double saved_w(const char *out) {
  char path[600];
  double w = -1;
  RtErr e = {0};
  MloField f = {.name = "fit.w", .dtype = MLO_F64};
  MloSource s = {.name = "final", .nfield = 1, .field = &f};
  snprintf(path, sizeof path, "%s/final.npz", out);
  assert_true(rt_load(&s, path, "", (unsigned char *)&w, &e));
  return w;
}

static void test_best(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char out[512], path[600], *text;
  size_t n;
  p.schedule = schedule_valley;
  p.best = "tune.loss";
  p.report_every = 2;
  folder_file(&d, "run", out);
  CHECK(0, "best `tune.loss` at step 8: its variables are kept", "--out", out);
  assert_true(saved_w(out) == 8);
  snprintf(path, sizeof path, "%s/run.json", out);
  json_t *o = json_load_file(path, 0, NULL), *best = json_object_get(o, "best");
  assert_int_equal(json_integer_value(json_object_get(best, "step")), 8);
  assert_true(json_number_value(json_object_get(best, "value")) == 0);
  assert_true(json_number_value(json_object_get(json_object_get(o, "metrics"), "tune.loss")) ==
              144);
  json_decref(o);
  p.best_max = true;
  CHECK(0, "over 2 of 2 seeds", "--out", out, "--seeds=2");
  snprintf(path, sizeof path, "%s/summary.csv", out);
  text = read_bytes(path, &n);
  assert_string_equal(text, "seed,status,step,tune.loss\n1,ok,20,144\n2,ok,20,144\n");
  free(text);
  folder_remove(&d);
}

/* Evaluated at 0, 6, 12, 18 and 20; reported at 0, 5, 10, 15, 20 as well. */
static void test_eval(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  MloMetric costly = metric;
  char out[512], path[600], *text;
  size_t n;
  costly.costly = true;
  p.metric = &costly;
  p.eval_every = 6;
  p.schedule = schedule_valley;
  folder_file(&d, "run", out);
  CHECK(0, "step 5/20  tune.loss -", "--out", out);
  CHECK(0, "\"tune.loss\": null}", "--progress=json");
  snprintf(path, sizeof path, "%s/metrics.csv", out);
  text = read_bytes(path, &n);
  assert_string_equal(text, "step,tune.loss\n0,64\n5,\n6,4\n10,\n12,16\n15,\n18,100\n20,144\n");
  free(text);
  p.best = "tune.loss"; /* what was not evaluated is no best */
  CHECK(0, "best `tune.loss` at step 6", "--out", out);
  assert_true(saved_w(out) == 6);
  folder_remove(&d);
}

static void test_cpu(void **state) {
  (void)state;
  Folder d = setup();
  MloProgram p = program(d.path);
  char flags[1024], arch[1100], missing[256];
  mlo_cpu_flags(flags, sizeof flags);
  snprintf(arch, sizeof arch, "native:%s", flags);
  assert_true(rt_cpu_has(arch, missing, sizeof missing));
  assert_true(rt_cpu_has("x86-64", missing, sizeof missing));
#if defined(__x86_64__)
  assert_false(rt_cpu_has("bulldozer:xop,fma4,tbm,sse3", missing, sizeof missing) &&
               rt_cpu_has("knl:avx512vp2intersect,sse4a,avx512bf16,xop", missing, sizeof missing));
  p.arch = "bulldozer:avx512vp2intersect,sse4a,xop,fma4,tbm";
  CHECK(5, "but this CPU lacks", "-q");
#endif
  p.arch = "x86-64";
  p.abi = MLO_ABI + 1;
  CHECK(5, "built for version", "-q");
  folder_remove(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_run_directory), cmocka_unit_test(test_without_out),
      cmocka_unit_test(test_usage_errors),  cmocka_unit_test(test_words),
      cmocka_unit_test(test_data_errors),   cmocka_unit_test(test_diverged),
      cmocka_unit_test(test_interrupted),   cmocka_unit_test(test_cpu),
      cmocka_unit_test(test_load),          cmocka_unit_test(test_best),
      cmocka_unit_test(test_eval),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
