#ifndef MLOC_TESTS_NATIVE_H
#define MLOC_TESTS_NATIVE_H

#include "ir/program.h"

/* Generated C in this process: compiled to a shared object and loaded. The runtime's symbols come
   from the test's executable. */
typedef struct Native Native;

/* Compiles the text with $CC (cc) and warnings as errors; fails the process with the compiler's
   messages. Level "-O2" optimizes as executables are. */
Native *native_load(const char *text, const char *level);
void native_free(Native *n);
/* Address of a symbol; NULL if absent. */
void *native_find(const Native *n, const char *name);

/* Elements of a storage in a planned program's arena, as doubles. */
void native_read(const unsigned char *arena, const Storage *s, double *out);
void native_write(unsigned char *arena, const Storage *s, const double *in);
/* A zeroed, 64-byte aligned arena with settings and seed at their defaults; free() it. */
unsigned char *native_arena(const Program *p);

#endif
