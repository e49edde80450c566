#ifndef MLOC_TESTS_MEMORY_H
#define MLOC_TESTS_MEMORY_H

#include "ir/kernel.h"

/* Runs planned programs kernel by kernel on real bytes at the planned offsets, by the reference
   evaluator: what fusion and the memory plan get wrong shows in the values, code generation apart.
   Scratch and dead storages are filled with NaN patterns as soon as the plan says so. */
typedef struct Memory {
  Program *p;
  Arena *arena;
  unsigned char *bytes;
} Memory;

Memory *memory_new(Program *p); /* zeroed; settings and the seed have their defaults */
void memory_free(Memory *m);
void memory_read(const Memory *m, const Storage *s, double *out);
void memory_write(Memory *m, const Storage *s, int64_t row, int64_t count, const double *in);
void memory_call(Memory *m, const Func *f);
void memory_run(Memory *m, const Stmt *s);

#endif
