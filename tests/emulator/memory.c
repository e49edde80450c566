/* Memory of the device and pinned memory of the host. Both are the process's own, each allocation
 * mapped by itself between pages that nobody may touch, at their end, and filled with NaN. */

#include "tests/emulator/emu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ALIGN = 256 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

Region *region_of(const void *at, size_t n) {
  const char *p = at;
  for (int i = 0; i < emu.nregion; i++) {
    Region *r = &emu.region[i];
    if (p < r->base || p + n > r->base + r->n) continue;
    if (i > 0) { /* kernels ask for the same ones again and again: these move to the front */
      Region swapped = emu.region[i - 1];
      emu.region[i - 1] = *r;
      *r = swapped;
      return &emu.region[i - 1];
    }
    return r;
  }
  return NULL;
}

Region *region_add(void *base, size_t n, RegionKind kind) {
  emu.region = realloc(emu.region, (size_t)(emu.nregion + 1) * sizeof *emu.region);
  Region *r = &emu.region[emu.nregion++];
  *r = (Region){.base = base, .n = n, .kind = kind};
  check_region(r);
  return r;
}

void region_remove(Region *r) {
  if (r->cell) munmap(r->cell, r->n * sizeof *r->cell);
  *r = emu.region[--emu.nregion];
}

static Region *region_at(const void *at, RegionKind kind) {
  for (int i = 0; i < emu.nregion; i++)
    if (emu.region[i].base == at && emu.region[i].kind == kind) return &emu.region[i];
  return NULL;
}

/* Where accesses are checked, the host cannot touch the device's memory: only work can, from
 * memory_open to the memory_close that goes with it. */
static void protect(const Region *r, int protection) {
  if (emu.option.check && r->kind == REGION_DEVICE)
    mprotect(r->map + PAGE, r->map_bytes - 2 * PAGE, protection);
}

void memory_open(void) {
  if (emu.opened++ > 0) return;
  for (int i = 0; i < emu.nregion; i++) protect(&emu.region[i], PROT_READ | PROT_WRITE);
}

void memory_close(void) {
  if (--emu.opened > 0) return;
  for (int i = 0; i < emu.nregion; i++) protect(&emu.region[i], PROT_NONE);
}

static char *allocate(size_t n, RegionKind kind) {
  size_t bytes = round_up(n, PAGE), all = bytes + 2 * PAGE;
  char *map = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return NULL;
  if (mprotect(map + PAGE, bytes, PROT_READ | PROT_WRITE) != 0) return munmap(map, all), NULL;
  memset(map + PAGE, 0xff, bytes);
  Region *r = region_add(map + PAGE + bytes - round_up(n, ALIGN), n, kind);
  r->map = map;
  r->map_bytes = all;
  protect(r, PROT_NONE);
  return r->base;
}

static void deallocate(Region *r) {
  munmap(r->map, r->map_bytes);
  region_remove(r);
}

void memory_clear(void) {
  for (int i = emu.nregion - 1; i >= 0; i--) {
    Region *r = &emu.region[i];
    if (r->kind == REGION_DEVICE || r->kind == REGION_HOST)
      deallocate(r);
    else if (r->kind == REGION_REGISTERED)
      region_remove(r);
  }
  emu.used = 0;
}

API bool emu_on_device(const void *at, size_t n) {
  HOLD();
  return n == 0 || region_of(at, n) != NULL;
}

API CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t n) {
  BEGIN();
  CUresult error = capture_forbids_all(true);
  if (error) return error;
  if (!at || n == 0) return CUDA_ERROR_INVALID_VALUE;
  if (n > emu.option.memory - emu.used) return CUDA_ERROR_OUT_OF_MEMORY;
  char *base = allocate(n, REGION_DEVICE);
  if (!base) return CUDA_ERROR_OUT_OF_MEMORY;
  emu.used += n;
  emu.counts.allocations++;
  *at = (CUdeviceptr)(uintptr_t)base;
  return CUDA_SUCCESS;
}

API CUresult cuMemFree_v2(CUdeviceptr at) {
  BEGIN();
  if (at == 0) return CUDA_SUCCESS;
  CUresult error = capture_forbids_all(true);
  if (error || (error = stream_finish(NULL))) return error;
  Region *r = region_at((void *)(uintptr_t)at, REGION_DEVICE); /* finishing moves regions */
  if (!r) return CUDA_ERROR_INVALID_VALUE;
  emu.used -= r->n;
  deallocate(r);
  return CUDA_SUCCESS;
}

API CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
  BEGIN();
  if (!available || !total) return CUDA_ERROR_INVALID_VALUE;
  *available = emu.option.memory - emu.used;
  *total = emu.option.memory;
  return CUDA_SUCCESS;
}

API CUresult cuMemHostAlloc(void **at, size_t n, unsigned flags) {
  BEGIN();
  CUresult error = capture_forbids_all(true);
  if (error) return error;
  if (!at || n == 0 || flags & ~7u) return CUDA_ERROR_INVALID_VALUE;
  return (*at = allocate(n, REGION_HOST)) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API CUresult cuMemAllocHost_v2(void **at, size_t n) { return cuMemHostAlloc(at, n, 0); }

API CUresult cuMemFreeHost(void *at) {
  BEGIN();
  CUresult error = stream_finish(NULL);
  if (error) return error;
  Region *r = region_at(at, REGION_HOST);
  if (!r) return CUDA_ERROR_INVALID_VALUE;
  deallocate(r);
  return CUDA_SUCCESS;
}

API CUresult cuMemHostRegister_v2(void *at, size_t n, unsigned flags) {
  BEGIN();
  if (!at || n == 0 || flags & ~15u) return CUDA_ERROR_INVALID_VALUE;
  for (int i = 0; i < emu.nregion; i++)
    if ((char *)at < emu.region[i].base + emu.region[i].n && (char *)at + n > emu.region[i].base)
      return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  region_add(at, n, REGION_REGISTERED);
  return CUDA_SUCCESS;
}

API CUresult cuMemHostUnregister(void *at) {
  BEGIN();
  CUresult error = stream_finish(NULL);
  if (error) return error;
  Region *r = region_at(at, REGION_REGISTERED);
  if (!r) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  region_remove(r);
  return CUDA_SUCCESS;
}

API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *at, unsigned flags) {
  BEGIN();
  Region *r = region_of(at, 1);
  if (!device || flags != 0 || !r || (r->kind != REGION_HOST && r->kind != REGION_REGISTERED))
    return CUDA_ERROR_INVALID_VALUE;
  *device = (CUdeviceptr)(uintptr_t)at;
  return CUDA_SUCCESS;
}
