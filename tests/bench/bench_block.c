/* A transformer block: a function that mloc generates from block.mlo, the gradient or the product
   with the Hessian (BENCH_BLOCK says which), against its matrix products alone, by turns in one
   process. Prints one row of a table. What the function computes is not looked at here: oracles and
   the fuzzer do that. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

const MloProgram *bench_program(void);
void bench_generated(unsigned char *arena);
void bench_before(unsigned char *arena);

enum { BATCH = 16, SEQUENCE = 64, WIDTH = 128, HEADS = 4, ROWS = BATCH * SEQUENCE };
enum { HEAD = WIDTH / HEADS, NPRODUCT = 6 };

typedef struct Product { /* of a forward pass: [m, k] by [k, n], or by [n, k] transposed */
  int batch, m, n, k;
  bool transposed;
} Product;

static const Product products[NPRODUCT] = {
    {1, ROWS, 3 * WIDTH, WIDTH, false},
    {BATCH * HEADS, SEQUENCE, SEQUENCE, HEAD, true},
    {BATCH * HEADS, SEQUENCE, HEAD, SEQUENCE, false},
    {1, ROWS, WIDTH, WIDTH, false},
    {1, ROWS, 4 * WIDTH, WIDTH, false},
    {1, ROWS, WIDTH, 4 * WIDTH, false},
};

typedef struct Race {
  unsigned char *arena;
  float *a[NPRODUCT], *b[NPRODUCT], *c[NPRODUCT];
  int times; /* of each product and of its two derivatives: 1 in the gradient, 2 in the Hessian's */
} Race;

static void run_generated(void *ctx) { bench_generated(((Race *)ctx)->arena); }

static void product(bool ta, bool tb, int m, int n, int k, const float *a, const float *b,
                    float *c) {
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n,
              k, 1, a, ta ? m : k, b, tb ? k : n, 0, c, n);
}

/* c = a b; da = dc b', db = a' dc, where the matrices stand for their own derivatives. */
static void with_derivatives(const Product *p, float *a, float *b, float *c) {
  for (int i = 0; i < p->batch; i++, a += p->m * p->k, b += p->k * p->n, c += p->m * p->n) {
    product(false, p->transposed, p->m, p->n, p->k, a, b, c);
    product(false, !p->transposed, p->m, p->k, p->n, c, b, a);
    if (p->transposed)
      product(true, false, p->n, p->k, p->m, c, a, b);
    else
      product(true, false, p->k, p->n, p->m, a, c, b);
  }
}

static void run_products(void *ctx) {
  Race *r = ctx;
  for (int i = 0; i < NPRODUCT; i++)
    for (int t = 0; t < r->times; t++) with_derivatives(&products[i], r->a[i], r->b[i], r->c[i]);
}

static double gflop(const Race *r) {
  double sum = 0;
  for (int i = 0; i < NPRODUCT; i++)
    sum += 6e-9 * products[i].batch * products[i].m * products[i].n * products[i].k;
  return sum * r->times;
}

static float *floats(int64_t n) { return bench_memory((size_t)n * sizeof(float)); }

static int race(MloRun *run, unsigned char *arena) {
  bool hessian = !strcmp(getenv("BENCH_BLOCK"), "hessian");
  Race r = {.arena = arena, .times = hessian ? 2 : 1};
  for (int i = 0; i < NPRODUCT; i++) {
    const Product *p = &products[i];
    r.a[i] = floats((int64_t)p->batch * p->m * p->k); /* zeros: nothing overflows */
    r.b[i] = floats((int64_t)p->batch * p->k * p->n);
    r.c[i] = floats((int64_t)p->batch * p->m * p->n);
  }
  if (bench_program()->schedule(run, arena)) return 1;
  bench_before(arena);
  Contender c[] = {{.name = "products", .run = run_products},
                   {.name = "generated", .run = run_generated}};
  bench_interleaved(c, 2, &r);
  printf("| %s | %.2f | %.0f | %.2f | %.2f |\n", hessian ? "Hessian times a vector" : "gradient",
         1e3 * c[0].seconds, gflop(&r) / c[0].seconds, 1e3 * c[1].seconds, 1 / c[1].share);
  return 0;
}

int main(int argc, char **argv) { return bench_main(argc, argv, bench_program(), race); }
