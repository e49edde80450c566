/* The emulated libraries beside kernels: starting and failing, memory, streams, captures and
 * graphs, products of matrices, and what NVRTC refuses. */

#include "tests/unit/test_files.h"

#include "tests/emulator/broken.h"
#include "tests/emulator/driver.h"
#include "tests/emulator/kernels.h"

#include <math.h>

#define OK(call) NEED((call) == CUDA_SUCCESS)

static const char ADD[] =
    "__global__ void add_one(float *x) { x[blockIdx.x * 64 + threadIdx.x] += 1; }\n"
    "__global__ void twice(float *x) { x[blockIdx.x * 64 + threadIdx.x] *= 2; }\n"
    "__global__ void pair(long long n, float v, float *x) { x[n] = v; }\n";

static void expect(void (*body)(const void *), const char *name, const char *text,
                   const char *said_contains) {
  char said[8192];
  Scene s = {{{"MLO_EMU_STATS", "0"}}, body, NULL};
  if (name) s.variable[1][0] = name, s.variable[1][1] = text;
  int status = scene_run(&s, said, sizeof said);
  if (status != 0 || (said_contains ? !strstr(said, said_contains) : said[0] != '\0'))
    fail_msg("status %d: %s", status, said);
}

static void no_device_body(const void *data) {
  Driver d;
  int n;
  (void)data;
  driver_libraries(&d);
  NEED(d.cuDeviceGetCount(&n) == CUDA_ERROR_NOT_INITIALIZED);
  NEED(d.cuInit(0) == CUDA_ERROR_NO_DEVICE);
}

