/* Images of the emulated NVRTC (image.h) as modules: their library is loaded from memory, and its
 * table of kernels says what a launch's arguments are. */

#define _GNU_SOURCE
#include "tests/emulator/emu.h"
#include "tests/emulator/image.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NSEGMENT = 16 };

struct CUfunc_st {
  CUmodule module;
  const EmuKernel *kernel;
};

struct CUmod_st {
  int fd; /* of the library, in memory */
  void *library;
  const EmuImage *image;
  int arch;
  CUfunction function; /* one a kernel */
  int nfunction;
  uintptr_t base;
  uintptr_t constant[NSEGMENT][2]; /* read-only segments, from and to */
  int nconstant;
};

static int find_segments(struct dl_phdr_info *info, size_t n, void *module) {
  CUmodule m = module;
  (void)n;
  if (info->dlpi_addr != m->base) return 0;
  for (int i = 0; i < info->dlpi_phnum && m->nconstant < NSEGMENT; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (!(p->p_type == PT_LOAD && !(p->p_flags & PF_W)) && p->p_type != PT_GNU_RELRO) continue;
    m->constant[m->nconstant][0] = m->base + p->p_vaddr;
    m->constant[m->nconstant++][1] = m->base + p->p_vaddr + p->p_memsz;
  }
  return 1;
}

uintptr_t module_offset(const void *at) { return (uintptr_t)at - emu.module->base; }

bool module_constant(const void *at, size_t n) {
  CUmodule m = emu.module;
  uintptr_t p = (uintptr_t)at;
  for (int i = 0; i < m->nconstant; i++)
    if (p >= m->constant[i][0] && p + n <= m->constant[i][1]) return true;
  return at == (const void *)m->image->core;
}

const EmuSite *module_site(const void *pc, EmuSite *site, char *file, size_t n) {
  char command[256];
  snprintf(command, sizeof command, "addr2line -e /proc/%ld/fd/%d 0x%lx 2>/dev/null",
           (long)getpid(), emu.module->fd, (unsigned long)((uintptr_t)pc - 1 - emu.module->base));
  FILE *f = popen(command, "r");
  file[0] = '\0';
  if (f && !fgets(file, (int)n, f)) file[0] = '\0';
  if (f) pclose(f);
  char *colon = strrchr(file, ':');
  if (!colon || file[0] == '?') return NULL;
  *colon = '\0';
  *site = (EmuSite){strrchr(file, '/') ? strrchr(file, '/') + 1 : file, atoi(colon + 1)};
  return site;
}

