#ifndef MLOC_CODEGEN_ARCH_H
#define MLOC_CODEGEN_ARCH_H

#include <stdint.h>

/* What an architecture of CUDA devices allows a multiprocessor to hold, and what one device of it
   does at best, for estimates. */
typedef struct Arch {
  const char *name;          /* "sm_90" */
  int threads, blocks;       /* resident on a multiprocessor at most */
  int64_t shared;            /* bytes of shared memory of a multiprocessor */
  int reserved, shared_unit; /* of which each block takes `reserved` more, in units of this */
  const char *device;        /* "H100 SXM" */
  int processors;            /* its multiprocessors */
  double bandwidth;          /* of its memory, bytes a second */
  double f32, f64;           /* flop a second, without tensor cores */
  double bf16, tf32;         /* ..of products by tensor cores, dense; f32 where there are none */
} Arch;

/* The devices that are known, in order; NULL from the last on. */
const Arch *arch_at(int i);
/* By architecture; NULL for one that is not known. */
const Arch *arch_find(const char *arch);

/* Why a multiprocessor does not hold more blocks. */
typedef enum Limit { LIMIT_THREADS, LIMIT_BLOCKS, LIMIT_REGISTERS, LIMIT_SHARED, NLIMIT } Limit;
const char *limit_name(Limit l);

typedef struct Occupancy {
  int blocks;  /* of a multiprocessor at the same time; 0: the kernel cannot be launched */
  double part; /* of the warps that a multiprocessor can hold: theoretical occupancy, 0 to 1 */
  Limit limit; /* the first of several */
} Occupancy;

/* Of a kernel with so many threads a block, registers a thread and bytes of static shared memory a
   block, where shared memory has as much of the cache as it can have. The formulas are those of
   NVIDIA's cuda_occupancy.h. */
Occupancy occupancy(const Arch *a, int threads, int64_t registers, int64_t shared);

#endif
