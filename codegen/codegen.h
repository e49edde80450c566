#ifndef MLOC_CODEGEN_CODEGEN_H
#define MLOC_CODEGEN_CODEGEN_H

#include <stdio.h>

#include "ir/program.h"

/* The CUDA kernels of cg_cuda, compiled for one architecture ("sm_90"). */
typedef struct CgCubin {
  const char *arch;
  const unsigned char *image;
  size_t n;
} CgCubin;

/* What the generated file says about itself; strings may be NULL. */
typedef struct CgOptions {
  const char *source, *dir, *hash; /* the .mlo file, its folder, the program's hash */
  const char *arch, *version;      /* -march= value, version of mloc */
  bool poison;                     /* fill buffers with NaN as soon as they are dead */
  bool plain;                      /* CUDA: for a reader, with one #line a kernel */
  bool cuda, only_cuda;            /* code for CUDA devices as well; no code for CPUs */
  bool no_source;                  /* CUDA: cubins alone, no text for NVRTC */
  const CgCubin *cubin;            /* CUDA: compiled kernels that the executable carries */
  int ncubin;
  const CgCubin *check; /* and the kernel of loops in graphs, as far as it compiles */
  int ncheck;
  /* Kernels, functions and the schedule only, for programs that load them: all names begin with
     this prefix, functions and schedule are not static. NULL: an executable. */
  const char *library;
} CgOptions;

/* The program (facts F_FUSED and F_PLANNED) as one C11 translation unit with OpenMP pragmas, in p's
   arena. Needs mlo.h, mlo_math.h and, if the program draws random numbers, mlo_random.h. */
char *cg_c(Program *p, const CgOptions *o);

/* A kernel within a launch that stands for several, and how often it runs there. */
typedef struct CgPart {
  const Kernel *kernel;
  double times; /* loops by their counts: at most, by default */
} CgPart;

/* One launch of a function on a CUDA device. */
typedef struct CgLaunch {
  const char *name; /* of the kernel in the CUDA text; NULL: a product by cuBLAS, or a copy */
  const Func *func;
  const Kernel *kernel; /* NULL: part of the schedule, or several kernels */
  int64_t grid;         /* blocks; each has LAUNCH_BLOCK threads */
  double step;          /* how often it is launched in a step of the top level, reports left out */
  const CgPart *part;   /* of several kernels */
  int npart;
} CgLaunch;

/* The program's kernels as CUDA C (see runtime/mlo_device.h), with what is launched in the order of
   functions and kernels; launch and nlaunch may be NULL. In p's arena. */
char *cg_cuda(Program *p, const CgOptions *o, const CgLaunch **launch, int *nlaunch);

/* The C name of a function in the generated text: "fn_fit__gradient" behind the options' prefix. */
char *cg_func_name(Arena *a, const CgOptions *o, const Func *f);

/* True when the executable calls OpenBLAS (matrix products or solves). */
bool cg_needs_blas(const Program *p);

/* What cg_cuda has given, compiled for one architecture, and the rates to reckon with. */
typedef struct CgCompiled {
  CgCubin cubin;
  const char *log; /* of ptxas -v, for spills; NULL: they are not known */
  const CgLaunch *launch;
  int nlaunch;
  double bandwidth, flops; /* bytes and flop a second; 0: those of a device of the architecture */
} CgCompiled;

/* Kernels with provenance and cost, memory plan, schedule with its adjoint systems, libraries: as
   text or as one JSON object. `source` is the program's text (for line numbers; may be NULL). With
   compiled kernels, also what each kernel uses of the device and how long it takes at least;
   *loose: how many kernels spill or keep arrays on the stack, but for the reduction of f64 angles
   (may be NULL). NULL, or what is wrong with the cubin. */
const char *cg_inspect(const Program *p, const char *source, const CgCompiled *code, FILE *out,
                       bool json, int *loose);

#endif
