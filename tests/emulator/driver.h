/* The emulated stack as a test opens it: by dlopen, as programs do. Each scene runs in a process of
 * its own, since the emulator reads its environment once. */
#ifndef EMU_DRIVER_H
#define EMU_DRIVER_H

#include "tests/emulator/counts.h"
#include "tests/emulator/cublas_api.h"
#include "tests/emulator/cuda_calls.h"
#include "tests/emulator/nvrtc_api.h"

#include <stdbool.h>

#define EMU_CUDA_CALLS(X)                                                                          \
  X(cuInit)                                                                                        \
  X(cuDeviceGet)                                                                                   \
  X(cuDeviceGetCount)                                                                              \
  X(cuDeviceGetName)                                                                               \
  X(cuDeviceGetAttribute)                                                                          \
  X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease_v2) X(cuCtxSetCurrent) X(                \
      cuCtxSynchronize) X(cuGetErrorName) X(cuGetErrorString) X(cuGetProcAddress_v2)               \
      X(cuMemAlloc_v2) X(cuMemFree_v2) X(cuMemGetInfo_v2) X(cuMemHostAlloc) X(cuMemFreeHost) X(    \
          cuMemHostRegister_v2) X(cuMemHostUnregister) X(cuMemcpyHtoD_v2) X(cuMemcpyDtoH_v2)       \
          X(cuMemcpyDtoD_v2) X(cuMemcpyHtoDAsync_v2) X(cuMemcpyDtoHAsync_v2) X(                    \
              cuMemcpyDtoDAsync_v2) X(cuMemsetD8_v2) X(cuMemsetD32_v2) X(cuMemsetD8Async)          \
              X(cuMemsetD32Async) X(cuModuleLoadData) X(cuModuleUnload) X(cuModuleGetFunction) X(  \
                  cuModuleGetGlobal_v2) X(cuFuncGetAttribute) X(cuLaunchKernel)                    \
                  X(cuOccupancyMaxActiveBlocksPerMultiprocessor) X(cuStreamCreate) X(              \
                      cuStreamDestroy_v2) X(cuStreamSynchronize) X(cuStreamQuery)                  \
                      X(cuStreamWaitEvent) X(cuEventCreate) X(cuEventDestroy_v2) X(cuEventRecord)  \
                          X(cuEventSynchronize) X(cuEventQuery) X(cuEventElapsedTime)              \
                              X(cuStreamBeginCapture_v2) X(cuStreamEndCapture) X(                  \
                                  cuStreamIsCapturing) X(cuGraphCreate) X(cuGraphDestroy)          \
                                  X(cuGraphInstantiateWithFlags) X(cuGraphExecDestroy) X(          \
                                      cuGraphLaunch) X(cuGraphGetNodes) X(cuGraphAddKernelNode_v2) \
                                      X(cuGraphAddMemsetNode) X(cuGraphAddChildGraphNode)          \
                                          X(cuGraphAddDependencies_v2) X(emu_counts)               \
                                              X(cuStreamBeginCaptureToGraph)                       \
                                                  X(cuStreamGetCaptureInfo_v2)                     \
                                                      X(cuStreamUpdateCaptureDependencies)         \
                                                          X(cuGraphAddNode)                        \
                                                              X(cuGraphConditionalHandleCreate)
#define EMU_NVRTC_CALLS(X)                                                                         \
  X(nvrtcVersion)                                                                                  \
  X(nvrtcGetNumSupportedArchs)                                                                     \
  X(nvrtcGetSupportedArchs)                                                                        \
  X(nvrtcCreateProgram)                                                                            \
  X(nvrtcDestroyProgram)                                                                           \
  X(nvrtcCompileProgram) X(nvrtcGetPTXSize) X(nvrtcGetPTX) X(nvrtcGetCUBINSize) X(nvrtcGetCUBIN)   \
      X(nvrtcGetProgramLogSize) X(nvrtcGetProgramLog) X(nvrtcGetErrorString)
#define EMU_CUBLAS_CALLS(X)                                                                        \
  X(cublasCreate_v2)                                                                               \
  X(cublasDestroy_v2)                                                                              \
  X(cublasSetStream_v2)                                                                            \
  X(cublasSetWorkspace_v2)                                                                         \
  X(cublasSetMathMode)                                                                             \
  X(cublasGetVersion_v2) X(cublasSgemm_v2) X(cublasDgemm_v2) X(cublasSgemmStridedBatched)          \
      X(cublasDgemmStridedBatched) X(cublasGemmEx) X(cublasGemmStridedBatchedEx)                   \
          X(cublasGetStatusString)

#define EMU_MEMBER(name) __typeof__(&name) name;
typedef struct Driver {
  EMU_CUDA_CALLS(EMU_MEMBER)
  EMU_NVRTC_CALLS(EMU_MEMBER)
  EMU_CUBLAS_CALLS(EMU_MEMBER)
} Driver;

/* Opens the libraries in $MLO_CUDA_PATH, starts the driver, makes a context current. Ends the
 * process where something is missing. */
void driver_open(Driver *d);
void driver_libraries(Driver *d); /* without starting */

/* Compiles for sm_90, with one more option, and loads; ends the process with the log where that
 * fails. */
CUmodule driver_compile_with(const Driver *d, const char *text, const char *name,
                             const char *more);
CUmodule driver_compile(const Driver *d, const char *text, const char *name); /* without */
CUfunction driver_function(const Driver *d, CUmodule m, const char *name);
/* Device memory with these bytes (NULL: as it comes). */
CUdeviceptr driver_buffer(const Driver *d, const void *bytes, size_t n);

/* Ends the process with a message unless the condition holds. */
#define NEED(condition) driver_need(condition, #condition, __FILE__, __LINE__)
void driver_need(bool condition, const char *text, const char *file, int line);

typedef struct Scene {
  const char *variable[8][2]; /* of the environment; ended by NULL */
  void (*body)(const void *data);
  const void *data;
} Scene;
/* What the process answers: 0 where its body returned; its stderr in `said`. */
int scene_run(const Scene *s, char *said, size_t n);

#endif
