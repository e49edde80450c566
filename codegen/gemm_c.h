#ifndef MLOC_CODEGEN_GEMM_C_H
#define MLOC_CODEGEN_GEMM_C_H

#include "codegen/kernel_c.h"

/* Shared by the two files of matrix products by loops. */
enum { TILE_ROWS = 4 };

typedef struct Side { /* an operand: element (row or column, summed index) at offset + row * i + sum
                         * k */
  int param;
  int64_t offset, along, sum, batch;
} Side;

typedef struct Gemm {
  Emit *e;
  const Node *n;
  Side left, right; /* left: rows of the tile; right: columns */
  int64_t rows, columns, sum, batch;
  int row_axis, column_axis; /* of the domain */
  int64_t tile_rows, tile_columns;
  const char *type, *lane, *tile; /* "float", "f32" */
  const char *i0, *i1, *j0, *j1;  /* the tile's bounds */
  Aff batch_at;
} Gemm;

/* The product n of the kernel: sides, sizes and axes. */
Gemm gemm_of(Emit *e, const Node *n);
/* Opens `for (T name = 0; ...)`: a scope with a variable of the emitter. */
const char *gemm_open(Gemm *g, int64_t extent, int *var);
/* Element (i + u, j + w) of the tile; i NULL: its first row. */
const char *gemm_tile_at(const Gemm *g, const char *i, int64_t u, const char *j, int w);
/* Fill the tile with the product's elements. */
void gemm_dots(Gemm *g);
void gemm_updates(Gemm *g);

#endif