static void start_body(const void *data) {
  Driver d;
  int n, major, minor;
  CUdeviceptr at;
  void *function;
  const char *name;
  (void)data;
  driver_libraries(&d);
  OK(d.cuInit(0));
  OK(d.cuDeviceGetCount(&n));
  NEED(n == 1);
  OK(d.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  OK(d.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
  NEED(major == 8 && minor == 6);
  NEED(d.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1) ==
       CUDA_ERROR_INVALID_DEVICE);
  NEED(d.cuMemAlloc_v2(&at, 4) == CUDA_ERROR_INVALID_CONTEXT);
  OK(d.cuGetProcAddress_v2("cuMemAlloc", &function, 13000, 0, NULL));
  NEED(function == *(void **)&d.cuMemAlloc_v2);
  NEED(d.cuGetProcAddress_v2("cuMemNothing", &function, 13000, 0, NULL) == CUDA_ERROR_NOT_FOUND);
  OK(d.cuGetErrorName(CUDA_ERROR_NO_DEVICE, &name));
  NEED(strcmp(name, "CUDA_ERROR_NO_DEVICE") == 0);
  driver_open(&d);
  static const char *const option[] = {"-arch=sm_90"};
  nvrtcProgram p;
  size_t bytes;
  char *image;
  CUmodule m;
  NEED(d.nvrtcCreateProgram(&p, ADD, "add", 0, NULL, NULL) == NVRTC_SUCCESS);
  NEED(d.nvrtcCompileProgram(p, 1, option) == NVRTC_SUCCESS);
  NEED(d.nvrtcGetCUBINSize(p, &bytes) == NVRTC_SUCCESS);
  image = malloc(bytes);
  NEED(d.nvrtcGetCUBIN(p, image) == NVRTC_SUCCESS);
  NEED(d.cuModuleLoadData(&m, image) == CUDA_ERROR_NO_BINARY_FOR_GPU);
  NEED(d.cuModuleLoadData(&m, "\177ELF of another kind, and some more") ==
       CUDA_ERROR_INVALID_IMAGE);
}

static void test_start(void **state) {
  (void)state;
  expect(no_device_body, "MLO_EMU_DEVICES", "0", NULL);
  expect(start_body, "MLO_EMU_CC", "86", NULL);
}

static void memory_body(const void *data) {
  Driver d;
  CUdeviceptr a, b, c;
  size_t available, total;
  float x[4] = {1, 2, 3, 4}, y[4];
  unsigned words[4];
  void *pinned;
  (void)data;
  driver_open(&d);
  OK(d.cuMemAlloc_v2(&a, 600));
  NEED(d.cuMemAlloc_v2(&b, 600) == CUDA_ERROR_OUT_OF_MEMORY);
  OK(d.cuMemAlloc_v2(&b, 400));
  OK(d.cuMemGetInfo_v2(&available, &total));
  NEED(available == 0 && total == 1000);
  OK(d.cuMemFree_v2(b));
  NEED(d.cuMemFree_v2(b) == CUDA_ERROR_INVALID_VALUE);
  OK(d.cuMemAlloc_v2(&c, 16));
  NEED(c % 256 == 0);
  OK(d.cuMemcpyDtoH_v2(y, c, 16));
  NEED(isnan(y[0]) && isnan(y[3]));
  OK(d.cuMemcpyHtoD_v2(c, x, 16));
  OK(d.cuMemcpyDtoD_v2(a + 16, c, 16));
  OK(d.cuMemsetD32_v2(c, 7, 2));
  OK(d.cuMemsetD8_v2(c + 8, 1, 3));
  OK(d.cuMemcpyDtoH_v2(words, c, 16));
  NEED(words[0] == 7 && words[1] == 7 && (words[2] & 0xffffff) == 0x010101);
  OK(d.cuMemcpyDtoH_v2(y, a + 16, 16));
  NEED(memcmp(x, y, 16) == 0);
  NEED(d.cuMemcpyHtoD_v2(c + 4, x, 16) == CUDA_ERROR_INVALID_VALUE);
  NEED(d.cuMemcpyDtoH_v2(y, (CUdeviceptr)(uintptr_t)x, 16) == CUDA_ERROR_INVALID_VALUE);
  NEED(d.cuMemsetD32_v2(c + 2, 7, 1) == CUDA_ERROR_INVALID_VALUE);
  OK(d.cuMemHostAlloc(&pinned, 100, 0));
  OK(d.cuMemFreeHost(pinned));
  OK(d.cuMemHostRegister_v2(x, sizeof x, 0));
  NEED(d.cuMemHostRegister_v2(x, sizeof x, 0) == CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  OK(d.cuMemHostUnregister(x));
  NEED(d.cuMemHostUnregister(x) == CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

/* Device memory that the host touches. */
static void touch_body(const void *data) {
  Driver d;
  (void)data;
  driver_open(&d);
  volatile float *x = (float *)(uintptr_t)driver_buffer(&d, NULL, 4);
  x[0] = 1;
}

static void test_memory(void **state) {
  char said[4096];
  (void)state;
  expect(memory_body, "MLO_EMU_MEMORY", "1000", NULL);
  Scene touch = {{{"MLO_EMU_CHECK", "1"}}, touch_body, NULL};
  assert_int_not_equal(scene_run(&touch, said, sizeof said), 0);
}

static void launch_body(const void *data) {
  Driver d;
  CUdeviceptr x;
  int value;
  (void)data;
  driver_open(&d);
  CUmodule m = driver_compile(&d, ADD, "add");
  CUfunction f = driver_function(&d, m, "pair"), none;
  NEED(d.cuModuleGetFunction(&none, m, "nothing") == CUDA_ERROR_NOT_FOUND);
  x = driver_buffer(&d, NULL, 256);
  long long n = 5;
  float v = 3, got;
  void *argument[] = {&n, &v, &x};
  OK(d.cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, argument, NULL));
  OK(d.cuMemcpyDtoH_v2(&got, x + 20, 4));
  NEED(got == 3);
  NEED(d.cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, NULL, argument, NULL) == CUDA_ERROR_INVALID_VALUE);
  NEED(d.cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, argument, NULL) ==
       CUDA_ERROR_INVALID_VALUE);
  OK(d.cuModuleUnload(m));
  m = driver_compile(&d, MATMUL, "matmul");
  f = driver_function(&d, m, "matmul");
  OK(d.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
  NEED(value == 64);
  OK(d.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f));
  NEED(value == 512);
  OK(d.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, f, 64, 0));
  NEED(value == 32);
}

