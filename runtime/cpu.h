#ifndef MLOC_RUNTIME_CPU_H
#define MLOC_RUNTIME_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checks that this CPU has what an executable was compiled for. arch: "x86-64", "x86-64-v2" ..
   "x86-64-v4", or "NAME:flag,flag,.." with flags as mlo_cpu_flags writes them; a name alone that is
   not known is believed. False: `missing` says which features lack. */
bool rt_cpu_has(const char *arch, char *missing, size_t size);

/* The flags of this CPU and operating system among those that are known here, "avx,avx2,fma": what
   the compiler puts after "native:", and part of its cache's key. Returns the length written. */
size_t mlo_cpu_flags(char *text, size_t size);

/* "AMD EPYC 9B45"; at least 49 bytes. */
void rt_cpu_name(char *text, size_t size);

/* Flush-to-zero and denormals-are-zero in every thread of the OpenMP pool, the caller's included:
   one denormal costs a hundred ordinary operations. Sets the pool's size where nthread > 0. Returns
   the number of threads. rt_float_mode of the calling thread can be read and put back. */
int rt_threads_start(int nthread);
uint32_t rt_float_mode(void);
void rt_set_float_mode(uint32_t mode);

#endif
