/* The kernels of a program on a CUDA device: a cubin that the executable carries, if one fits; else
   its source, compiled by NVRTC for the device at hand, once: the cubin is kept on disk. */

#include "runtime/cubin_cache.h"
#include "runtime/device_cuda.h"
#include "runtime/run.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number of "sm_90": 90; more than that, as in "sm_90a": *exact. */
static int number(const char *arch, bool *exact) {
  int n = 0;
  const char *s = strncmp(arch, "sm_", 3) == 0 ? arch + 3 : arch;
  for (; isdigit((unsigned char)*s) && n < 10000; s++) n = 10 * n + (*s - '0');
  *exact = *s != 0;
  return n;
}

/* A cubin runs on devices of its major number whose minor number is not smaller: the nearest one.
 */
const MloCubin *cuda_fitting(const MloCubin *cubin, int count, const char *arch) {
  const MloCubin *best = NULL;
  bool exact;
  int device = number(arch, &exact), best_number = -1;
  for (int i = 0; i < count; i++) {
    int n = number(cubin[i].arch, &exact);
    if (n / 10 != device / 10 || n > device || (exact && n != device) || n <= best_number) continue;
    best = &cubin[i];
    best_number = n;
  }
  return best;
}

static bool load(RtDevice *d, const void *image, RtErr *e) {
  Cuda *c = d->cuda;
  return rt_cuda_ok(&c->api, c->api.load(&c->module, image), e,
                    "kernels cannot be loaded on %s (%s, CUDA driver %d.%d)", d->name, d->arch,
                    d->driver / 1000, d->driver / 10 % 100);
}

static bool compile(RtDevice *d, RtNvrtc *n, RtImage *image, RtErr *e) {
  const MloProgram *p = d->run->program;
  char name[200];
  RtErr trouble = {0};
  double begin = rt_now();
  snprintf(name, sizeof name, "%.180s.cu", p->name);
  if (!d->run->option.quiet && d->run->option.progress != PROGRESS_JSON)
    fprintf(stderr, "%s: compiling kernels for %s\n", p->name, d->arch);
  if (rt_nvrtc_compile(n, d->cuda->code->source, name, d->arch, image, &trouble)) {
    if (d->run->option.verbose)
      fprintf(stderr, "%s: kernels compiled in %.2f s\n", p->name, rt_now() - begin);
    return true;
  }
  enum { OLDEST = 75 }; /* of CUDA 13: toolkits drop devices */
  bool old = strstr(trouble.text, "INVALID_OPTION") || strstr(trouble.text, "gpu-architecture");
  int version = rt_nvrtc_version(n);
  if (!old) return rt_fail(e, RT_DEVICE, "%s", trouble.text);
  return rt_fail(e, RT_DEVICE,
                 "NVRTC %d.%d does not know %s, which is %s: %s CUDA toolkit is needed (%.600s)",
                 version / 1000, version / 10 % 100, d->name, d->arch,
                 strtol(d->arch + 3, NULL, 10) < OLDEST ? "an older" : "a newer", trouble.text);
}

void cuda_keep(RtDevice *d, const char *key, const RtImage *image) {
  RtErr why = {0};
  bool *told = &d->cuda->told_unkept;
  if (rt_cubin_keep(key, image, &why) || *told || !d->run->option.verbose) return;
  fprintf(stderr, "%s: kernels are not kept: %s\n", d->run->program->name, why.text);
  *told = true;
}

/* From the cache, else compiled and kept. What the driver does not take out of the cache is made
   anew. */
static bool load_source(RtDevice *d, RtErr *e) {
  const char *source = d->cuda->code->source;
  char key[RT_CUBIN_KEY];
  RtImage image = {0};
  RtErr ignored = {0};
  RtNvrtc *n = rt_nvrtc_open(e);
  if (!n) return false;
  rt_cubin_key(key, source, d->arch, rt_nvrtc_version(n));
  bool ok = rt_cubin_find(key, &image) && load(d, image.byte, &ignored);
  if (ok && d->run->option.verbose)
    fprintf(stderr, "%s: kernels from the cache\n", d->run->program->name);
  if (!ok) {
    rt_image_free(&image);
    ok = compile(d, n, &image, e) && load(d, image.byte, e);
    if (ok) cuda_keep(d, key, &image);
  }
  rt_image_free(&image);
  rt_nvrtc_close(n);
  return ok;
}

/* What the device would not launch is refused here, by name. */
static bool check(const MloDevice *code, RtErr *e) {
  for (int i = 0; i < code->nlaunch; i++) {
    const MloLaunch *l = &code->launch[i];
    if (l->kind == MLO_KERNEL && (l->grid < 0 || l->block < 1 || l->block > 1024))
      return rt_fail(e, RT_DEVICE, "kernel `%s`: %d blocks of %d threads cannot be launched",
                     code->kernel[l->kernel], l->grid, l->block);
    int64_t big = l->m > l->n ? l->m : l->n;
    if (l->k > big) big = l->k;
    if (l->batch > big) big = l->batch;
    if (l->kind == MLO_GEMM && big > INT32_MAX)
      return rt_fail(e, RT_DEVICE, "a matrix product has a dimension of %lld: too large",
                     (long long)big);
  }
  return true;
}

static bool find_kernels(RtDevice *d, RtErr *e) {
  Cuda *c = d->cuda;
  const MloDevice *code = c->code;
  c->kernel = calloc((size_t)code->nkernel + 1, sizeof *c->kernel);
  if (!c->kernel) return rt_fail(e, RT_DEVICE, "out of memory");
  for (int i = 0; i < code->nkernel; i++)
    if (!rt_cuda_ok(&c->api, c->api.function(&c->kernel[i], c->module, code->kernel[i]), e,
                    "there is no kernel `%s`", code->kernel[i]))
      return false;
  return rt_cuda_ok(&c->api, c->api.function(&c->advance, c->module, "mlo_advance"), e,
                    "there is no kernel `mlo_advance`");
}

bool cuda_load(RtDevice *d, RtErr *e) {
  const MloDevice *code = d->cuda->code;
  const MloCubin *cubin = cuda_fitting(code->cubin, code->ncubin, d->arch);
  if (!check(code, e)) return false;
  if (cubin) return load(d, cubin->image, e) && find_kernels(d, e);
  if (code->source) return load_source(d, e) && find_kernels(d, e);
  char has[300] = "";
  size_t at = 0;
  for (int i = 0; i < code->ncubin && at < sizeof has; i++)
    at += (size_t)snprintf(has + at, sizeof has - at, "%s%s", i ? ", " : "", code->cubin[i].arch);
  return rt_fail(e, RT_DEVICE,
                 "%s is %s; this executable has kernels for %s alone and no source of them: build "
                 "it anew with: mloc build %s --target=cuda",
                 d->name, d->arch, code->ncubin ? has : "no device", d->run->program->source);
}