/* After a failed launch nothing works, until the context is given back. */
static void sticky_body(const void *data) {
  Driver d;
  CUcontext context;
  CUdeviceptr x;
  (void)data;
  driver_open(&d);
  CUfunction f = driver_function(&d, driver_compile(&d, BROKEN, "broken"), "ended");
  CUdeviceptr at = driver_buffer(&d, NULL, 256);
  void *argument[] = {&at, &at};
  NEED(d.cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, argument, NULL) == CUDA_ERROR_LAUNCH_FAILED);
  NEED(d.cuMemAlloc_v2(&x, 4) == CUDA_ERROR_LAUNCH_FAILED);
  NEED(d.cuCtxSynchronize() == CUDA_ERROR_LAUNCH_FAILED);
  OK(d.cuDevicePrimaryCtxRelease_v2(0));
  NEED(d.cuMemAlloc_v2(&x, 4) == CUDA_ERROR_INVALID_CONTEXT);
  OK(d.cuDevicePrimaryCtxRetain(&context, 0));
  OK(d.cuMemAlloc_v2(&x, 4));
}

static void test_launches(void **state) {
  (void)state;
  expect(launch_body, NULL, NULL, NULL);
  expect(launch_body, "MLO_EMU_CHECK", "1", NULL);
  expect(sticky_body, NULL, NULL, "ended: block 0: broken.mlo:36: divergent barrier");
}

static void launch(const Driver *d, CUfunction f, CUdeviceptr x, CUstream s) {
  void *argument[] = {&x};
  OK(d->cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, s, argument, NULL));
}

static float first(const Driver *d, CUdeviceptr x) {
  float y;
  OK(d->cuMemcpyDtoH_v2(&y, x, 4));
  return y;
}