static int nibble(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes in the text of PTX, malloc'ed; NULL: it is not ours. */
static unsigned char *read_ptx(const char *ptx) {
  const char *data = strstr(ptx, EMU_PTX_DATA);
  if (strncmp(ptx, EMU_PTX, strlen(EMU_PTX)) != 0 || !data) return NULL;
  data += strlen(EMU_PTX_DATA);
  unsigned char *bytes = malloc(strlen(data) / 2 + 1), *at = bytes;
  for (; nibble(data[0]) >= 0 && nibble(data[1]) >= 0; data += 2)
    *at++ = (unsigned char)(nibble(data[0]) * 16 + nibble(data[1]));
  return bytes;
}

static CUresult open_library(CUmodule m, const void *bytes, size_t n) {
  char path[64];
  m->fd = memfd_create("kernels", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), m->fd);
  if (m->fd < 0 || write(m->fd, bytes, n) != (ssize_t)n) return CUDA_ERROR_OUT_OF_MEMORY;
  m->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  m->image = m->library ? dlsym(m->library, "emu_image") : NULL;
  if (!m->image) {
    fprintf(stderr, "emulator: %s\n", dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  struct link_map *map;
  if (dlinfo(m->library, RTLD_DI_LINKMAP, &map) == 0) m->base = map->l_addr;
  dl_iterate_phdr(find_segments, m);
  *m->image->core = &emu.core;
  return CUDA_SUCCESS;
}

static void add_shared(char *from, char *to) {
  if (from < to) region_add(from, (size_t)(to - from), REGION_SHARED);
}

static void remove_shared(const char *from, const char *to) {
  Region *r = from < to ? region_of(from, 1) : NULL;
  if (r) region_remove(r);
}

static void add_functions(CUmodule m) {
  while (m->image->kernel[m->nfunction].name) m->nfunction++;
  m->function = calloc((size_t)m->nfunction + 1, sizeof *m->function);
  add_shared(m->image->shared, m->image->shared_end);
  for (int i = 0; i < m->nfunction; i++) {
    const EmuKernel *k = &m->image->kernel[i];
    m->function[i] = (struct CUfunc_st){m, k};
    add_shared(k->shared, k->shared_end);
  }
}

static void close_module(CUmodule m) {
  if (m->library) dlclose(m->library);
  if (m->fd >= 0) close(m->fd);
  free(m->function);
  free(m);
}

/* Does code for this architecture run here? Cubins run on the same major version from their minor
 * one on. */
static bool runs_here(int arch, bool ptx) {
  int cc = emu.option.cc;
  return ptx ? arch <= cc : arch / 10 == cc / 10 && arch <= cc;
}

static CUresult load(CUmodule *module, const void *image, bool ptx) {
  EmuHeader h;
  memcpy(&h, image, sizeof h);
  if (memcmp(h.magic, EMU_MAGIC, sizeof h.magic) != 0) return CUDA_ERROR_INVALID_IMAGE;
  if (!runs_here((int)h.arch, ptx)) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  if (emu.option.check && !h.checked) {
    fprintf(stderr, "emulator: an image that was compiled without MLO_EMU_CHECK=1 cannot be "
                    "checked: compile it again\n");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  CUmodule m = calloc(1, sizeof *m);
  m->arch = (int)h.arch;
  CUresult error = open_library(m, (const char *)image + sizeof h, h.bytes);
  if (error) return close_module(m), error;
  add_functions(m);
  emu.counts.modules++;
  *module = m;
  return CUDA_SUCCESS;
}

API CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned noption,
                                CUjit_option *option, void **value) {
  BEGIN();
  (void)option, (void)value;
  if (!module || !image || (noption > 0 && !option)) return CUDA_ERROR_INVALID_VALUE;
  bool ptx = strncmp(image, EMU_MAGIC, strlen(EMU_MAGIC)) != 0;
  unsigned char *bytes = ptx ? read_ptx(image) : NULL;
  if (ptx && !bytes) return CUDA_ERROR_INVALID_IMAGE;
  CUresult error = load(module, ptx ? bytes : image, ptx);
  free(bytes);
  return error;
}

API CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

API CUresult cuModuleUnload(CUmodule module) {
  BEGIN();
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  CUresult error = stream_finish(NULL);
  remove_shared(module->image->shared, module->image->shared_end);
  for (int i = 0; i < module->nfunction; i++)
    remove_shared(module->image->kernel[i].shared, module->image->kernel[i].shared_end);
  close_module(module);
  return error;
}

API CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  BEGIN();
  if (!function || !module || !name) return CUDA_ERROR_INVALID_VALUE;
  for (int i = 0; i < module->nfunction; i++)
    if (strcmp(module->function[i].kernel->name, name) == 0)
      return *function = &module->function[i], CUDA_SUCCESS;
  return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuModuleGetGlobal_v2(CUdeviceptr *at, size_t *n, CUmodule module, const char *name) {
  BEGIN();
  if (!module || !name) return CUDA_ERROR_INVALID_VALUE;
  void *p = dlsym(module->library, name);
  Dl_info info;
  const ElfW(Sym) *symbol = NULL;
  if (!p || !dladdr1(p, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
    return CUDA_ERROR_NOT_FOUND;
  if (!region_of(p, symbol->st_size)) region_add(p, symbol->st_size, REGION_GLOBAL);
  if (at) *at = (CUdeviceptr)(uintptr_t)p;
  if (n) *n = symbol->st_size;
  return CUDA_SUCCESS;
}

static int shared_bytes(CUfunction f) {
  const EmuImage *i = f->module->image;
  return (int)((f->kernel->shared_end - f->kernel->shared) + (i->shared_end - i->shared));
}

static int most_threads(CUfunction f) {
  return f->kernel->bound ? (int)f->kernel->bound : EMU_BLOCK;
}

API CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
  BEGIN();
  if (!value || !function) return CUDA_ERROR_INVALID_VALUE;
  switch ((int)attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = most_threads(function); break;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = shared_bytes(function); break;
  case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = function->module->arch; break;
  default: *value = 0; break;
  }
  return CUDA_SUCCESS;
}

API CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  BEGIN();
  (void)attribute;
  return function && value >= 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction function, int block,
                                                         size_t shared) {
  BEGIN();
  if (!n || !function || block <= 0) return CUDA_ERROR_INVALID_VALUE;
  int by_threads = block > most_threads(function) ? 0 : 2 * EMU_BLOCK / block;
  int bytes = shared_bytes(function) + (int)shared,
      by_shared = bytes ? EMU_SHARED_SM / bytes : by_threads;
  *n = by_threads < by_shared ? by_threads : by_shared;
  return CUDA_SUCCESS;
}

void **parameters_copy(CUfunction f, void **parameter) {
  enum { ALIGN = 16 };
  const EmuKernel *k = f->kernel;
  size_t n = (size_t)(k->nparam + 1) * sizeof(void *) + ALIGN;
  for (int i = 0; i < k->nparam; i++) n += (k->bytes[i] + ALIGN - 1) / ALIGN * ALIGN;
  void **copy = malloc(n);
  char *at = (char *)(((uintptr_t)(copy + k->nparam + 1) + ALIGN - 1) / ALIGN * ALIGN);
  for (int i = 0; i < k->nparam; i++, at += (k->bytes[i - 1] + ALIGN - 1) / ALIGN * ALIGN)
    copy[i] = memcpy(at, parameter[i], k->bytes[i]);
  return copy;
}

CUresult kernel_work(const CUDA_KERNEL_NODE_PARAMS_v2 *p, Work *out) {
  CUfunction f = p->func;
  if (!f) return CUDA_ERROR_INVALID_HANDLE;
  if (p->gridDimY != 1 || p->gridDimZ != 1 || p->blockDimY != 1 || p->blockDimZ != 1 ||
      p->sharedMemBytes || p->extra) {
    fprintf(stderr, "emulator: %s: only launches in one dimension without dynamic shared memory\n",
            f->kernel->name);
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  if (p->gridDimX == 0 || p->gridDimX > 0x7fffffff || p->blockDimX == 0 ||
      p->blockDimX > (unsigned)most_threads(f))
    return CUDA_ERROR_INVALID_VALUE;
  if (f->kernel->nparam > 0 && !p->kernelParams) return CUDA_ERROR_INVALID_VALUE;
  *out = (Work){.kind = WORK_KERNEL,
                .function = f,
                .grid = p->gridDimX,
                .block = p->blockDimX,
                .parameter = parameters_copy(f, p->kernelParams)};
  return CUDA_SUCCESS;
}

CUresult module_launch(const Work *w) {
  emu.module = w->function->module;
  return run_launch(emu.module->image, w->function->kernel, w->grid, w->block, w->parameter);
}

API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                            unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                            CUstream stream, void **parameter, void **extra) {
  BEGIN();
  CUDA_KERNEL_NODE_PARAMS_v2 p = {.func = function,
                                  .gridDimX = grid_x,
                                  .gridDimY = grid_y,
                                  .gridDimZ = grid_z,
                                  .blockDimX = block_x,
                                  .blockDimY = block_y,
                                  .blockDimZ = block_z,
                                  .sharedMemBytes = shared,
                                  .kernelParams = parameter,
                                  .extra = extra};
  Work w;
  CUresult error = kernel_work(&p, &w);
  return error ? error : stream_submit(stream, &w);
}
