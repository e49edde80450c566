/* What a compiled kernel and the emulator know of each other. This text is compiled into the
 * emulator and, embedded as text, before every kernel: so it includes nothing and needs only C11.
 */
#ifndef EMU_CORE_H
#define EMU_CORE_H

typedef struct EmuDim {
  unsigned x, y, z;
} EmuDim;

/* A place in the kernel's text; compared by address where threads must meet at one place. */
typedef struct EmuSite {
  const char *file;
  int line;
} EmuSite;

typedef enum EmuWarpOp {
  EMU_SHUFFLE,
  EMU_BALLOT,
  EMU_ANY,
  EMU_ALL,
  EMU_SYNCWARP,
} EmuWarpOp;

typedef struct EmuWarpCall {
  EmuWarpOp op;
  unsigned mask;
  unsigned long long value; /* SHUFFLE: the bits; else: a condition */
  unsigned source;          /* SHUFFLE: the lane to read */
} EmuWarpCall;

/* What the running thread is, and what it can ask for. */
typedef struct EmuCore {
  EmuDim thread, block, block_dim, grid_dim;
  unsigned lane;
  void (*barrier)(const EmuSite *site);
  unsigned long long (*warp)(EmuWarpCall call, const EmuSite *site);
  unsigned (*atomic_add)(unsigned *at, unsigned value, const EmuSite *site);
  void (*fence)(const EmuSite *site);
  void (*set_conditional)(unsigned long long handle, unsigned value);
  /* Of instrumented kernels; pc: behind the access. */
  void (*access)(const void *at, unsigned long bytes, int write, const void *pc);
  void (*misaligned)(const void *at, const EmuSite *site);
  void (*bounds)(const void *index, const EmuSite *site);
} EmuCore;

/* One row for each kernel of an image, ended by a row without a name. */
typedef struct EmuKernel {
  const char *name;
  void (*entry)(void **parameter); /* calls the kernel with what the pointers point to */
  int nparam;
  const unsigned *bytes;     /* of each parameter */
  unsigned bound;            /* __launch_bounds__, or 0 */
  char *shared, *shared_end; /* its own shared arrays */
} EmuKernel;

/* All that an image exports, as `emu_image`. */
typedef struct EmuImage {
  const EmuKernel *kernel;
  const EmuCore **core;                   /* set by the emulator */
  char *shared, *shared_end;              /* shared arrays of device functions */
  unsigned char checked, flush_denormals; /* instrumented; --ftz=true */
} EmuImage;

#endif
