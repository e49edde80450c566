#ifndef MLOC_RUNTIME_LOOP_CHECK_H
#define MLOC_RUNTIME_LOOP_CHECK_H

#include "runtime/nvrtc.h"

/* The kernel that tells a loop of a graph whether there is another round, as CUDA C: a module of
   its own, since drivers and compilers before CUDA 12.3 do not know the function that it calls.
   That function is the driver's, as printf is: nothing is linked. */
extern const char rt_loop_check_source[];

/* `mlo_check` for "sm_90" as a cubin. False with RT_DEVICE where NVRTC does not take it. */
bool rt_loop_check(RtNvrtc *n, const char *arch, RtImage *out, RtErr *e);

#endif
