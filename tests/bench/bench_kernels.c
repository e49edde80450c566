/* One kernel that mloc generates against the same kernel tuned by hand and against a copy of as
   many bytes, by turns in one process on the same data. The program says by its name which kernel
   it is. Before that the schedule has run once; what the hand-tuned kernel computes must then stand
   somewhere in the generated program's memory. Prints one row of a table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/kernels.h"

const MloProgram *bench_program(void);
void bench_generated(unsigned char *arena);

typedef struct Race {
  unsigned char *arena;
  int64_t rows, width, count, bytes;
  const float *x, *b, *scale, *shift, *z;
  const int32_t *y;
  float *out, *m, *v, *minus_x, *copy; /* what the kernels by hand write */
  int step;
  float loss;
} Race;

static void gelu(void *ctx) {
  Race *r = ctx;
  gelu_by_hand(r->rows, r->width, r->x, r->b, r->out);
}

static void layernorm(void *ctx) {
  Race *r = ctx;
  layernorm_by_hand(r->rows, r->width, r->x, r->scale, r->shift, r->out);
}

static void xent(void *ctx) {
  Race *r = ctx;
  r->loss = xent_by_hand(r->rows, r->width, r->z, r->y);
}

static void xent_grad(void *ctx) {
  Race *r = ctx;
  xent_grad_by_hand(r->rows, r->width, r->z, r->y, r->out);
}

static void adam(void *ctx) {
  Race *r = ctx;
  adam_by_hand(r->count, ++r->step, r->out, r->minus_x, r->m, r->v);
}

static void generated(void *ctx) { bench_generated(((Race *)ctx)->arena); }

static void copy(void *ctx) {
  Race *r = ctx;
  int64_t n = r->bytes / (2 * (int64_t)sizeof(float));
  copy_by_hand(n, r->copy, r->copy + n);
}

static const struct Kind {
  const char *name, *title;
  void (*by_hand)(void *ctx);
  int bytes; /* an element */
} kinds[] = {{"gelu", "bias + gelu", gelu, 8},
             {"layernorm", "layer norm", layernorm, 8},
             {"xent", "cross entropy, forward", xent, 4},
             {"xent_grad", "cross entropy, backward", xent_grad, 8},
             {"adam", "Adam", adam, 28}};

static const struct Kind *find_kind(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(kinds[i].name, name)) return &kinds[i];
  fprintf(stderr, "bench: no kernel `%s`\n", name);
  exit(EXIT_FAILURE);
}

/* True if the n floats stand at some aligned place of the arena. */
static bool stands_in(const MloProgram *p, const unsigned char *arena, const float *want,
                      int64_t n) {
  float size = 0;
  for (int64_t i = 0; i < n; i++) size = fmaxf(size, fabsf(want[i]));
  for (size_t at = 0; at + (size_t)n * sizeof *want <= p->arena_bytes; at += 16) {
    const float *got = (const void *)(arena + at);
    int64_t i = 0;
    while (i < n && fabsf(got[i] - want[i]) <= 1e-4f * size) i++;
    if (i == n) return true;
  }
  return false;
}

static void fill(Race *r) {
  const MloProgram *p = bench_program();
  const MloField *x = &p->data[0].field[0];
  r->rows = x->dim[0];
  r->width = x->dim[1];
  r->count = r->rows * r->width;
  r->x = bench_field(p, r->arena, "d", "x");
  size_t bytes = (size_t)r->count * sizeof(float);
  r->out = bench_memory(bytes);
  r->m = bench_memory(bytes);
  r->v = bench_memory(bytes);
  r->minus_x = bench_memory(bytes);
  for (int64_t i = 0; i < r->count; i++) r->minus_x[i] = -r->x[i];
}

/* Fields that only some of the programs have. */
static void fill_kind(Race *r, const char *name) {
  const MloProgram *p = bench_program();
  if (!strcmp(name, "gelu")) r->b = bench_field(p, r->arena, "d", "b");
  if (!strcmp(name, "layernorm")) {
    r->scale = bench_field(p, r->arena, "d", "scale");
    r->shift = bench_field(p, r->arena, "d", "shift");
  }
  if (!strncmp(name, "xent", 4)) {
    r->z = bench_array(p, r->arena, "fit.z");
    r->y = bench_field(p, r->arena, "d", "y");
  }
}

static int race(MloRun *run, unsigned char *arena) {
  const struct Kind *kind = find_kind(getenv("BENCH_KERNEL"));
  Race r = {.arena = arena};
  bench_program()->schedule(run, arena);
  fill(&r);
  fill_kind(&r, kind->name);
  r.bytes = kind->bytes * r.count;
  r.copy = bench_memory((size_t)r.bytes);
  memset(r.copy, 1, (size_t)r.bytes); /* else its pages would all be one page of zeros */
  kind->by_hand(&r);
  bool same = kind->by_hand == xent
                  ? fabs(bench_metric(bench_program(), arena, "fit.loss") - (double)r.loss) < 1e-4
                  : stands_in(bench_program(), arena, r.out, r.count);
  Contender c[] = {{.name = "by hand", .run = kind->by_hand},
                   {.name = "copy", .run = copy},
                   {.name = "generated", .run = generated}};
  bench_interleaved(c, 3, &r);
  double gb = 1e-9 * (double)r.bytes;
  printf("| %s | %lld x %lld | %.1f | %.1f | %.1f | %.0f %% | %.0f %% | %s |\n", kind->title,
         (long long)r.rows, (long long)r.width, gb / c[1].seconds, gb / c[0].seconds,
         gb / c[2].seconds, 100 * c[2].share / c[1].share, 100 * c[2].share, same ? "yes" : "NO");
  return same ? 0 : 1;
}

int main(int argc, char **argv) { return bench_main(argc, argv, bench_program(), race); }
