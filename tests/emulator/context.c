/* The driver's start, its device and contexts, errors' names, and looking up entry points. */

#define _GNU_SOURCE
#include "tests/emulator/emu.h"
#include "tests/emulator/setting.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

Emu emu;
static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local CUcontext current; /* as the driver: each thread has its own */

struct CUctx_st {
  CUdevice device;
};
static struct CUctx_st primary;

static void print_counts(void) {
  const EmuCounts *c = &emu.counts;
  fprintf(stderr,
          "emulator: %lu kernels, %lu in graphs, %lu graph launches, %lu gemms, %lu copies in, %lu "
          "out, %lu within, "
          "%lu fills, %lu synchronizations, %lu allocations, %lu modules, %lu captures, %lu rounds "
          "of loops\n",
          c->kernels, c->graph_kernels, c->graph_launches, c->gemms, c->copies_in, c->copies_out,
          c->copies_within, c->fills, c->synchronizations, c->allocations, c->modules, c->captures,
          c->loop_rounds);
}

static void start(void) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&lock, &a);
  static const char *const orders[] = {
      [ORDER_FORWARD] = "forward", [ORDER_REVERSE] = "reverse", [ORDER_RANDOM] = "random", NULL};
  Options *o = &emu.option;
  o->order = (Order)setting_word("MLO_EMU_ORDER", orders);
  o->seed = (unsigned long)setting_number("MLO_EMU_SEED", 1, 0, LONG_MAX);
  o->check = setting_flag("MLO_EMU_CHECK", false);
  o->stats = setting_flag("MLO_EMU_STATS", false);
  o->lazy = setting_flag("MLO_EMU_LAZY", false);
  o->conditional = setting_flag("MLO_EMU_CONDITIONAL", true);
  o->devices = (int)setting_number("MLO_EMU_DEVICES", 1, 0, 64);
  o->cc = (int)setting_number("MLO_EMU_CC", 90, 10, 999);
  o->memory = (size_t)setting_number("MLO_EMU_MEMORY", 4L << 30, 0, LONG_MAX);
  emu.run.random = o->seed * 0x9e3779b97f4a7c15u | 1;
  places_start();
  core_start(&emu.core);
  if (o->stats) atexit(print_counts);
}

Guard emu_enter(void) {
  pthread_once(&once, start);
  pthread_mutex_lock(&lock);
  return (Guard){!emu.started                ? CUDA_ERROR_NOT_INITIALIZED
                 : !current || !emu.retained ? CUDA_ERROR_INVALID_CONTEXT
                                             : emu.sticky};
}

void emu_leave(Guard *guard) {
  (void)guard;
  pthread_mutex_unlock(&lock);
}

/* For calls that need no context: only whether the driver is started. */
#define BEGIN_FREE()                                                                               \
  HOLD();                                                                                          \
  if (guard.error == CUDA_ERROR_NOT_INITIALIZED) return guard.error

API void emu_counts(EmuCounts *out) {
  HOLD();
  *out = emu.counts;
}

API CUresult cuInit(unsigned flags) {
  HOLD();
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (emu.option.devices <= 0) return CUDA_ERROR_NO_DEVICE;
  emu.started = true;
  return CUDA_SUCCESS;
}

API CUresult cuDriverGetVersion(int *version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = EMU_DRIVER;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGetCount(int *n) {
  BEGIN_FREE();
  if (!n) return CUDA_ERROR_INVALID_VALUE;
  *n = emu.option.devices;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  BEGIN_FREE();
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  if (ordinal < 0 || ordinal >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGetName(char *name, int n, CUdevice device) {
  BEGIN_FREE();
  if (!name || n <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  snprintf(name, (size_t)n, "Emulated device");
  return CUDA_SUCCESS;
}

typedef struct Attribute {
  CUdevice_attribute attribute;
  int value;
} Attribute;

static const Attribute attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, EMU_BLOCK},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, EMU_BLOCK},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, EMU_SHARED},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, EMU_WARP},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, EMU_SM},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 1024},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 8 << 20},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2 * EMU_BLOCK},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, EMU_SHARED_SM},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, EMU_SHARED_SM - 1024},
};

API CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  BEGIN_FREE();
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? emu.option.cc / 10
           : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? emu.option.cc % 10
                                                                       : 0;
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
    if (attributes[i].attribute == attribute) *value = attributes[i].value;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  BEGIN_FREE();
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = emu.option.memory;
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  BEGIN_FREE();
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || device >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  emu.retained++;
  *context = &primary;
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  BEGIN_FREE();
  if (device < 0 || device >= emu.option.devices) return CUDA_ERROR_INVALID_DEVICE;
  if (emu.retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--emu.retained == 0) { /* with the context go its memory and its error */
    memory_clear();
    emu.sticky = CUDA_SUCCESS;
  }
  return CUDA_SUCCESS;
}

API CUresult cuCtxSetCurrent(CUcontext context) {
  BEGIN_FREE();
  if (context && context != &primary) return CUDA_ERROR_INVALID_CONTEXT;
  current = context;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetCurrent(CUcontext *context) {
  BEGIN_FREE();
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  *context = current;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetDevice(CUdevice *device) {
  BEGIN();
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  *device = current->device;
  return CUDA_SUCCESS;
}

API CUresult cuCtxSynchronize(void) {
  BEGIN();
  CUresult error = capture_forbids_all(false);
  if (error) return error;
  emu.counts.synchronizations++;
  return stream_finish(NULL);
}

typedef struct ErrorName {
  CUresult error;
  const char *name, *text;
} ErrorName;

static const ErrorName errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE",
     "the operation cannot be performed in the present state"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
     "part or all of the requested memory range is already mapped"},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
     "pointer does not correspond to a registered memory region"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_MERGE, "CUDA_ERROR_STREAM_CAPTURE_MERGE",
     "operation would merge two captures"},
    {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
     "dependency on uncaptured work in another stream"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "the stream was not the origin of the capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
     "capturing stream has unjoined work"},
    {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {CUDA_ERROR_CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
};

static const ErrorName *error_name(CUresult error) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].error == error) return &errors[i];
  return NULL;
}

API CUresult cuGetErrorName(CUresult error, const char **name) {
  const ErrorName *e = error_name(error);
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  *name = e ? e->name : NULL;
  return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuGetErrorString(CUresult error, const char **text) {
  const ErrorName *e = error_name(error);
  if (!text) return CUDA_ERROR_INVALID_VALUE;
  *text = e ? e->text : NULL;
  return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The newest of ours that has the name: cuMemAlloc is cuMemAlloc_v2. */
API CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                                 CUdriverProcAddressQueryResult *status) {
  static const char *const ending[] = {"_v3", "_v2", ""};
  (void)version, (void)flags;
  Dl_info self;
  if (!symbol || !function || !dladdr(&emu, &self)) return CUDA_ERROR_INVALID_VALUE;
  void *library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  *function = NULL;
  for (int i = 0; i < 3 && library && !*function; i++) {
    char name[256];
    snprintf(name, sizeof name, "%s%s", symbol, ending[i]);
    *function = dlsym(library, name);
  }
  if (library) dlclose(library);
  if (status)
    *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
