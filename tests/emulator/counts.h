/* What the emulated driver has done since it was loaded: `emu_counts` of libcuda.so.1, and with
 * MLO_EMU_STATS=1 printed when the process ends. */
#ifndef EMU_COUNTS_H
#define EMU_COUNTS_H

typedef struct EmuCounts {
  unsigned long kernels;          /* launched alone */
  unsigned long graph_kernels;    /* run as nodes of graphs; products of matrices are counted too */
  unsigned long graph_launches;   /* cuGraphLaunch */
  unsigned long gemms;            /* by cuBLAS, alone or in graphs */
  unsigned long copies_in;        /* host to device */
  unsigned long copies_out;       /* device to host */
  unsigned long copies_within;    /* device to device */
  unsigned long fills;            /* cuMemset*, alone or in graphs */
  unsigned long synchronizations; /* calls that let the host wait, copies among them */
  unsigned long allocations;      /* cuMemAlloc that succeeded */
  unsigned long modules;          /* loaded */
  unsigned long captures;         /* ended well */
  unsigned long loop_rounds;      /* of conditional nodes */
} EmuCounts;

void emu_counts(EmuCounts *out);

#endif
