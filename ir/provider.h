#ifndef MLOC_IR_PROVIDER_H
#define MLOC_IR_PROVIDER_H

#include "ir/kernel.h"

/* The table of providers of matrix products, one row for each Provider. A library comes in as a row
   here and four functions of the runtime, called as mlo_gemm_f32, mlo_gemm_f64, mlo_gemm_bf16 and
   mlo_gemm_tf32 of runtime/mlo.h are. */
typedef struct ProviderInfo {
  const char *name; /* in the textual IR and in reports */
  const char *call; /* the runtime's functions without "_f32" ..; NULL: generated loops, which
                       go on with an epilogue */
  const char *library; /* what an executable links for it; NULL: nothing */
  bool (*pays)(int64_t m, int64_t n, int64_t k); /* worth it for [m, k] @ [k, n]? */
} ProviderInfo;

const ProviderInfo *provider_info(Provider p);
/* The provider for products of this shape: libraries are asked first, loops take the rest. */
Provider provider_choose(int64_t m, int64_t n, int64_t k);

/* What the operands of the kernel's products are rounded to: the run's where they are f32 and a
   library's, whoever computes them in the end. */
Products kernel_products(const Program *p, const Kernel *k);
/* Floats that both rounded operands take, of one batch element of the largest product; 0: exact. */
int64_t kernel_rounded(const Program *p, const Kernel *k);

#endif
