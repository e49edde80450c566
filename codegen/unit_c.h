#ifndef MLOC_CODEGEN_UNIT_C_H
#define MLOC_CODEGEN_UNIT_C_H

#include "codegen/codegen.h"
#include "codegen/expr.h"
#include "codegen/spans.h"

/* One static function of the generated file; kernels whose text is equal share it. */
typedef struct CKernel {
  const char *text; /* parameter list and body, without the name */
  const char *name; /* "k3" */
  Text comment;     /* one line for every kernel that it stands for */
  const char *line; /* CUDA: "#line 4 .." of the source, or NULL */
  int entry[2];     /* CUDA: numbers plus 1 of its entries, without and with a condition */
} CKernel;

/* The generated file while it grows. */
typedef struct Unit {
  Arena *arena;
  Program *program;
  const CgOptions *options;
  CKernel *kernel;
  int nkernel, kernel_cap;
  int *slot, nslot; /* hash table of the kernels by text: their numbers plus 1 */
  NodeTables tables;
  Lines lines; /* of the program's source */
  Text functions;
  const Func **func; /* that are printed */
  int nfunc, func_cap;
  bool random, vectors; /* headers that the kernels need */
} Unit;

/* Begins the printing of a kernel. */
void unit_begin(Unit *u, Emit *e, const Target *t, const Func *f, const Kernel *k);
/* True if nothing that the kernel writes overlaps parameter i's bytes, or the other way round. */
bool unit_unaliased(const Emit *e, int i);
/* Bytes, a power of two up to 64, that divide the address. */
int unit_alignment(const Param *p);
/* The function of this text, which is new or was there before. */
CKernel *unit_share(Unit *u, const char *text);
/* Adds the kernel (or finds an equal one) and appends its call to u->functions. */
void unit_kernel(Unit *u, const Func *f, const Kernel *k);
/* NaN into the buffers that die with kernel `at` of f (--poison). */
void unit_poison(Unit *u, const Func *f, int at);
/* The schedule as tables; for an executable all others and main, else a function that runs it. */
void unit_main(Unit *u, Text *out);

#endif
