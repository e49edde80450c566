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
  MlpRun *by_hand, *start;      /* the same of mlp.c */
  float fma;                    /* what bench_fma leaves */
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
  *r->by_hand = *r->start;
  (r->cg ? mlp_cg : mlp_sama)(r->by_hand, r->steps);
}

static void run_products(void *ctx) {
  Race *r = ctx;
  for (int i = 0; i <= r->steps; i++) (r->cg ? mlp_cg_products : mlp_sama_products)(r->by_hand);
}

static void run_fma(void *ctx) { bench_fma(&((Race *)ctx)->fma); }

static MlpData data(unsigned char *arena, const char *source) {
  return (MlpData){bench_field(bench_program(), arena, source, "x"),
                   bench_field(bench_program(), arena, source, "y")};
}

static double dot(const Mlp *a, const Mlp *b) {
  double sum = 0;
  for (int i = 0; i < MLP_PARAMS; i++) sum += (double)a->all[i] * (double)b->all[i];
  return sum;
}

/* How far a and b have moved apart on their way from `from`, relative to b's way. */
static double difference(const float *from, const float *a, const float *b, int n) {
  double worst = 0, size = 0;
  for (int i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    size = fmax(size, fabs((double)b[i] - (double)from[i]));
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

static void fill_with_mean(float *to, const float *x, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)x[i];
  for (int i = 0; i < n; i++) to[i] = (float)(sum / n);
}

/* From their means after one upper step, both sides' second moments begin anew, all of them alike.
   From zero, Adam moves each variable by its rate times the sign of its gradient, however small;
   the sign of a small one is rounding's, and on two threads OpenBLAS adds in another order. From a
   mean, what rounding does to a gradient stays as small as it is beside the others. */
static void moments_begin_at_means(Race *r) {
  const MloProgram *p = bench_program();
  set_steps(r, 1);
  run_by_hand(r);
  fill_with_mean(r->start->v.all, r->by_hand->v.all, MLP_PARAMS);
  fill_with_mean(r->start->uv, r->by_hand->uv, MLP_ROWS);
  memcpy(bench_state(p, r->fresh, "classifier.optimizer.state.v"), &r->start->v,
         sizeof r->start->v);
  memcpy(bench_state(p, r->fresh, "weights.optimizer.state.v"), r->start->uv, sizeof r->start->uv);
}

/* How far the steps apart are that both sides make in the network (two lower steps) and in the
   upper variables (one). Later, what rounding did to a relu has been made larger by either.
   Rounding leaves 3e-5, and in the upper variables 4e-5 by SAMA and 1e-3 by CG. */
static bool agree(Race *r, double *w, double *u) {
  const MloProgram *p = bench_program();
  moments_begin_at_means(r);
  run_generated(r);
  run_by_hand(r);
  *w = difference(r->start->w.all, bench_array(p, r->arena, "classifier.W1"), r->by_hand->w.all,
                  MLP_PARAMS);
  *u = difference(r->start->u, bench_array(p, r->arena, "weights.u"), r->by_hand->u, MLP_ROWS);
  return *w < 1e-3 && *u < (r->cg ? 5e-3 : 5e-4);
}

static int race(MloRun *run, unsigned char *arena) {
  const MloProgram *p = bench_program();
  Race r = {.run = run, .arena = arena, .cg = !strcmp(p->name, "mlp_cg")};
  int32_t steps;
  memcpy(&steps, arena + p->top_steps_offset, sizeof steps);
  bench_generated(arena);
  r.fresh = bench_memory(p->arena_bytes);
  memcpy(r.fresh, arena, p->arena_bytes);
  r.by_hand = bench_memory(sizeof *r.by_hand);
  r.start = bench_memory(sizeof *r.start);
  r.start->train = data(arena, "train");
  r.start->val = data(arena, "val");
  /* The level's variables lie one behind the other. */
  memcpy(&r.start->w, bench_array(p, arena, "classifier.W1"), sizeof r.start->w);
  double apart, u;
  if (!fits(r.start, &r.start->w)) return 1;
  bool same = agree(&r, &apart, &u);
  set_steps(&r, steps);
  Contender c[] = {{.name = "by hand", .run = run_by_hand},
                   {.name = "products", .run = run_products},
                   {.name = "generated", .run = run_generated},
                   {.name = "initial values", .run = run_init},
                   {.name = "registers", .run = run_fma}};
  bench_interleaved(c, 5, &r);
  double each = (double)(steps + 1) * 1e-3, flops = (r.cg ? 1.38e9 : 0.314e9) * (steps + 1);
  double generated = c[2].seconds - c[3].seconds; /* the other draws none */
  printf("| %s | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f %% | network %.0e, weights %.0e |\n",
         r.cg ? "CG(10)" : "SAMA", c[1].seconds / each, c[0].seconds / each, generated / each,
         generated / c[0].seconds, flops / c[0].seconds * 1e-9,
         100 * flops / bench_fma(&r.fma) / c[4].share, apart, u);
  return same ? 0 : 1;
}

int main(int argc, char **argv) { return bench_main(argc, argv, bench_program(), race); }
