#ifndef MLOC_TESTS_UNIT_DEVICE_CASE_H
#define MLOC_TESTS_UNIT_DEVICE_CASE_H

/* A program by hand with its folder, run by mlo_main in a child, on the emulated stack of
   MLO_CUDA_PATH: what the tests of the CUDA device share. */

#include "test_files.h"

#include "runtime/mlo.h"
#include "tests/emulator/counts.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>

typedef struct Case {
  Folder folder;
  MloDevice code;
  MloProgram program;
  const char *interrupt;      /* a file: when it is there, the run gets a signal */
  const char *environment[8]; /* NAME=VALUE of the child alone */
  char cache[200];            /* XDG_CACHE_HOME=FOLDER, of the case's own */
  EmuCounts counts;           /* of the last run */
} Case;

/* The tests run on the machine's own device: MLO_TEST_DEVICE=real. */
static inline bool on_real(void) {
  const char *device = getenv("MLO_TEST_DEVICE");
  return device && !strcmp(device, "real");
}

static inline void teardown(Case *c) {
  folder_remove(&c->folder);
  free(c);
}

/* The path of a file in the case's folder, in one of a few buffers. */
static inline const char *at(const Case *c, const char *name, char path[512]) {
  return folder_file(&c->folder, name, path);
}

static inline void child(const Case *c, int argc, char **argv, const char *counts) {
  void (*count)(EmuCounts *) = NULL;
  EmuCounts n = {0};
  signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the other tests, here */
  for (int i = 0; c->environment[i]; i++) putenv((char *)(uintptr_t)c->environment[i]);
  int status = mlo_main(argc, argv, &c->program);
  void *emulator = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (emulator) *(void **)&count = dlsym(emulator, "emu_counts");
  if (count) count(&n);
  write_bytes(counts, &n, sizeof n);
  fflush(stdout);
  _exit(status);
}

/* Runs with the arguments (NULL-terminated) in a child; the output is to be freed. */
static int run(Case *c, const char *const *argument, char **output) {
  char *argv[16] = {(char *)"p"}, out[512], counts[512];
  int argc = 1, status;
  size_t n;
  for (; argument[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)argument[argc - 1];
  at(c, "output.txt", out);
  at(c, "counts", counts);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    if (!freopen(out, "w", stdout) || dup2(fileno(stdout), 2) < 0) _exit(99);
    child(c, argc, argv, counts);
  }
  for (int i = 0; c->interrupt && i < 2000 && access(c->interrupt, F_OK); i++) usleep(5000);
  if (c->interrupt) kill(pid, SIGTERM);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  *output = read_bytes(out, &n);
  assert_non_null(*output);
  if (!WIFEXITED(status)) fail_msg("killed by signal %d: %s", WTERMSIG(status), *output);
  char *bytes = read_bytes(counts, &n);
  if (bytes && n == sizeof c->counts) memcpy(&c->counts, bytes, n);
  free(bytes);
  return WEXITSTATUS(status);
}

static void check(Case *c, int code, const char *text, const char *const *argument) {
  char *output;
  int got = run(c, argument, &output);
  if (got != code) fail_msg("exit code %d, expected %d: %s", got, code, output);
  if (!strstr(output, text)) fail_msg("no `%s` in: %s", text, output);
  free(output);
}

#define CHECK(code, text, ...) check(c, code, text, (const char *const[]){__VA_ARGS__, NULL})

/* The files are the same, byte for byte. */
static inline void same(const Case *c, const char *one, const char *other) {
  char path[512], command[1100], other_path[512];
  at(c, one, path);
  at(c, other, other_path);
  snprintf(command, sizeof command, "cmp '%s' '%s'", path, other_path);
  assert_int_equal(system(command), 0);
}

static inline void same_results(const Case *c) {
  same(c, "cpu/final.npz", "cuda/final.npz");
  same(c, "cpu/metrics.csv", "cuda/metrics.csv");
}

static inline void both(Case *c) {
  char cpu[512], cuda[512];
  CHECK(0, "", "-q", "--device=cpu", "--out", at(c, "cpu", cpu));
  CHECK(0, "", "-q", "--device=cuda", "--out", at(c, "cuda", cuda));
  same_results(c);
}

/* The counts of a run of so many steps that reports at its first and its last. */
static inline EmuCounts counted(Case *c, const char *steps) {
  char option[40];
  snprintf(option, sizeof option, "--steps=%s", steps);
  c->program.report_every = 0;
  CHECK(0, "", "-q", "--device=cuda", option);
  return c->counts;
}

#endif
