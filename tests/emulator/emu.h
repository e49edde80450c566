/* Inside of libcuda.so.1: the emulated machine. There is one a process, as there is one driver; its
 * entry points take its lock, so all behind them is single-threaded. */
#ifndef EMU_EMU_H
#define EMU_EMU_H

#include "tests/emulator/core.h"
#include "tests/emulator/counts.h"
#include "tests/emulator/cuda_calls.h"
#include "tests/emulator/work.h"

#include <stdbool.h>
#include <stdio.h>

#define API __attribute__((visibility("default")))

enum {
  EMU_BLOCK = 1024, /* threads a block at most */
  EMU_WARP = 32,
  EMU_STACK = 64 << 10,
  EMU_SHARED = 48 << 10,
  EMU_SHARED_SM = 228 << 10,
  EMU_DRIVER = 13000,
  EMU_SM = 4, /* multiprocessors: few, so that tests have several blocks on each */
};

typedef enum Order { ORDER_FORWARD, ORDER_REVERSE, ORDER_RANDOM } Order;

/* The environment, read once. */
typedef struct Options {
  Order order;
  unsigned long seed;
  bool check, stats, lazy, conditional;
  int devices, cc;
  size_t memory;
} Options;

/* Who last wrote and who has read a byte: contexts of check.c; 0: nobody. */
typedef struct Cell {
  uint32_t write, read;
} Cell;

typedef enum RegionKind {
  REGION_DEVICE,
  REGION_HOST,
  REGION_REGISTERED,
  REGION_SHARED,
  REGION_GLOBAL
} RegionKind;

/* Memory that kernels may touch. */
typedef struct Region {
  char *base;
  size_t n;
  RegionKind kind;
  char *map; /* what was mapped for it, guards included */
  size_t map_bytes;
  Cell *cell; /* one a byte, where accesses are checked */
} Region;

typedef enum ThreadState {
  THREAD_NEW,
  THREAD_READY,
  THREAD_BARRIER,
  THREAD_WARP,
  THREAD_DONE
} ThreadState;

typedef struct Thread {
  ThreadState state;
  unsigned index, warp, lane;
  void *sp; /* while it waits */
  int stack;
  const EmuSite *site; /* where it waits */
  EmuWarpCall call;
  unsigned long long result;
  /* check.c */
  uint32_t context, atomic; /* of its accesses now; 0: not made yet */
  uint32_t clock;           /* counts its warp's __syncwarp */
  uint32_t fences, fences_at_barrier, fence_barrier;
} Thread;

/* The launch that runs: one at a time, and in it one block at a time. */
typedef struct Run {
  const EmuImage *image;
  const EmuKernel *kernel;
  void **parameter;
  unsigned threads, blocks, block;
  unsigned barrier; /* barriers that the block has passed, from 1 */
  Thread thread[EMU_BLOCK];
  unsigned order[EMU_BLOCK]; /* of the threads, in this pass */
  unsigned at, to;           /* place in that order, and where the pass ends */
  unsigned left;             /* threads that have not ended */
  Thread *current;           /* on its own stack now, or NULL */
  void *scheduler;           /* its stack, while a thread runs */
  char *stacks;
  int free_stack[EMU_BLOCK], nfree;
  CUresult error;
  unsigned long random;
} Run;

struct Checker;
typedef struct Condition Condition;

typedef struct Emu {
  EmuCore core;
  Options option;
  bool started;
  CUresult sticky; /* what a failed launch has left: all later calls answer it */
  int retained;
  Region *region;
  int nregion;
  size_t used;
  int opened;
  Run run;
  struct Checker *checker;
  CUmodule module;       /* of the kernel that runs */
  CUgraphExec running;   /* the graph that runs */
  Condition **condition; /* of conditional nodes, by handle - 1 */
  int nconditions;
  EmuCounts counts;
  struct CUstream_st legacy; /* the stream NULL */
  CUstream stream;           /* all others, linked */
} Emu;

extern Emu emu;

/* context.c. Each entry point begins with BEGIN(): takes the lock until it returns, and returns at
 * once where the driver is not started, has no context in this thread, or a kernel has failed. */
typedef struct Guard {
  CUresult error;
} Guard;
Guard emu_enter(void);
void emu_leave(Guard *guard);
#define HOLD() Guard guard __attribute__((cleanup(emu_leave), unused)) = emu_enter()
#define BEGIN()                                                                                    \
  HOLD();                                                                                          \
  if (guard.error) return guard.error

/* memory.c. The region that holds all n bytes, or NULL. Adding returns its place; removing frees
 * its cells. */
Region *region_of(const void *at, size_t n);
Region *region_add(void *base, size_t n, RegionKind kind);
void region_remove(Region *r);
void memory_open(void), memory_close(void); /* around work */
void memory_clear(void);                    /* all buffers, as with their context */

/* fiber.c: all blocks, in the order of the options. */
CUresult run_launch(const EmuImage *image, const EmuKernel *kernel, unsigned grid, unsigned block,
                    void **parameter);
unsigned long run_draw(void); /* the next random number */
/* The running thread waits in this state until the scheduler makes it ready. */
void thread_wait(ThreadState state, const EmuSite *site);
/* Ends the launch with an error; does not return if a thread runs. The message is printed with
 * kernel, block and thread. */
void run_fail(CUresult error, const EmuSite *site, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* warp.c: lets go the warps and the block whose threads have all arrived; false: nothing moves. */
void core_start(EmuCore *core);
bool warps_release(Run *r, unsigned from, unsigned to); /* warps */
bool barrier_release(Run *r);

/* without.c: whether the running kernel goes on as if nothing stood there. */
typedef enum PlaceKind { PLACE_BARRIER, PLACE_SYNCWARP, PLACE_FENCE } PlaceKind;
void places_start(void);
bool place_left_out(const EmuSite *site, PlaceKind kind);

/* check.c: accesses and who may have made them before whom; all do nothing unless option.check. */
void check_launch(Run *r);
void check_block(Run *r);
void check_barrier(Run *r);
void check_syncwarp(Run *r, unsigned warp, unsigned mask);
void check_access(const void *at, unsigned long n, int write, const void *pc);
void check_atomic(const void *at, unsigned long n, const EmuSite *site);
void check_fence(void);
void check_region(Region *r); /* gives it cells */

/* module.c: the file and line of an instruction of the running kernel, in a buffer of the caller's.
 */
const EmuSite *module_site(const void *pc, EmuSite *site, char *file, size_t n);
uintptr_t module_offset(const void *at);        /* in the running kernel's image */
bool module_constant(const void *at, size_t n); /* read-only data of the running kernel's image */

#endif
