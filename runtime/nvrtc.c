/* CUDA C to cubins and PTX by NVRTC, which is opened at run time and declared here by hand: the
   runtime is built without CUDA's headers. */

#include "runtime/nvrtc.h"

#include "runtime/cuda_open.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nvrtc.h: nvrtcResult (0: success), nvrtcProgram (an opaque pointer). */
typedef struct NvrtcProgram *Handle;

struct RtNvrtc {
  void *library;
  int version;
  int (*get_version)(int *major, int *minor);
  int (*create)(Handle *h, const char *source, const char *name, int nheader,
                const char *const *header, const char *const *include_name);
  int (*compile)(Handle h, int noption, const char *const *option);
  int (*cubin_size)(Handle h, size_t *n);
  int (*cubin)(Handle h, char *to);
  int (*ptx_size)(Handle h, size_t *n);
  int (*ptx)(Handle h, char *to);
  int (*log_size)(Handle h, size_t *n);
  int (*log)(Handle h, char *to);
  int (*destroy)(Handle *h);
  const char *(*error)(int result);
};

static const char what[] = "NVRTC, CUDA's compiler";

static bool find_functions(RtNvrtc *n, RtErr *e) {
  const struct {
    const char *name;
    void *to;
  } f[] = {{"nvrtcVersion", &n->get_version},
           {"nvrtcCreateProgram", &n->create},
           {"nvrtcCompileProgram", &n->compile},
           {"nvrtcGetCUBINSize", &n->cubin_size},
           {"nvrtcGetCUBIN", &n->cubin},
           {"nvrtcGetPTXSize", &n->ptx_size},
           {"nvrtcGetPTX", &n->ptx},
           {"nvrtcGetProgramLogSize", &n->log_size},
           {"nvrtcGetProgramLog", &n->log},
           {"nvrtcDestroyProgram", &n->destroy},
           {"nvrtcGetErrorString", &n->error}};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    if (!rt_cuda_symbol(n->library, what, f[i].name, f[i].to, e)) return false;
  return true;
}

RtNvrtc *rt_nvrtc_open(RtErr *e) {
  static const char *const soname[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL};
  int major = 0, minor = 0;
  RtNvrtc *n = calloc(1, sizeof *n);
  if (!n) {
    rt_fail(e, RT_DEVICE, "out of memory");
    return NULL;
  }
  n->library = rt_cuda_open(what, soname, e);
  bool ok = n->library && find_functions(n, e);
  if (ok && n->get_version(&major, &minor))
    ok = rt_fail(e, RT_DEVICE, "%s does not say its version", what);
  n->version = 1000 * major + 10 * minor;
  if (ok) return n;
  rt_nvrtc_close(n);
  return NULL;
}

void rt_nvrtc_close(RtNvrtc *n) {
  if (n && n->library) dlclose(n->library);
  free(n);
}

int rt_nvrtc_version(const RtNvrtc *n) { return n->version; }

/* No fast math: divisions, roots and denormals are exact. The prelude's inline functions do not say
   where they run. */
static const char *const options[] = {"--std=c++17", "-default-device",    "--fmad=true",
                                      "-lineinfo",   "--ptxas-options=-v", NULL};
enum { NOPTION = sizeof options / sizeof *options - 1 };

const char *const *rt_nvrtc_options(void) { return options; }

/* ---- what a compilation gives */

/* A text or an image by the library's pair of functions: NULL where there is none. */
static char *fetch(Handle h, int (*size)(Handle, size_t *), int (*get)(Handle, char *),
                   size_t *count) {
  *count = 0;
  if (size(h, count) || !*count) return NULL;
  char *s = calloc(1, *count + 1);
  if (s && !get(h, s)) return s;
  free(s);
  return NULL;
}

/* The log's lines that name errors, else its first ones, at most `most` bytes. */
static void fail_with_log(RtErr *e, const char *name, const char *arch, const char *why,
                          const char *log) {
  enum { MOST = 1000 };
  const char *from = log ? strstr(log, "error") : NULL;
  while (from && from > log && from[-1] != '\n') from--;
  if (!from) from = log ? log : "";
  size_t n = strlen(from);
  if (n > MOST) n = MOST;
  while (n && (from[n - 1] == '\n' || from[n - 1] == ' ')) n--;
  rt_fail(e, RT_DEVICE, "%s does not compile for %s: %s%s%.*s", name, arch, why, n ? "\n" : "",
          (int)n, from);
}

static bool take(RtNvrtc *n, Handle h, const char *name, const char *arch, RtImage *out, RtErr *e) {
  size_t nlog;
  bool ptx = !strncmp(arch, "compute_", strlen("compute_"));
  out->byte = (unsigned char *)(ptx ? fetch(h, n->ptx_size, n->ptx, &out->n)
                                    : fetch(h, n->cubin_size, n->cubin, &out->n));
  out->log = fetch(h, n->log_size, n->log, &nlog);
  if (out->log && !*out->log) {
    free(out->log);
    out->log = NULL;
  }
  return out->byte || rt_fail(e, RT_DEVICE, "%s: NVRTC gives no image for %s", name, arch);
}

bool rt_nvrtc_compile(RtNvrtc *n, const char *source, const char *name, const char *arch,
                      RtImage *out, RtErr *e) {
  Handle h = NULL;
  char target[64];
  const char *option[NOPTION + 1];
  *out = (RtImage){0};
  snprintf(target, sizeof target, "--gpu-architecture=%s", arch);
  option[0] = target;
  memcpy(option + 1, options, NOPTION * sizeof *option);
  int result = n->create(&h, source, name, 0, NULL, NULL);
  if (result) return rt_fail(e, RT_DEVICE, "%s: %s", name, n->error(result));
  result = n->compile(h, NOPTION + 1, option);
  bool ok = !result;
  if (ok) {
    ok = take(n, h, name, arch, out, e);
  } else {
    size_t nlog;
    char *log = fetch(h, n->log_size, n->log, &nlog);
    fail_with_log(e, name, arch, n->error(result), log);
    free(log);
  }
  n->destroy(&h);
  if (!ok) rt_image_free(out);
  return ok;
}

void rt_image_free(RtImage *i) {
  free(i->byte);
  free(i->log);
  *i = (RtImage){0};
}
