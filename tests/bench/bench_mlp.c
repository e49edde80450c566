/* Meta-weighting a network 784-256-10: the schedule that mloc generates from mlp_cg.mlo or
   mlp_sama.mlo (the program's name says which) against mlp.c, and against their matrix products
   alone, by turns in one process on the same data, from the same initial values. mlp.c is checked
   first: its gradient and its Hessian against differences. Prints one row of a table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/mlp.h"

const MloProgram *bench_program(void);
void bench_generated(unsigned char *arena); /* draws the initial values */

typedef struct Race {
  MloRun *run;
  unsigned char *arena, *fresh; /* the arena now, and as it was before the first run */
  MlpRun *by_hand;
  const Mlp *start;
  int32_t steps;
  bool cg;
} Race;

static void run_generated(void *ctx) {
  Race *r = ctx;
  memcpy(r->arena, r->fresh, bench_program()->arena_bytes);
  bench_program()->schedule(r->run, r->arena);
}

static void run_by_hand(void *ctx) {
  Race *r = ctx;
  r->by_hand->w = *r->start;
  (r->cg ? mlp_cg : mlp_sama)(r->by_hand, r->steps);
}

static void run_products(void *ctx) {
  Race *r = ctx;
  for (int i = 0; i <= r->steps; i++) (r->cg ? mlp_cg_products : mlp_sama_products)(r->by_hand);
}

static MlpData data(unsigned char *arena, const char *source) {
  return (MlpData){bench_field(bench_program(), arena, source, "x"),
                   bench_field(bench_program(), arena, source, "y")};
}

static double dot(const Mlp *a, const Mlp *b) {
  double sum = 0;
  for (int i = 0; i < MLP_PARAMS; i++) sum += (double)a->all[i] * (double)b->all[i];
  return sum;
}

/* Distance relative to b's size. */
static double difference(const float *a, const float *b, int n) {
  double worst = 0, size = 0;
  for (int i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    size = fmax(size, fabs((double)b[i]));
  }
  return worst / size;
}

/* Along one direction, the gradient against central differences of the loss and the curvature
   against those of the gradient; true if both fit. The direction moves few hidden units, so that
   hardly any example crosses the kink of its relu. */
static bool fits(const MlpRun *r, const Mlp *w) {
  Mlp *p = bench_memory(sizeof *p), *plus = bench_memory(sizeof *p),
      *minus = bench_memory(sizeof *p);
  Mlp *g = bench_memory(sizeof *p), *hp = bench_memory(sizeof *p);
  const float h = 1e-2f;
  mlp_gradient(r, w, g);
  for (int i = 0; i < MLP_PARAMS; i++) {
    bool moves = i % 32 == 0 || i >= MLP_IN * MLP_HIDDEN + MLP_HIDDEN;
    p->all[i] = moves ? g->all[i] : 0;
    plus->all[i] = w->all[i] + h * p->all[i];
    minus->all[i] = w->all[i] - h * p->all[i];
  }
  mlp_hessian(r, w, p, hp);
  double along = dot(g, p);
  float up = mlp_gradient(r, plus, g);
  Mlp *down_gradient = plus; /* its point is not needed any more */
  float down = mlp_gradient(r, minus, down_gradient);
  double error = fabs(((double)up - (double)down) / (2 * (double)h) - along) / fabs(along);
  double curvature = dot(hp, p);
  double bend = fabs((dot(g, p) - dot(down_gradient, p)) / (2 * (double)h) - curvature) / curvature;
  if (error > 1e-2 || bend > 0.1)
    fprintf(stderr, "bench: mlp.c is wrong: gradient %.1e, Hessian %.1e\n", error, bend);
  return error <= 1e-2 && bend <= 0.1;
}

static void run_init(void *ctx) { bench_generated(((Race *)ctx)->arena); }

static void set_steps(Race *r, int32_t steps) {
  size_t at = bench_program()->top_steps_offset;
  memcpy(r->arena + at, &steps, sizeof steps);
  memcpy(r->fresh + at, &steps, sizeof steps);
  r->steps = steps;
}

/* After one upper step: how far the network and the upper variables of both are apart. Later, what
   rounding did to a relu or to an Adam of tiny gradients has been made larger by either. */
static bool agree(Race *r, double *w, double *u) {
  const MloProgram *p = bench_program();
  set_steps(r, 1);
  run_generated(r);
  run_by_hand(r);
  *w = difference(bench_array(p, r->arena, "classifier.W1"), r->by_hand->w.all, MLP_PARAMS);
  *u = difference(bench_array(p, r->arena, "weights.u"), r->by_hand->u, MLP_ROWS);
  return *w < 1e-2 && *u < 1e-2;
}

static int race(MloRun *run, unsigned char *arena) {
  const MloProgram *p = bench_program();
  Race r = {.run = run, .arena = arena, .cg = !strcmp(p->name, "mlp_cg")};
  int32_t steps;
  memcpy(&steps, arena + p->top_steps_offset, sizeof steps);
  bench_generated(arena);
  Mlp *start = bench_memory(sizeof *start);
  /* The level's variables lie one behind the other. */
  memcpy(start, bench_array(p, arena, "classifier.W1"), sizeof *start);
  r.start = start;
  r.fresh = bench_memory(p->arena_bytes);
  memcpy(r.fresh, arena, p->arena_bytes);
  r.by_hand = bench_memory(sizeof *r.by_hand);
  r.by_hand->train = data(arena, "train");
  r.by_hand->val = data(arena, "val");
  double apart, u;
  if (!fits(r.by_hand, start)) return 1;
  bool same = agree(&r, &apart, &u);
  set_steps(&r, steps);
  Contender c[] = {{.name = "by hand", .run = run_by_hand},
                   {.name = "products", .run = run_products},
                   {.name = "generated", .run = run_generated},
                   {.name = "initial values", .run = run_init}};
  bench_interleaved(c, 4, &r);
  double each = (double)(steps + 1) * 1e-3, flops = r.cg ? 1.38e9 : 0.314e9;
  double generated = c[2].seconds - c[3].seconds; /* the other draws none */
  printf("| %s | %.2f | %.2f | %.2f | %.2f | %.0f | network %.0e, weights %.0e |\n",
         r.cg ? "CG(10)" : "SAMA", c[1].seconds / each, c[0].seconds / each, generated / each,
         generated / c[0].seconds, flops * (steps + 1) / c[0].seconds * 1e-9, apart, u);
  return same ? 0 : 1;
}

int main(int argc, char **argv) { return bench_main(argc, argv, bench_program(), race); }
