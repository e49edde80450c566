/* The CUDA driver and cuBLAS, opened at run time: tables of their functions by name. A name with a
   version is another function than the one without. */

#include "runtime/cuda_api.h"

#include "runtime/cuda_open.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct Entry {
  const char *name;
  void *to;
} Entry;

static bool find(void *library, const char *what, const Entry *f, size_t n, RtErr *e) {
  for (size_t i = 0; i < n; i++)
    if (!rt_cuda_symbol(library, what, f[i].name, f[i].to, e)) return false;
  return true;
}

static const char driver[] = "the CUDA driver", cublas[] = "cuBLAS";

static bool find_driver(RtCuda *c, RtErr *e) {
  const Entry f[] = {{"cuInit", &c->init},
                     {"cuDriverGetVersion", &c->version},
                     {"cuGetErrorName", &c->error_name},
                     {"cuGetErrorString", &c->error_text},
                     {"cuDeviceGetCount", &c->device_count},
                     {"cuDeviceGet", &c->device},
                     {"cuDeviceGetName", &c->device_name},
                     {"cuDeviceGetAttribute", &c->attribute},
                     {"cuDevicePrimaryCtxRetain", &c->retain},
                     {"cuDevicePrimaryCtxRelease_v2", &c->release},
                     {"cuCtxSetCurrent", &c->set_context},
                     {"cuMemGetInfo_v2", &c->memory},
                     {"cuMemAlloc_v2", &c->allocate},
                     {"cuMemFree_v2", &c->free},
                     {"cuMemHostRegister_v2", &c->pin},
                     {"cuMemHostUnregister", &c->unpin},
                     {"cuMemHostGetDevicePointer_v2", &c->pinned},
                     {"cuMemcpyHtoDAsync_v2", &c->to_device},
                     {"cuMemcpyDtoHAsync_v2", &c->to_host},
                     {"cuMemcpyDtoDAsync_v2", &c->within},
                     {"cuMemsetD8Async", &c->fill},
                     {"cuMemsetD32Async", &c->fill_words},
                     {"cuStreamCreate", &c->stream},
                     {"cuStreamDestroy_v2", &c->stream_free},
                     {"cuStreamSynchronize", &c->wait},
                     {"cuStreamBeginCapture_v2", &c->begin_capture},
                     {"cuStreamEndCapture", &c->end_capture},
                     {"cuGraphInstantiateWithFlags", &c->instantiate},
                     {"cuGraphLaunch", &c->launch_graph},
                     {"cuGraphDestroy", &c->graph_free},
                     {"cuGraphExecDestroy", &c->graph_exec_free},
                     {"cuEventCreate", &c->event},
                     {"cuEventDestroy_v2", &c->event_free},
                     {"cuEventRecord", &c->record},
                     {"cuEventQuery", &c->query},
                     {"cuEventSynchronize", &c->wait_event},
                     {"cuStreamWaitEvent", &c->behind},
                     {"cuModuleLoadData", &c->load},
                     {"cuModuleUnload", &c->unload},
                     {"cuModuleGetFunction", &c->function},
                     {"cuLaunchKernel", &c->launch}};
  return find(c->library, driver, f, sizeof f / sizeof *f, e);
}

/* These names are of functions without data of edges, which newer drivers have as well. */
static void find_loops(RtCuda *c) {
  const Entry f[] = {{"cuStreamGetCaptureInfo_v2", &c->capture_info},
                     {"cuStreamUpdateCaptureDependencies", &c->set_dependencies},
                     {"cuStreamBeginCaptureToGraph", &c->capture_into},
                     {"cuGraphConditionalHandleCreate", &c->condition},
                     {"cuGraphAddNode", &c->add_node}};
  RtErr missing = {0};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    rt_cuda_symbol(c->library, driver, f[i].name, f[i].to, &missing);
}

bool rt_cuda_has_loops(const RtCuda *c) {
  return c->capture_info && c->set_dependencies && c->capture_into && c->condition && c->add_node;
}

bool rt_cuda_api(RtCuda *c, RtErr *e) {
  static const char *const soname[] = {"libcuda.so.1", NULL};
  *c = (RtCuda){0};
  c->library = rt_cuda_open(driver, soname, e);
  if (c->library && find_driver(c, e) &&
      rt_cuda_ok(c, c->init(0), e, "the CUDA driver does not start")) {
    find_loops(c);
    return true;
  }
  rt_cuda_api_close(c);
  return false;
}

void rt_cuda_api_close(RtCuda *c) {
  if (c->library) dlclose(c->library);
  *c = (RtCuda){0};
}

bool rt_cuda_ok(const RtCuda *c, int result, RtErr *e, const char *format, ...) {
  if (result == CU_SUCCESS) return true;
  char what[700];
  const char *name = NULL, *text = NULL;
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  if (c->error_name(result, &name) != CU_SUCCESS) name = NULL;
  if (c->error_text(result, &text) != CU_SUCCESS) text = NULL;
  if (!name || !text)
    return rt_fail(e, RT_DEVICE, "%s: error %d, which the driver has no words for", what, result);
  return rt_fail(e, RT_DEVICE, "%s: %s (%s)", what, name, text);
}

static bool find_cublas(RtCublas *b, RtErr *e) {
  const Entry f[] = {{"cublasCreate_v2", &b->create},
                     {"cublasDestroy_v2", &b->destroy},
                     {"cublasGetVersion_v2", &b->version},
                     {"cublasSetStream_v2", &b->set_stream},
                     {"cublasSetWorkspace_v2", &b->set_workspace},
                     {"cublasGetStatusString", &b->error},
                     {"cublasGemmEx", &b->gemm},
                     {"cublasGemmStridedBatchedEx", &b->gemm_batched}};
  return find(b->library, cublas, f, sizeof f / sizeof *f, e);
}

/* The stream first: setting it takes the workspace away. */
int rt_cublas_turn(const RtCublas *b, CuStream s, CuAddress at, size_t n) {
  int status = b->set_stream(b->handle, s);
  return status ? status : b->set_workspace(b->handle, (void *)(uintptr_t)at, n);
}

bool rt_cublas_open(RtCublas *b, CuStream s, CuAddress at, size_t n, RtErr *e) {
  static const char *const soname[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so", NULL};
  *b = (RtCublas){0};
  b->library = rt_cuda_open(cublas, soname, e);
  if (!b->library || !find_cublas(b, e)) return false;
  int status = b->create(&b->handle);
  if (!status) status = rt_cublas_turn(b, s, at, n);
  return !status || rt_fail(e, RT_DEVICE, "cuBLAS does not start: %s", b->error(status));
}

void rt_cublas_close(RtCublas *b) {
  if (b->handle) b->destroy(b->handle);
  if (b->library) dlclose(b->library);
  *b = (RtCublas){0};
}
