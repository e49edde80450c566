#ifndef MLOC_CODEGEN_CUBIN_H
#define MLOC_CODEGEN_CUBIN_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* What a kernel uses of a device, by what its compiler left: the cubin (an ELF file) and the log of
   `ptxas -v`. Bytes are those of a thread, but for shared memory (a block's) and code. */
typedef struct CubinKernel {
  const char *name;
  uint64_t symbol;     /* its place among the cubin's symbols */
  int64_t registers;   /* of a thread */
  int64_t stack_frame; /* of the kernel's own */
  int64_t local;       /* local memory: its frame and those of what it calls */
  int64_t shared;      /* static; without what the system reserves of each block */
  int64_t code;
  int64_t spill_stores, spill_loads; /* of the kernel and what it calls; -1 where there is no log */
  bool trig64; /* calls the reduction of large f64 angles, which has an array on the stack */
} CubinKernel;

enum { CUBIN_TRIG_FRAME = 40 }; /* bytes of that array: 5 words of 8 */

/* Neither spills nor keeps an array on the stack, but for the reduction of f64 angles. */
bool cubin_is_tight(const CubinKernel *k);

/* The kernels of a cubin, in the order of its symbols; `log` may be NULL. Nothing of the image is
   believed: false with *error in words where it is no cubin or does not hold together. */
bool cubin_read(Arena *a, const unsigned char *image, size_t n, const char *log,
                CubinKernel **kernel, int *nkernel, const char **error);

#endif
