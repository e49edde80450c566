/* See driver.h. */

#include "tests/emulator/driver.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void driver_need(bool condition, const char *text, const char *file, int line) {
  if (condition) return;
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
  _exit(1);
}

static void *library(const char *name) {
  const char *folder = getenv("MLO_CUDA_PATH");
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
  void *l = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!l) fprintf(stderr, "%s\n", dlerror());
  NEED(l);
  return l;
}

#define LOOK_UP(name)                                                                              \
  *(void **)&d->name = dlsym(l, #name);                                                            \
  driver_need(d->name != NULL, #name, __FILE__, __LINE__);

static void look_up_cuda(Driver *d, void *l) { EMU_CUDA_CALLS(LOOK_UP) }
static void look_up_nvrtc(Driver *d, void *l) { EMU_NVRTC_CALLS(LOOK_UP) }
static void look_up_cublas(Driver *d, void *l) { EMU_CUBLAS_CALLS(LOOK_UP) }

void driver_libraries(Driver *d) {
  look_up_cuda(d, library("libcuda.so.1"));
  look_up_nvrtc(d, library("libnvrtc.so.13"));
  look_up_cublas(d, library("libcublas.so.13"));
}

void driver_open(Driver *d) {
  CUdevice device;
  CUcontext context;
  driver_libraries(d);
  NEED(d->cuInit(0) == CUDA_SUCCESS);
  NEED(d->cuDeviceGet(&device, 0) == CUDA_SUCCESS);
  NEED(d->cuDevicePrimaryCtxRetain(&context, device) == CUDA_SUCCESS);
  NEED(d->cuCtxSetCurrent(context) == CUDA_SUCCESS);
}

CUmodule driver_compile(const Driver *d, const char *text, const char *name) {
  return driver_compile_with(d, text, name, NULL);
}

CUmodule driver_compile_with(const Driver *d, const char *text, const char *name,
                             const char *more) {
  const char *const option[] = {"--gpu-architecture=sm_90", more};
  nvrtcProgram p;
  size_t n;
  CUmodule m;
  NEED(d->nvrtcCreateProgram(&p, text, name, 0, NULL, NULL) == NVRTC_SUCCESS);
  nvrtcResult result = d->nvrtcCompileProgram(p, more ? 2 : 1, option);
  if (result != NVRTC_SUCCESS) {
    d->nvrtcGetProgramLogSize(p, &n);
    char *log = malloc(n);
    d->nvrtcGetProgramLog(p, log);
    fprintf(stderr, "%s", log);
    free(log);
  }
  NEED(result == NVRTC_SUCCESS);
  NEED(d->nvrtcGetCUBINSize(p, &n) == NVRTC_SUCCESS);
  char *image = malloc(n);
  NEED(d->nvrtcGetCUBIN(p, image) == NVRTC_SUCCESS);
  NEED(d->cuModuleLoadData(&m, image) == CUDA_SUCCESS);
  free(image);
  NEED(d->nvrtcDestroyProgram(&p) == NVRTC_SUCCESS);
  return m;
}

CUfunction driver_function(const Driver *d, CUmodule m, const char *name) {
  CUfunction f;
  NEED(d->cuModuleGetFunction(&f, m, name) == CUDA_SUCCESS);
  return f;
}

CUdeviceptr driver_buffer(const Driver *d, const void *bytes, size_t n) {
  CUdeviceptr at;
  NEED(d->cuMemAlloc_v2(&at, n) == CUDA_SUCCESS);
  if (bytes) NEED(d->cuMemcpyHtoD_v2(at, bytes, n) == CUDA_SUCCESS);
  return at;
}

int scene_run(const Scene *s, char *said, size_t n) {
  FILE *f = tmpfile();
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; s->variable[i][0]; i++) setenv(s->variable[i][0], s->variable[i][1], 1);
    dup2(fileno(f), STDERR_FILENO);
    for (int i = SIGHUP; i < SIGRTMIN; i++)
      signal(i, SIG_DFL); /* cmocka's would go on with the tests */
    s->body(s->data);
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  rewind(f);
  said[fread(said, 1, n - 1, f)] = '\0';
  fclose(f);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + (status & 127);
}
