#ifndef MLOC_RUNTIME_NVRTC_H
#define MLOC_RUNTIME_NVRTC_H

#include "runtime/error.h"

/* NVRTC, CUDA's compiler as a library. It needs neither a device nor a driver. */
typedef struct RtNvrtc RtNvrtc;

/* Looks where cuda_open.h says. NULL with RT_DEVICE where there is none: the message says where it
   was looked for. */
RtNvrtc *rt_nvrtc_open(RtErr *e);
void rt_nvrtc_close(RtNvrtc *n);        /* NULL is fine */
int rt_nvrtc_version(const RtNvrtc *n); /* 13000 for 13.0 */
/* What it compiles with, besides the architecture: then NULL. For keys of caches. */
const char *const *rt_nvrtc_options(void);

typedef struct RtImage {
  unsigned char *byte; /* malloc'ed; PTX: with its final 0, which n counts */
  size_t n;
  char *log; /* malloc'ed: what ptxas said with -v, and warnings; NULL where nothing */
} RtImage;

/* CUDA C to an image for `arch`: "sm_90": a cubin; "compute_90": PTX. `name` stands in messages
   ("ridge.cu"). The arithmetic is that of IEEE 754 but for products and sums that contract. False
   with RT_DEVICE and the log's first lines where it does not compile or the architecture is not
   known; *out is then empty. */
bool rt_nvrtc_compile(RtNvrtc *n, const char *source, const char *name, const char *arch,
                      RtImage *out, RtErr *e);
void rt_image_free(RtImage *i); /* and empties it; an empty one is fine */

#endif
