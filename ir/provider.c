/* Providers of matrix products, and which of them a shape is worth. */
#include "ir/provider.h"

#include "ir/op.h"

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

Products kernel_products(const Program *p, const Kernel *k) {
  bool library = k->kind == KERNEL_GEMM && provider_info(k->provider)->call;
  return library && k->anchor[0].node->type.dtype == DT_F32 ? p->run.products : PRODUCTS_EXACT;
}

int64_t kernel_rounded(const Program *p, const Kernel *k) {
  int64_t most = 0;
  if (kernel_products(p, k) == PRODUCTS_EXACT) return 0;
  for (int i = 0; i < k->nanchor; i++) {
    const Node *n = k->anchor[i].node;
    if (op_info(n->op)->emit != EMIT_GEMM) continue;
    int r = n->type.rank;
    int64_t sum = n->in[0]->type.dim[n->attr.i[0] ? r - 2 : r - 1];
    int64_t both = sum * (n->type.dim[r - 2] + n->type.dim[r - 1]);
    if (both > most) most = both;
  }
  return most;
}
