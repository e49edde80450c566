/* Providers of matrix products, and which of them a shape is worth. */
#include "ir/provider.h"

static bool always(int64_t m, int64_t n, int64_t k) { return (void)m, (void)n, (void)k, true; }

/* A call has a price that small products do not repay; a product with a vector reads its matrix
   once, whoever does it, so only size beyond the caches speaks for a library's threads. */
static bool pays_blas(int64_t m, int64_t n, int64_t k) {
  if (m == 1 || n == 1) return m * n * k >= 1 << 18;
  return k > 2 && m * n * k >= 20000;
}

static const ProviderInfo providers[NPROVIDER] = {
    [PROVIDER_LOOPS] = {"loops", NULL, NULL, always},
    [PROVIDER_BLAS] = {"blas", "mlo_gemm", "libopenblas", pays_blas},
};

const ProviderInfo *provider_info(Provider p) { return &providers[p]; }

Provider provider_choose(int64_t m, int64_t n, int64_t k) {
  int i = NPROVIDER - 1;
  while (!providers[i].pays(m, n, k)) i--;
  return (Provider)i;
}
