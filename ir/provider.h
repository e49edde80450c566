#ifndef MLOC_IR_PROVIDER_H
#define MLOC_IR_PROVIDER_H

#include "ir/kernel.h"

/* The table of providers of matrix products, one row for each Provider. A library comes in as a row
   here and two functions of the runtime, called as mlo_gemm_f32 and mlo_gemm_f64 of runtime/mlo.h
   are. */
typedef struct ProviderInfo {
  const char *name; /* in the textual IR and in reports */
  const char *call; /* the runtime's function without "_f32" or "_f64"; NULL: generated loops, which
                       go on with an epilogue */
  const char *library; /* what an executable links for it; NULL: nothing */
  bool (*pays)(int64_t m, int64_t n, int64_t k); /* worth it for [m, k] @ [k, n]? */
} ProviderInfo;

const ProviderInfo *provider_info(Provider p);
/* The provider for products of this shape: libraries are asked first, loops take the rest. */
Provider provider_choose(int64_t m, int64_t n, int64_t k);

#endif
