/* The part of nvrtc.h that is emulated. With EMU_REAL_HEADERS the toolkit's own header stands here,
 * so that the compiler compares our definitions with its declarations. */
#ifndef EMU_NVRTC_API_H
#define EMU_NVRTC_API_H

#ifdef EMU_REAL_HEADERS
#include <nvrtc.h>
#else
#include <stddef.h>

typedef enum {
  NVRTC_SUCCESS = 0,
  NVRTC_ERROR_OUT_OF_MEMORY = 1,
  NVRTC_ERROR_INVALID_INPUT = 3,
  NVRTC_ERROR_INVALID_PROGRAM = 4,
  NVRTC_ERROR_INVALID_OPTION = 5,
  NVRTC_ERROR_COMPILATION = 6,
} nvrtcResult;
typedef struct _nvrtcProgram *nvrtcProgram;

const char *nvrtcGetErrorString(nvrtcResult result);
nvrtcResult nvrtcVersion(int *major, int *minor);
nvrtcResult nvrtcGetNumSupportedArchs(int *n);
nvrtcResult nvrtcGetSupportedArchs(int *arch);
nvrtcResult nvrtcCreateProgram(nvrtcProgram *prog, const char *src, const char *name, int nheader,
                               const char *const *header, const char *const *include_name);
nvrtcResult nvrtcDestroyProgram(nvrtcProgram *prog);
nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int noption, const char *const *option);
nvrtcResult nvrtcGetPTXSize(nvrtcProgram prog, size_t *n);
nvrtcResult nvrtcGetPTX(nvrtcProgram prog, char *ptx);
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t *n);
nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char *cubin);
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t *n);
nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char *log);
#endif

#endif
