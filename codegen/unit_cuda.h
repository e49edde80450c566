#ifndef MLOC_CODEGEN_UNIT_CUDA_H
#define MLOC_CODEGEN_UNIT_CUDA_H

#include "codegen/unit_c.h"
#include "ir/launch.h"

/* A row of the table of functions: launches, one behind the other. */
typedef struct DeviceFunc {
  const char *name;
  int first, n;
} DeviceFunc;

/* A kernel of one block: its name, and parameters and body. */
typedef struct BlockText {
  const char *name, *text;
} BlockText;

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
  BlockText *block;
  int nblock, block_cap;
  int64_t scratch; /* bytes */
} Device;

void device_begin(Device *d, Arena *a, Program *p, const CgOptions *o);
/* All kernels as CUDA C. */
char *device_source(Device *d);
/* Makes all rows of the schedule, with those of functions and launches; prints the former as a
   table of that name, unless out is NULL. before: how many functions stand before the device's.
   Returns the number of rows. */
int device_schedule(Device *d, int before, const char *name, Text *out);

/* ---- draws that the runtime may run ahead (cuda_ahead.c) */

/* Whether f is such a draw; whether one is called in the body of a loop. */
bool ahead_is_draw(const Device *d, const Func *f);
bool ahead_draws_in(const Device *d, const Stmt *body);
/* The table of MloAhead, `aheads` behind the prefix; returns its length, 0 where there is none. */
int device_aheads(Device *d, const char *prefix, Text *out);

/* ---- launches */

/* A kernel as a function of the device's text; what its parameters are is left in *e. */
CKernel *device_kernel(Device *d, const Func *f, const Kernel *k, const Launch *l, Emit *e);
/* One kernel's launches. loop > 0: within that loop with a condition: they do nothing in rounds
   that do not count. */
void device_launch(Device *d, const Func *f, const Kernel *k, int loop);
/* A kernel of one block. Its parameters: pointers to each of `place` (bytes from the arena's start:
   where those lie on the device is the runtime's business); scratch memory, if used; a condition,
   within a loop that has one. */
typedef struct BlockEntry {
  const char *text; /* parameters and body */
  const Func *func; /* the first of its parts */
  int64_t *place;
  int nplace, place_cap;
  bool scratch;
} BlockEntry;
void device_block(Device *d, const BlockEntry *b, int loop);
void device_poison(Device *d, const Kernel *k);
/* A further loop with a condition, numbered from 1; the launch that keeps the condition for a
   round. outer: the loop around it, or 0. */
int device_loop(Device *d);
void device_keep(Device *d, int loop, int outer, const Storage *cond);
/* How often a loop runs: at most, by default. For reports. */
double cg_rounds(const Stmt *s);

/* ---- what one block does by itself (cuda_block.c) */

/* A part of a function or a whole loop. */
typedef struct Item {
  const Func *func;
  const Kernel *kernel; /* NULL: the loop */
  const Stmt *loop;
} Item;

/* A block has no more than BLOCK_KERNELS kernels: what it is given has limits. */
enum { BLOCK_KERNELS = 60 };
int block_kernels(const Item *item);
/* Whether one block does it in less time than its launches take. */
bool block_fits(const Item *item, int n);
/* One launch for all items. */
void block_launch(Device *d, const Item *item, int n, int loop);

#endif
