#ifndef MLOC_TESTS_SUPPORT_MADE_CUBIN_H
#define MLOC_TESTS_SUPPORT_MADE_CUBIN_H

enum { MADE_CUBIN_BYTES = 7 * 512 };

typedef struct MadeCubin {
  unsigned char byte[MADE_CUBIN_BYTES];
} MadeCubin;

/* The image of two kernels for sm_90: `tight` with 12 registers, and `loose` with 34, 256 bytes of
   shared memory, 384 of code and the array of the reduction of f64 angles; and what ptxas -v would
   say: that `loose` spills 9 bytes and loads 14. */
MadeCubin made_cubin(void);
extern const char made_cubin_log[];

#endif
