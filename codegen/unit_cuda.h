#ifndef MLOC_CODEGEN_UNIT_CUDA_H
#define MLOC_CODEGEN_UNIT_CUDA_H

#include "codegen/unit_c.h"
#include "ir/launch.h"

/* A function's launches: one row of the table of functions. `loop` > 0: as called within that loop
   with a condition, number loop - 1, whose kernels do nothing once the condition is false. */
typedef struct DeviceFunc {
  const Func *func; /* NULL: the loop's condition itself, kept for the round */
  int loop, first, n;
} DeviceFunc;

/* The CUDA half of a generated file while it grows. `unit` has the kernels. */
typedef struct Device {
  Unit unit;
  const char **entry; /* names of the kernels that are launched */
  int nentry, entry_cap;
  Text entries;        /* their text */
  Text launches, args; /* rows of the tables */
  CgLaunch *launch;    /* what the rows say, for reports */
  int nlaunch, launch_cap, narg;
  DeviceFunc *func;
  int nfunc, func_cap, nloop;
  int64_t scratch; /* bytes */
} Device;

void device_begin(Device *d, Arena *a, Program *p, const CgOptions *o);
/* The number of the row of f's launches; made the first time. cond: the loop's condition. */
int device_func(Device *d, const Func *f, int loop);
/* A further loop with a condition; then the number of the row that keeps it for a round (outer: the
   loop around it, or 0). */
int device_loop(Device *d);
int device_keep(Device *d, int loop, int outer, const Storage *cond);
/* All kernels as CUDA C. */
char *device_source(Device *d);

#endif
