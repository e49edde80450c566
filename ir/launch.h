#ifndef MLOC_IR_LAUNCH_H
#define MLOC_IR_LAUNCH_H

#include "ir/kernel.h"

/* How a planned kernel runs on a GPU: derived from its domain alone, so that whoever prints it,
   counts its blocks or estimates its time says the same. Blocks have LAUNCH_BLOCK threads; a block
   goes on to further work in steps of the grid, so any grid computes the same values, and one block
   does it all. */
enum {
  LAUNCH_BLOCK = 256,
  LAUNCH_TICKETS =
      4096, /* 32-bit counters at the start of the scratch memory, zero between kernels */
  LAUNCH_GUARDS = 1024, /* then a byte for each loop with a condition: whether its round counts */
  LAUNCH_PARTIALS = LAUNCH_TICKETS * 4 + LAUNCH_GUARDS, /* then partial results */
  LAUNCH_TILE = 16 /* rows, columns and summed indices of a tile of a matrix product */
};

typedef enum LaunchShape {
  LAUNCH_MAP,     /* a thread an element, or `vector` neighbouring ones */
  LAUNCH_ROWS,    /* a team of threads a kept index, over the reduced ones */
  LAUNCH_TOTAL,   /* all reduced: blocks leave partial results, the last one combines them */
  LAUNCH_COLUMNS, /* lanes over the kept indices, teams and parts over the reduced ones */
  LAUNCH_DOTS,    /* a matrix product, a warp an element */
  LAUNCH_TILES,   /* a matrix product, a block a tile */
  LAUNCH_SCATTER, /* a warp a destination row, which takes its updates in their order */
  LAUNCH_SOLVE,   /* one block */
  LAUNCH_LIBRARY, /* a call of cuBLAS for each product */
  NLAUNCHSHAPE
} LaunchShape;

typedef struct Launch {
  LaunchShape shape;
  int64_t grid;        /* blocks */
  int vector;          /* neighbouring elements that a thread takes at once: 1 or 4 */
  int team;            /* ROWS: threads a kept index, a power of two, at most 32, or the block */
  int lanes;           /* COLUMNS: kept indices a block, a power of two, at most 32 */
  int64_t parts, part; /* COLUMNS: into how many the reduced range is divided, indices of each */
  bool ticket;         /* what is stored once a kernel waits until all blocks are done */
  int64_t scratch;     /* bytes of scratch memory, tickets included; 0: none */
} Launch;

Launch kernel_launch(const Kernel *k);
/* A GEMM as a kernel, whether or not the library would do it. */
Launch launch_product(const Kernel *k);
/* Whether the kernel is calls of the library on a device: planned so, and not into a row that only
   the device knows. */
bool launch_by_library(const Kernel *k);
const char *launch_shape_name(LaunchShape s);

#endif
