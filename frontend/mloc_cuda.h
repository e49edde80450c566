#ifndef MLOC_FRONTEND_MLOC_CUDA_H
#define MLOC_FRONTEND_MLOC_CUDA_H

#include "codegen/codegen.h"
#include "frontend/options.h"

/* What NVRTC made of a program's kernels: a cubin, or PTX with its final 0, which n counts. */
typedef struct CudaImage {
  const unsigned char *byte;
  size_t n;
  const char *log; /* what ptxas said; "" where nothing */
} CudaImage;

/* Compiles CUDA C by NVRTC, for "sm_90" to a cubin, for "compute_90" to PTX; `program` names it in
   messages. 0, or an exit code after a message: EXIT_DEVICE where NVRTC is missing or refuses. */
int cuda_compile(Arena *a, const char *text, const char *program, const char *arch, CudaImage *out);

/* Code for what --target says: on CUDA devices with cubins for all architectures of a list
   ("sm_80,sm_90"; NULL: none) besides the source. 0 or an exit code after a message. */
int cuda_target(Program *p, const char *target, const char *archs, CgOptions *cg);

/* PTX for "sm_90" and later ones. 0 or an exit code after a message. */
int cuda_ptx(Arena *a, const char *text, const char *program, const char *arch, const char **ptx);

/* Checks the options of `inspect` that are CUDA's; arch: NULL where the target is another one. 0,
   or EXIT_USAGE after a message. */
int cuda_check_options(Arena *a, const Options *o, const char *arch);

/* The report of `inspect --target=cuda`; `source`: the program's text, or NULL. 0, 1 where kernels
   spill and must not, or EXIT_DEVICE after a message. */
int cuda_inspect(Program *p, const char *source, const CgOptions *cg, const char *arch,
                 const Options *o);

#endif
