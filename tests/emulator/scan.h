/* Finds the kernels in preprocessed text. */
#ifndef EMU_SCAN_H
#define EMU_SCAN_H

#include <stdbool.h>
#include <stdio.h>

enum { SCAN_KERNELS = 4096, SCAN_PARAMS = 256 };

typedef struct Span {
  const char *at;
  size_t n;
} Span;

typedef struct ScannedKernel {
  Span name, bound; /* bound: the expression of __launch_bounds__; n = 0: none */
  Span param[SCAN_PARAMS];
  int nparam;
  bool shared;
} ScannedKernel;

typedef struct Scan {
  ScannedKernel *kernel;
  int nkernel;
  bool shared; /* device functions have shared arrays */
} Scan;

/* Kernels are what has the attribute emu_kernel (kernel.h) and a body. In kernel number i (from 1)
 * the section names emu_shared_0000 become emu_shared_<i>, in place: each kernel's shared arrays
 * lie together. False: a parameter or kernel too many. */
bool scan_kernels(char *text, Scan *out);
void scan_free(Scan *s);

/* Writes the tables of core.h (EmuImage) that go with those kernels, as text for their end. */
void scan_tables(const Scan *s, bool checked, bool flush_denormals, FILE *out);

#endif
