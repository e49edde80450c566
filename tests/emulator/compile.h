/* Kernel text to a loadable image with the system's C compiler. */
#ifndef EMU_COMPILE_H
#define EMU_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Compile {
  const char *text, *name; /* name: what messages and #line-less places call the text */
  const char *defines;     /* -D options, quoted for the shell, or "" */
  int arch;                /* 90 */
  bool check;              /* instrumented */
  bool fmad, flush_denormals;
} Compile;

typedef struct Compiled {
  unsigned char *image; /* EmuHeader and library; NULL: an error that the log describes */
  size_t n;
  char *log; /* never NULL */
} Compiled;

/* Takes the image from the cache (MLO_EMU_CACHE, else XDG_CACHE_HOME/mloc-emulator, else none) if
 * the same text was compiled the same way before. Both results are malloc'ed. */
void compile_kernels(const Compile *in, Compiled *out);

#endif