/* y += 1; x = 2 y. */
static CUgraph captured(const Driver *d, CUstream s, CUmodule m, CUdeviceptr x, CUdeviceptr y) {
  CUgraph g;
  CUgraphNode node[8];
  CUstreamCaptureStatus status;
  size_t n = 8;
  OK(d->cuMemsetD32_v2(y, 0, 64));
  OK(d->cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(d->cuStreamIsCapturing(s, &status));
  NEED(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  launch(d, driver_function(d, m, "add_one"), y, s);
  OK(d->cuMemcpyDtoDAsync_v2(x, y, 256, s));
  launch(d, driver_function(d, m, "twice"), x, s);
  OK(d->cuStreamEndCapture(s, &g));
  NEED(first(d, y) == 0); /* nothing has run */
  OK(d->cuGraphGetNodes(g, node, &n));
  NEED(n == 3 && node[0] && node[2]);
  return g;
}

static void replay(const Driver *d, CUgraph g, CUstream s, CUdeviceptr x, CUdeviceptr y) {
  CUgraphExec exec;
  EmuCounts before, after;
  OK(d->cuGraphInstantiateWithFlags(&exec, g, 0));
  d->emu_counts(&before);
  for (int i = 1; i <= 3; i++) {
    OK(d->cuGraphLaunch(exec, s));
    OK(d->cuStreamSynchronize(s));
    NEED(first(d, y) == (float)i && first(d, x) == (float)(2 * i));
  }
  d->emu_counts(&after);
  NEED(after.graph_launches - before.graph_launches == 3);
  NEED(after.graph_kernels - before.graph_kernels == 6 && after.kernels == before.kernels);
  NEED(after.copies_within - before.copies_within == 3);
  NEED(after.synchronizations - before.synchronizations == 3 + 6);
  OK(d->cuGraphExecDestroy(exec));
}

/* By hand: g as a child, then x = 0, then x += 1. */
static void by_hand(const Driver *d, CUgraph g, CUstream s, CUfunction add, CUdeviceptr x) {
  CUgraph outer;
  CUgraphExec exec;
  CUgraphNode node[3];
  void *argument[] = {&x};
  CUDA_MEMSET_NODE_PARAMS fill = {.dst = x, .value = 0, .elementSize = 4, .width = 64, .height = 1};
  CUDA_KERNEL_NODE_PARAMS_v2 kernel = {.func = add, .kernelParams = argument};
  kernel.gridDimX = kernel.gridDimY = kernel.gridDimZ = 1;
  kernel.blockDimX = 64, kernel.blockDimY = kernel.blockDimZ = 1;
  OK(d->cuGraphCreate(&outer, 0));
  OK(d->cuGraphAddChildGraphNode(&node[0], outer, NULL, 0, g));
  OK(d->cuGraphAddMemsetNode(&node[1], outer, NULL, 0, &fill, NULL));
  OK(d->cuGraphAddKernelNode_v2(&node[2], outer, &node[1], 1, &kernel));
  OK(d->cuGraphAddDependencies_v2(outer, &node[0], &node[1], NULL, 1));
  OK(d->cuGraphDestroy(g));
  OK(d->cuGraphInstantiateWithFlags(&exec, outer, 0));
  OK(d->cuGraphLaunch(exec, s));
  NEED(first(d, x) == 1);
  OK(d->cuGraphAddDependencies_v2(outer, &node[2], &node[0], NULL, 1)); /* a cycle */
  NEED(d->cuGraphInstantiateWithFlags(&exec, outer, 0) == CUDA_ERROR_INVALID_VALUE);
}

static void graph_body(const void *data) {
  Driver d;
  CUstream s;
  (void)data;
  driver_open(&d);
  CUmodule m = driver_compile(&d, ADD, "add");
  CUdeviceptr x = driver_buffer(&d, NULL, 256), y = driver_buffer(&d, NULL, 256);
  OK(d.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
  CUgraph g = captured(&d, s, m, x, y);
  replay(&d, g, s, x, y);
  by_hand(&d, g, s, driver_function(&d, m, "add_one"), x);
  NEED(first(&d, y) == 4);
}

static void test_graphs(void **state) {
  static const char *const orders[] = {"forward", "reverse", "random"};
  (void)state;
  for (int o = 0; o < 3; o++) expect(graph_body, "MLO_EMU_ORDER", orders[o], NULL);
  expect(graph_body, "MLO_EMU_CHECK", "1", NULL);
}

/* What a capture in this mode answers to the call of this number. */
static CUresult forbidden(const Driver *d, int call, CUstream s, CUdeviceptr x) {
  float y;
  CUdeviceptr z;
  CUevent e;
  switch (call) {
  case 0: return d->cuStreamSynchronize(s);
  case 1: return d->cuStreamQuery(s);
  case 2: return d->cuMemcpyDtoH_v2(&y, x, 4);
  case 3: return d->cuMemAlloc_v2(&z, 4);
  case 4: return d->cuCtxSynchronize();
  case 5: return d->cuMemsetD8_v2(x, 0, 4);
  default:
    OK(d->cuEventCreate(&e, 0));
    OK(d->cuEventRecord(e, s));
    return d->cuEventSynchronize(e);
  }
}

static void capture_body(const void *data) {
  static const CUresult relaxed[] = {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                                     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                                     CUDA_SUCCESS,
                                     CUDA_SUCCESS,
                                     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                                     CUDA_SUCCESS,
                                     CUDA_ERROR_CAPTURED_EVENT};
  Driver d;
  CUgraph g;
  CUstream s, blocking;
  (void)data;
  driver_open(&d);
  CUdeviceptr x = driver_buffer(&d, NULL, 256);
  OK(d.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
  OK(d.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  for (int i = 0; i < 14; i++) {
    CUresult want = i >= 7   ? relaxed[i - 7]
                    : i == 6 ? CUDA_ERROR_CAPTURED_EVENT
                             : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    OK(d.cuStreamBeginCapture_v2(s, i < 7 ? CU_STREAM_CAPTURE_MODE_GLOBAL
                                          : CU_STREAM_CAPTURE_MODE_RELAXED));
    NEED(forbidden(&d, i % 7, s, x) == want);
    bool invalid = want == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (invalid) NEED(d.cuMemsetD8Async(x, 0, 4, s) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    NEED(d.cuStreamEndCapture(s, &g) ==
         (invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS));
    NEED(invalid == (g == NULL));
    OK(d.cuStreamSynchronize(s));
  }
  OK(d.cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
  NEED(d.cuMemsetD8_v2(x, 0, 4) == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  NEED(d.cuStreamEndCapture(blocking, &g) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  NEED(d.cuStreamEndCapture(blocking, &g) == CUDA_ERROR_ILLEGAL_STATE);
  NEED(d.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL) ==
       CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

/* Two streams, and events for where they part and meet. */
static void open_fork(Driver *d, CUstream *s, CUstream *t, CUevent *fork, CUevent *join) {
  OK(d->cuStreamCreate(s, CU_STREAM_NON_BLOCKING));
  OK(d->cuStreamCreate(t, CU_STREAM_NON_BLOCKING));
  OK(d->cuEventCreate(fork, CU_EVENT_DISABLE_TIMING));
  OK(d->cuEventCreate(join, CU_EVENT_DISABLE_TIMING));
}

/* Two streams in one capture; unless the second is joined again, it fails. */
static void fork_body(const void *data) {
  Driver d;
  CUgraph g;
  CUgraphExec exec;
  CUstream s, t;
  CUevent fork, join;
  (void)data;
  driver_open(&d);
  CUmodule m = driver_compile(&d, ADD, "add");
  CUfunction add = driver_function(&d, m, "add_one"), twice = driver_function(&d, m, "twice");
  CUdeviceptr x = driver_buffer(&d, NULL, 256);
  open_fork(&d, &s, &t, &fork, &join);
  for (int joined = 0; joined < 2; joined++) {
    OK(d.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(d.cuMemsetD32Async(x, 0x3f800000, 64, s));
    OK(d.cuEventRecord(fork, s));
    OK(d.cuStreamWaitEvent(t, fork, 0));
    launch(&d, twice, x, t);
    OK(d.cuEventRecord(join, t));
    if (joined) OK(d.cuStreamWaitEvent(s, join, 0));
    if (joined) launch(&d, add, x, s);
    NEED(d.cuStreamEndCapture(t, &g) == CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    NEED(d.cuStreamEndCapture(s, &g) ==
         (joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED));
  }
  OK(d.cuGraphInstantiateWithFlags(&exec, g, 0));
  OK(d.cuGraphLaunch(exec, s));
  OK(d.cuStreamSynchronize(s));
  NEED(first(&d, x) == 3);
}

/* Branches that part and meet again and again are as many paths as numbers of so many bits. */
static void forks_body(const void *data) {
  enum { FORKS = 100 };
  Driver d;
  CUgraph g;
  CUgraphExec exec;
  CUstream s, t;
  CUevent fork, join;
  (void)data;
  driver_open(&d);
  CUfunction add = driver_function(&d, driver_compile(&d, ADD, "add"), "add_one");
  CUdeviceptr x = driver_buffer(&d, NULL, 256), y = driver_buffer(&d, NULL, 256);
  open_fork(&d, &s, &t, &fork, &join);
  for (int joined = 0; joined < 2; joined++) {
    OK(d.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(d.cuMemsetD32Async(x, 0, 64, s));
    OK(d.cuMemsetD32Async(y, 0, 64, s));
    for (int i = 0; i < FORKS; i++) {
      OK(d.cuEventRecord(fork, s));
      OK(d.cuStreamWaitEvent(t, fork, 0));
      launch(&d, add, y, t);
      OK(d.cuEventRecord(join, t));
      launch(&d, add, x, s);
      if (joined || i < FORKS - 1) OK(d.cuStreamWaitEvent(s, join, 0));
    }
    NEED(d.cuStreamEndCapture(s, &g) ==
         (joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED));
  }
  OK(d.cuGraphInstantiateWithFlags(&exec, g, 0));
  OK(d.cuGraphLaunch(exec, s));
  OK(d.cuStreamSynchronize(s));
  NEED(first(&d, x) == FORKS && first(&d, y) == FORKS);
}

static void test_captures(void **state) {
  (void)state;
  expect(capture_body, NULL, NULL, NULL);
  expect(fork_body, NULL, NULL, NULL);
  expect(fork_body, "MLO_EMU_ORDER", "reverse", NULL);
  expect(forks_body, NULL, NULL, NULL);
  expect(forks_body, "MLO_EMU_ORDER", "random", NULL);
}

/* With MLO_EMU_LAZY=1, work runs when the host waits for it. */
static void lazy_body(const void *data) {
  Driver d;
  CUstream s, t;
  CUevent e;
  float *in, *out, ms;
  (void)data;
  driver_open(&d);
  CUfunction add = driver_function(&d, driver_compile(&d, ADD, "add"), "add_one");
  CUdeviceptr x = driver_buffer(&d, NULL, 256);
  OK(d.cuMemHostAlloc((void **)&in, 256, 0));
  OK(d.cuMemHostAlloc((void **)&out, 256, 0));
  OK(d.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
  OK(d.cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
  OK(d.cuEventCreate(&e, 0));
  in[0] = 1, out[0] = 0;
  OK(d.cuMemcpyHtoDAsync_v2(x, in, 256, s));
  launch(&d, add, x, s);
  OK(d.cuEventRecord(e, s));
  NEED(d.cuEventElapsedTime(&ms, e, e) == CUDA_ERROR_NOT_READY);
  OK(d.cuStreamWaitEvent(t, e, 0));
  OK(d.cuMemcpyDtoHAsync_v2(out, x, 4, t));
  in[0] = 5; /* before the copy from it has run */
  NEED(out[0] == 0);
  OK(d.cuStreamSynchronize(t));
  NEED(out[0] == 6);
  OK(d.cuEventElapsedTime(&ms, e, e));
  in[0] = 1;
  OK(d.cuMemcpyHtoDAsync_v2(x, in, 256, s));
  OK(d.cuMemcpyDtoHAsync_v2(out, x, 4, t)); /* waits for nothing */
  OK(d.cuStreamSynchronize(t));
  NEED(out[0] == 6);
  OK(d.cuCtxSynchronize());
}

static void test_lazy(void **state) {
  (void)state;
  expect(lazy_body, "MLO_EMU_LAZY", "1", NULL);
}

enum { M = 5, N = 4, K = 3, BATCH = 2, LD = 7 };

static double value(int i, int j) { return sin(1 + 3 * i + 7 * j); }

/* C = 2 op(A) op(B) + 0.5 C for all transpositions, in batches, in float and double. */
static void products(const Driver *d, cublasHandle_t handle, bool ta, bool tb) {
  static double a[BATCH * LD * LD], b[BATCH * LD * LD], c[BATCH * LD * LD], got[BATCH * LD * LD];
  static float af[BATCH * LD * LD], bf[BATCH * LD * LD], cf[BATCH * LD * LD];
  enum { S = LD * LD };
  for (int i = 0; i < BATCH * S; i++) {
    af[i] = (float)(a[i] = value(i, 1));
    bf[i] = (float)(b[i] = value(i, 2));
    cf[i] = (float)(c[i] = value(i, 3));
  }
  CUdeviceptr da = driver_buffer(d, a, sizeof a), db = driver_buffer(d, b, sizeof b),
              dc = driver_buffer(d, c, sizeof c);
  CUdeviceptr ea = driver_buffer(d, af, sizeof af), eb = driver_buffer(d, bf, sizeof bf),
              ec = driver_buffer(d, cf, sizeof cf);
  double alpha = 2, beta = 0.5;
  float alphaf = 2, betaf = 0.5;
  cublasOperation_t oa = ta ? CUBLAS_OP_T : CUBLAS_OP_N, ob = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
#define AT(type, p) ((type *)(uintptr_t)(p))
  NEED(d->cublasDgemmStridedBatched(handle, oa, ob, M, N, K, &alpha, AT(double, da), LD, S,
                                    AT(double, db), LD, S, &beta, AT(double, dc), LD, S,
                                    BATCH) == CUBLAS_STATUS_SUCCESS);
  NEED(d->cublasSgemmStridedBatched(handle, oa, ob, M, N, K, &alphaf, AT(float, ea), LD, S,
                                    AT(float, eb), LD, S, &betaf, AT(float, ec), LD, S,
                                    BATCH) == CUBLAS_STATUS_SUCCESS);
  OK(d->cuMemcpyDtoH_v2(got, dc, sizeof got));
  OK(d->cuMemcpyDtoH_v2(cf, ec, sizeof cf));
  for (int q = 0; q < BATCH; q++)
    for (int j = 0; j < LD; j++)
      for (int i = 0; i < LD; i++) {
        double s = 0, old = c[q * S + j * LD + i];
        for (int k = 0; k < K; k++)
          s +=
              a[q * S + (ta ? i * LD + k : k * LD + i)] * b[q * S + (tb ? k * LD + j : j * LD + k)];
        double want = i < M && j < N ? 2 * s + 0.5 * old : old;
        NEED(fabs(got[q * S + j * LD + i] - want) < 1e-14 &&
             fabs((double)cf[q * S + j * LD + i] - want) < 1e-5);
      }
}

/* 1 + 2^-bit times 1, with operands that are rounded. */
static float rounded(const Driver *d, cublasHandle_t handle, float x, cublasComputeType_t compute) {
  float one = 1, zero = 0;
  CUdeviceptr a = driver_buffer(d, &x, 4), b = driver_buffer(d, &one, 4),
              c = driver_buffer(d, NULL, 4);
  NEED(d->cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, AT(float, a), CUDA_R_32F, 1,
                       AT(float, b), CUDA_R_32F, 1, &zero, AT(float, c), CUDA_R_32F, 1, compute,
                       CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  return first(d, c);
}

static void gemm_body(const void *data) {
  Driver d;
  cublasHandle_t handle;
  CUstream s;
  CUgraph g;
  CUgraphExec exec;
  float one = 1, ones[4] = {1, 1, 1, 1};
  (void)data;
  driver_open(&d);
  NEED(d.cublasCreate_v2(&handle) == CUBLAS_STATUS_SUCCESS);
  for (int i = 0; i < 4; i++) products(&d, handle, i & 1, i & 2);
  const float fine = 1 + 0x1p-12f, tf32 = 1 + 0x1p-10f, bf16 = 1 + 0x1p-7f;
  NEED(rounded(&d, handle, fine, CUBLAS_COMPUTE_32F) == fine &&
       rounded(&d, handle, fine, CUBLAS_COMPUTE_32F_FAST_TF32) == 1);
  NEED(rounded(&d, handle, tf32, CUBLAS_COMPUTE_32F_FAST_TF32) == tf32 &&
       rounded(&d, handle, tf32, CUBLAS_COMPUTE_32F_FAST_16BF) == 1);
  NEED(rounded(&d, handle, bf16, CUBLAS_COMPUTE_32F_FAST_16BF) == bf16);
  NEED(rounded(&d, handle, 1 + 0x1p-11f, CUBLAS_COMPUTE_32F_FAST_TF32) == 1); /* a tie */
  NEED(d.cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
  NEED(rounded(&d, handle, fine, CUBLAS_COMPUTE_32F) == 1 &&
       rounded(&d, handle, fine, CUBLAS_COMPUTE_32F_PEDANTIC) == fine);
  /* In a graph: c += a b, each of 2 by 2 ones. */
  CUdeviceptr a = driver_buffer(&d, ones, 16), c = driver_buffer(&d, ones, 16);
  OK(d.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
  NEED(d.cublasSetStream_v2(handle, s) == CUBLAS_STATUS_SUCCESS);
  OK(d.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
  NEED(d.cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, AT(float, a), 2,
                        AT(float, a), 2, &one, AT(float, c), 2) == CUBLAS_STATUS_SUCCESS);
  OK(d.cuStreamEndCapture(s, &g));
  OK(d.cuGraphInstantiateWithFlags(&exec, g, 0));
  NEED(first(&d, c) == 1);
  OK(d.cuGraphLaunch(exec, s));
  OK(d.cuGraphLaunch(exec, s));
  NEED(first(&d, c) == 5);
  NEED(d.cublasSetWorkspace_v2(handle, AT(float, c), 1 << 20) == CUBLAS_STATUS_INVALID_VALUE);
  NEED(d.cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, AT(float, a), 1,
                        AT(float, a), 2, &one, AT(float, c), 2) == CUBLAS_STATUS_INVALID_VALUE);
  NEED(d.cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, AT(float, a), 2,
                        AT(float, a), 3, &one, AT(float, c), 2) == CUBLAS_STATUS_EXECUTION_FAILED);
  NEED(d.cuCtxSynchronize() == CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void test_gemm(void **state) {
  (void)state;
  expect(gemm_body, NULL, NULL, "reaches outside of its buffers");
}

/* What NVRTC answers, with the log. */
static nvrtcResult compile(const Driver *d, const char *text, const char *option, char *log,
                           size_t n) {
  nvrtcProgram p;
  size_t length;
  const char *const options[] = {"--gpu-architecture=sm_90", option};
  NEED(d->nvrtcCreateProgram(&p, text, "some.mlo", 0, NULL, NULL) == NVRTC_SUCCESS);
  nvrtcResult result = d->nvrtcCompileProgram(p, option ? 2 : 1, options);
  NEED(d->nvrtcGetProgramLogSize(p, &length) == NVRTC_SUCCESS && length < n);
  NEED(d->nvrtcGetProgramLog(p, log) == NVRTC_SUCCESS);
  NEED(d->nvrtcDestroyProgram(&p) == NVRTC_SUCCESS);
  return result;
}

static void nvrtc_body(const void *data) {
  static const struct {
    const char *text, *option, *said;
    nvrtcResult result;
  } row[] = {
      {"\n__global__ void k(float *x) { x[0] = nothing; }\n", NULL,
       "some.mlo:2:", NVRTC_ERROR_COMPILATION},
      {"\n#line 7 \"a.mlo\"\n__global__ void k(float *x) { unknown(x); }\n", NULL,
       "a.mlo:7:", NVRTC_ERROR_COMPILATION},
      {"#include <stdint.h>\n", NULL, "some.mlo:1:", NVRTC_ERROR_COMPILATION},
      {"__global__ void k(float *x) { __shared__ float s[20000]; s[threadIdx.x] = x[0]; x[0] = "
       "s[1]; }\n",
       NULL, "'k' uses too much shared data (0x13880 bytes, 0xc000 max)", NVRTC_ERROR_COMPILATION},
      {"__global__ void k(float *x) { void *y = x; float *z = y; z[0] = 1; }\n", NULL,
       "not permitted in C++", NVRTC_ERROR_COMPILATION},
      {"__global__ void k(float *x) { x[0] = 1; }\n", "--fast-and-loose", "'--fast-and-loose'",
       NVRTC_ERROR_INVALID_OPTION},
      {"__global__ void k(float *x) { x[0] = 1; }\n", "-arch=sm_19", "'-arch=sm_19'",
       NVRTC_ERROR_INVALID_OPTION},
      {"__global__ void k(float *x) { x[0] = VALUE; }\n", "-DVALUE=3", "", NVRTC_SUCCESS},
      {"/* __global__ void no(float *x) { */ __global__ void k(float *x, int) ;\n", "--ftz=true",
       "", NVRTC_SUCCESS},
  };
  Driver d;
  char log[8192];
  (void)data;
  driver_open(&d);
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    NEED(compile(&d, row[i].text, row[i].option, log, sizeof log) == row[i].result);
    NEED(strstr(log, row[i].said));
  }
}

/* PTX runs on later architectures; denormals are flushed if asked for; an image without checks is
 * not taken where they are asked for. */
static void ptx_body(const void *data) {
  static const char *const option[] = {"--gpu-architecture=compute_80", "--ftz=true"};
  Driver d;
  nvrtcProgram p;
  CUmodule m;
  size_t n;
  float tiny[64] = {0x1p-130f};
  (void)data;
  driver_open(&d);
  NEED(d.nvrtcCreateProgram(&p, ADD, NULL, 0, NULL, NULL) == NVRTC_SUCCESS);
  NEED(d.nvrtcCompileProgram(p, 2, option) == NVRTC_SUCCESS);
  NEED(d.nvrtcGetCUBINSize(p, &n) == NVRTC_SUCCESS && n == 0);
  NEED(d.nvrtcGetPTXSize(p, &n) == NVRTC_SUCCESS);
  char *ptx = malloc(n);
  NEED(d.nvrtcGetPTX(p, ptx) == NVRTC_SUCCESS && strlen(ptx) + 1 == n);
  OK(d.cuModuleLoadData(&m, ptx));
  CUdeviceptr x = driver_buffer(&d, tiny, sizeof tiny);
  launch(&d, driver_function(&d, m, "twice"), x, NULL);
  NEED(first(&d, x) == 0);
  OK(d.cuMemcpyHtoD_v2(x, tiny, sizeof tiny));
  launch(&d, driver_function(&d, driver_compile(&d, ADD, "add"), "twice"), x, NULL);
  NEED(first(&d, x) == 0x1p-129f);
}

static void test_nvrtc(void **state) {
  (void)state;
  expect(nvrtc_body, NULL, NULL, NULL);
  expect(nvrtc_body, "MLO_EMU_CHECK", "1", NULL);
  expect(ptx_body, NULL, NULL, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_start),    cmocka_unit_test(test_memory),
      cmocka_unit_test(test_launches), cmocka_unit_test(test_graphs),
      cmocka_unit_test(test_captures), cmocka_unit_test(test_lazy),
      cmocka_unit_test(test_gemm),     cmocka_unit_test(test_nvrtc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
