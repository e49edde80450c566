/* A libnvrtc.so.13 that compiles nothing: whatever the source, it gives the cubin of
   support/made_cubin.h, one of whose kernels spills. For "sm_80" it gives what is no cubin. */
#include "tests/support/made_cubin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct Compiled {
  bool cubin;
} Compiled;

int nvrtcVersion(int *major, int *minor);
int nvrtcCreateProgram(Compiled **p, const char *source, const char *name, int nheader,
                       const char *const *header, const char *const *include);
int nvrtcCompileProgram(Compiled *p, int noption, const char *const *option);
int nvrtcGetCUBINSize(Compiled *p, size_t *n);
int nvrtcGetCUBIN(Compiled *p, char *to);
int nvrtcGetPTXSize(Compiled *p, size_t *n);
int nvrtcGetPTX(Compiled *p, char *to);
int nvrtcGetProgramLogSize(Compiled *p, size_t *n);
int nvrtcGetProgramLog(Compiled *p, char *to);
int nvrtcDestroyProgram(Compiled **p);
const char *nvrtcGetErrorString(int result);

enum { SUCCESS, INVALID_PROGRAM = 4 };

int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return SUCCESS;
}

int nvrtcCreateProgram(Compiled **p, const char *source, const char *name, int nheader,
                       const char *const *header, const char *const *include) {
  (void)source, (void)name, (void)nheader, (void)header, (void)include;
  *p = calloc(1, sizeof **p);
  return *p ? SUCCESS : INVALID_PROGRAM;
}

int nvrtcCompileProgram(Compiled *p, int noption, const char *const *option) {
  p->cubin = true;
  for (int i = 0; i < noption; i++)
    if (!strcmp(option[i], "--gpu-architecture=sm_80")) p->cubin = false;
  return SUCCESS;
}

int nvrtcGetCUBINSize(Compiled *p, size_t *n) {
  *n = p->cubin ? sizeof(MadeCubin) : 1;
  return SUCCESS;
}

int nvrtcGetCUBIN(Compiled *p, char *to) {
  MadeCubin m = made_cubin();
  memcpy(to, m.byte, p->cubin ? sizeof m : 1);
  return SUCCESS;
}

int nvrtcGetPTXSize(Compiled *p, size_t *n) {
  (void)p, (void)n;
  return INVALID_PROGRAM;
}

int nvrtcGetPTX(Compiled *p, char *to) {
  (void)p, (void)to;
  return INVALID_PROGRAM;
}

int nvrtcGetProgramLogSize(Compiled *p, size_t *n) {
  (void)p;
  *n = strlen(made_cubin_log) + 1;
  return SUCCESS;
}

int nvrtcGetProgramLog(Compiled *p, char *to) {
  (void)p;
  strcpy(to, made_cubin_log);
  return SUCCESS;
}

int nvrtcDestroyProgram(Compiled **p) {
  free(*p);
  *p = NULL;
  return SUCCESS;
}

const char *nvrtcGetErrorString(int result) { return result ? "NVRTC_ERROR" : "NVRTC_SUCCESS"; }
