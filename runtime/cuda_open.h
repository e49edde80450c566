#ifndef MLOC_RUNTIME_CUDA_OPEN_H
#define MLOC_RUNTIME_CUDA_OPEN_H

#include "runtime/error.h"

/* Opens one of CUDA's libraries, none of which is linked. `soname`: its names, the one to prefer
   first, then NULL. Looks in $MLO_CUDA_PATH (if it is set, it must be a folder, and what it has of
   these names must load), then where the loader looks, then in /usr/local/cuda/lib64,
   $CUDA_HOME/lib64 and $CUDA_PATH/lib64.
   NULL with RT_DEVICE where there is none, or none that loads: the message names `what` ("NVRTC,
   which compiles kernels"), the names and the places. dlclose gives
   it back; its code stays loaded. */
void *rt_cuda_open(const char *what, const char *const *soname, RtErr *e);

/* The address of a function of an open library, stored to *to (a function pointer); false with
   RT_DEVICE where the library has no such function. */
bool rt_cuda_symbol(void *library, const char *what, const char *name, void *to, RtErr *e);

#endif
